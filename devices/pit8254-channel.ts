/**
 * One counter of an 8254. Everything follows from the tick at which the count was loaded; nothing is counted.
 *
 *   mode  OUT after the control word   OUT with count N loaded at tick 0 (e = elapsed ticks)
 *   0     low                          high from e = N on
 *   1     high                         low from the trigger on until e = N
 *   2     high                         low for the last tick of every N
 *   3     high                         high for the first half of every N (the longer half if N is odd)
 *   4, 5  high                         low for the tick e = N
 *
 *   write -> [lowByte] -> written -> at the next tick, the end of a (half) period, or a trigger -> count, start
 *
 * The count moves into the counter one tick after it was written. Modes 1 and 5 start with a rising gate only, which
 * in a PC only channel 2 has.
 *
 * Invariants: `start` is NONE exactly while nothing counts; `held` is then the ticks counted before, or NONE.
 * Source: Intel 8254 data sheet (231164), "Mode Definitions", "Read Operations"; 82C54 for odd counts in mode 3.
 */
import {
  ACCESS_BOTH,
  ACCESS_HIGH,
  ACCESS_LOW,
  BINARY_RANGE,
  NONE,
  PERIOD_MIN,
  decodeRegisters,
  powerOnRegisters,
  type ChannelRegisters,
} from './pit8254-registers.js';
import type { StateRecord } from './state.js';
import type { SavedFields } from './saved-fields.js';

/** Status byte (read-back). */
const STATUS_OUT = 0x80;
const STATUS_NULL_COUNT = 0x40;
const BCD_RANGE = 10000;

/** All ticks are absolute, counted from power-on, and never decrease from call to call. */
export class Pit8254Channel {
  readonly #gateAtPowerOn: boolean;
  #r: ChannelRegisters;

  constructor(gate: boolean) {
    this.#gateAtPowerOn = gate;
    this.#r = powerOnRegisters(gate);
  }

  /** Level of OUT at tick `now`. */
  output(now: number): boolean {
    this.#settle(now);
    const r = this.#r;
    const elapsed = this.#elapsed(now);
    switch (r.mode) {
      case 0:
        return elapsed >= r.count;
      case 1:
        return elapsed < 0 || elapsed >= r.count;
      case 2:
        return r.start === NONE || now < r.start || (now - r.start) % r.count !== r.count - 1;
      case 3:
        return r.start === NONE || now < r.start || this.#half(now).high;
      default:
        return elapsed !== r.count;
    }
  }

  /** The first tick after `now` at which OUT rises because a count ran out, or null. */
  nextRise(now: number): number | null {
    this.#settle(now);
    const r = this.#r;
    if (r.start === NONE) return null;
    switch (r.mode) {
      case 0:
      case 1:
        return later(now, r.start + r.count);
      case 2:
        return r.start + r.count * Math.max(1, Math.floor((now - r.start) / r.count) + 1);
      case 3: {
        const { high, end } = this.#half(Math.max(now, r.start));
        if (!high) return end;
        const next = r.loadAt === NONE ? r.count : this.#toCount();
        return end + Math.floor(next / 2);
      }
      default:
        return later(now, r.start + r.count + 1);
    }
  }

  /** Perform a control word that programs the channel. */
  configure(mode: number, access: number, bcd: boolean): void {
    // Modes 6 and 7 are 2 and 3: their upper bit is "don't care".
    this.#r = { ...powerOnRegisters(this.#r.gate), mode: mode > 5 ? mode - 4 : mode, access, bcd };
  }

  /** Write a byte to the count register at tick `now`. */
  write(value: number, now: number): void {
    this.#settle(now);
    const r = this.#r;
    if (r.access !== ACCESS_BOTH) {
      this.#accept(r.access === ACCESS_LOW ? value : value << 8, now);
    } else if (r.lowByte === NONE) {
      r.lowByte = value;
      // In mode 0 the first byte stops the count and pulls OUT low at once.
      if (r.mode === 0) {
        r.start = NONE;
        r.held = NONE;
        r.loadAt = NONE;
      }
    } else {
      const count = r.lowByte | (value << 8);
      r.lowByte = NONE;
      this.#accept(count, now);
    }
  }

  /** Read a byte of the latched status, the latched count or the running count. */
  read(now: number): number {
    this.#settle(now);
    const r = this.#r;
    if (r.latchedStatus !== NONE) {
      const status = r.latchedStatus;
      r.latchedStatus = NONE;
      return status;
    }
    const count = r.latchedCount === NONE ? this.#current(now) : r.latchedCount;
    const high = r.access === ACCESS_HIGH || (r.access === ACCESS_BOTH && r.readHigh);
    r.readHigh = r.access === ACCESS_BOTH && !r.readHigh;
    if (!r.readHigh) r.latchedCount = NONE;
    return high ? count >> 8 : count & 0xff;
  }

  /** Latch the count. One that is latched and not yet read stays. */
  latchCount(now: number): void {
    this.#settle(now);
    if (this.#r.latchedCount === NONE) this.#r.latchedCount = this.#current(now);
  }

  /** Latch the status. One that is latched and not yet read stays. */
  latchStatus(now: number): void {
    const out = this.output(now) ? STATUS_OUT : 0;
    const r = this.#r;
    if (r.latchedStatus !== NONE) return;
    const nullCount = r.nullCount || now < r.start ? STATUS_NULL_COUNT : 0;
    r.latchedStatus = out | nullCount | (r.access << 4) | (r.mode << 1) | (r.bcd ? 1 : 0);
  }

  /** Drive the gate at tick `now`. */
  setGate(level: boolean, now: number): void {
    this.#settle(now);
    const r = this.#r;
    if (r.gate === level) return;
    r.gate = level;
    if (r.mode === 1 || r.mode === 5) {
      if (level && r.written !== NONE) this.#load(now + 1);
    } else if (!level) {
      if (r.start !== NONE) this.#pause(now);
    } else if (r.mode === 2 || r.mode === 3) {
      if (r.written !== NONE) this.#load(now + 1);
    } else if (r.held !== NONE) {
      r.start = Math.max(now - r.held, r.loadAt);
      r.held = NONE;
      r.loadAt = NONE;
    }
  }

  reset(): void {
    this.#r = powerOnRegisters(this.#gateAtPowerOn);
  }

  save(): StateRecord {
    return { ...this.#r };
  }

  /** Read what save() wrote, changing nothing. @throws DecodeError */
  decode(fields: SavedFields): ChannelRegisters {
    return decodeRegisters(fields);
  }

  apply(registers: ChannelRegisters): void {
    this.#r = registers;
  }

  /** A whole count is in the count register. */
  #accept(written: number, now: number): void {
    const r = this.#r;
    r.written = written;
    r.nullCount = true;
    if (r.mode === 0 || r.mode === 4) {
      this.#load(now + 1);
      if (!r.gate) this.#pause(now);
    } else if (now < r.start) {
      // The load that is due takes the newest count.
      this.#load(r.start);
    } else if (r.mode === 2 || r.mode === 3) {
      if (r.start !== NONE) r.loadAt = this.#periodEnd(now);
      else if (r.gate) this.#load(now + 1);
    }
  }

  /** Move the written count into the counter at `tick` and count from there. */
  #load(tick: number): void {
    const r = this.#r;
    r.count = this.#toCount();
    r.nullCount = false;
    r.start = tick;
    r.held = NONE;
    r.loadAt = NONE;
    r.highFirst = true;
  }

  /** The gate went low: hold what was counted. */
  #pause(now: number): void {
    const r = this.#r;
    r.held = Math.max(0, now - r.start);
    r.loadAt = now < r.start ? r.start : NONE;
    r.start = NONE;
  }

  /** Perform a load that is due. */
  #settle(now: number): void {
    const r = this.#r;
    if (r.loadAt === NONE || now < r.loadAt) return;
    if (r.start === NONE) {
      r.loadAt = NONE;
      return;
    }
    const high = r.mode !== 3 || this.#half(r.loadAt).high;
    this.#load(r.loadAt);
    r.highFirst = high;
  }

  /** Ticks since the load, also of a stopped channel; negative when nothing is loaded yet. */
  #elapsed(now: number): number {
    return this.#r.start === NONE ? this.#r.held : now - this.#r.start;
  }

  /** The tick at which a running mode 2 ends its period, or mode 3 its half. */
  #periodEnd(now: number): number {
    const r = this.#r;
    if (r.mode === 3) return this.#half(now).end;
    return r.start + (Math.floor((now - r.start) / r.count) + 1) * r.count;
  }

  /** Mode 3: which half contains tick `now`, how far into it that is, and where it ends. */
  #half(now: number): { readonly high: boolean; readonly position: number; readonly end: number } {
    const r = this.#r;
    const elapsed = r.start === NONE ? r.held : now - r.start;
    const position = elapsed % r.count;
    const first = r.highFirst ? Math.ceil(r.count / 2) : Math.floor(r.count / 2);
    const begin = now - position;
    if (position < first) return { high: r.highFirst, position, end: begin + first };
    return { high: !r.highFirst, position: position - first, end: begin + r.count };
  }

  /** What the counter shows at tick `now`, in the channel's own number format. */
  #current(now: number): number {
    const r = this.#r;
    if (r.start === NONE && r.held === NONE) return Math.max(0, r.written);
    const elapsed = Math.max(0, this.#elapsed(now));
    let value: number;
    if (r.mode === 2) value = r.count - (elapsed % r.count);
    else if (r.mode === 3) value = (r.count & ~1) - 2 * this.#half(Math.max(now, r.start)).position;
    else value = r.count - elapsed;
    if (!r.bcd) return modulo(value, BINARY_RANGE);
    const decimal = modulo(value, BCD_RANGE);
    return [1000, 100, 10, 1].reduce((digits, unit) => (digits << 4) | (Math.floor(decimal / unit) % 10), 0);
  }

  /** The written count as a number of ticks. */
  #toCount(): number {
    const { written, bcd, mode } = this.#r;
    let count = written;
    if (bcd) count = (written & 15) + 10 * ((written >> 4) & 15) + 100 * ((written >> 8) & 15) + 1000 * (written >> 12);
    if (count === 0) return bcd ? BCD_RANGE : BINARY_RANGE;
    return mode === 2 || mode === 3 ? Math.max(count, PERIOD_MIN) : count;
  }
}

function later(now: number, tick: number): number | null {
  return tick > now ? tick : null;
}

/** The remainder from 0 to range - 1, also of negative values. */
function modulo(value: number, range: number): number {
  return ((value % range) + range) % range;
}
