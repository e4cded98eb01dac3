/**
 * What one counter of an 8254 remembers, and how saved registers are read back.
 *
 * Source: Intel 8254 data sheet (231164), "Programming the 8254".
 */
import type { SavedFields } from './saved-fields.js';

/** Bits 5..4 of the control word. */
export const ACCESS_LOW = 1;
export const ACCESS_HIGH = 2;
export const ACCESS_BOTH = 3;
export const BINARY_RANGE = 0x10000;
/** A count of 1 is not allowed in modes 2 and 3. */
export const PERIOD_MIN = 2;
/** In a field of ticks or a latch: nothing there. */
export const NONE = -1;

/** All registers of one channel; what a snapshot keeps. */
export interface ChannelRegisters {
  /** 0 to 5. */
  mode: number;
  access: number;
  bcd: boolean;
  gate: boolean;
  /** Count register: the last whole count written since the control word. */
  written: number;
  /** `written` has not reached the counter yet. */
  nullCount: boolean;
  /** First byte of a two-byte write. */
  lowByte: number;
  /** Count that the counter works with, from 1 to 65536. */
  count: number;
  /** Tick at which `count` was loaded. */
  start: number;
  /** Ticks counted until the gate stopped it. */
  held: number;
  /** Tick of a load to come: the end of a (half) period, or the one that the gate stopped before it was done. */
  loadAt: number;
  /** Mode 3: whether `start` begins the high half. */
  highFirst: boolean;
  /** The next byte to read of a two-byte read is the high one. */
  readHigh: boolean;
  latchedCount: number;
  latchedStatus: number;
}

export function powerOnRegisters(gate: boolean): ChannelRegisters {
  return {
    mode: 0,
    access: ACCESS_BOTH,
    bcd: false,
    gate,
    written: NONE,
    nullCount: true,
    lowByte: NONE,
    count: BINARY_RANGE,
    start: NONE,
    held: NONE,
    loadAt: NONE,
    highFirst: true,
    readHigh: false,
    latchedCount: NONE,
    latchedStatus: NONE,
  };
}

/** Read what save() wrote, changing nothing. @throws DecodeError */
export function decodeRegisters(fields: SavedFields): ChannelRegisters {
  const tick = (name: 'start' | 'held' | 'loadAt') => fields.integer(name, NONE, Number.MAX_SAFE_INTEGER);
  const registers: ChannelRegisters = {
    mode: fields.integer('mode', 0, 5),
    access: fields.integer('access', ACCESS_LOW, ACCESS_BOTH),
    bcd: fields.boolean('bcd'),
    gate: fields.boolean('gate'),
    written: fields.integer('written', NONE, 0xffff),
    nullCount: fields.boolean('nullCount'),
    lowByte: fields.integer('lowByte', NONE, 0xff),
    count: fields.integer('count', 1, BINARY_RANGE),
    start: tick('start'),
    held: tick('held'),
    loadAt: tick('loadAt'),
    highFirst: fields.boolean('highFirst'),
    readHigh: fields.boolean('readHigh'),
    latchedCount: fields.integer('latchedCount', NONE, 0xffff),
    latchedStatus: fields.integer('latchedStatus', NONE, 0xff),
  };
  fields.finish();
  const periodic = registers.mode === 2 || registers.mode === 3;
  if (periodic && registers.count < PERIOD_MIN) throw fields.wrong('count', 'too small for this mode');
  if (registers.written === NONE && (registers.start !== NONE || registers.loadAt !== NONE)) {
    throw fields.wrong('written', 'missing while the channel counts');
  }
  return registers;
}
