/**
 * A program: everything in RAM before the reset, made from a seed.
 */
import { guestCode, monitorSymbols, type GuestCode, type MonitorSymbols } from './assemble.js';
import { LAYOUT } from './layout.js';
import { Chooser, fxImage, vectorBytes } from './random-values.js';
import { FX_IMAGES, markLengths, randomSequence, TEMPLATES, type Sequence } from './sequence.js';
import { writeTables } from './tables.js';

export interface Program {
  /** RAM from 0 up to the trace, which is empty. */
  readonly image: Buffer;
  readonly rom: Buffer;
  readonly sequences: readonly Sequence[];
  readonly symbols: MonitorSymbols;
  readonly seed: number;
  readonly index: number;
  /** Whether the state after each instruction is recorded, or only at faults and at each sequence's end. */
  readonly traced: boolean;
}

export interface ProgramOptions {
  readonly seed: number;
  /** Number of the program within the run; each has other sequences. */
  readonly index: number;
  readonly sequenceCount: number;
  readonly traced: boolean;
  /** Halt the monitor before and after each record for a lock-step driver. */
  readonly stepping: boolean;
  /** Run this sequence alone. */
  readonly only?: number;
  /** Put a digest of the scratch memory into every record, not only into each sequence's last: slower. */
  readonly watching: boolean;
}

function emptyImage(code: GuestCode): Buffer {
  const image = Buffer.alloc(LAYOUT.TRACE);
  code.monitor.copy(image, LAYOUT.MONITOR);
  code.realMode.copy(image, LAYOUT.REAL_MONITOR);
  return image;
}

function writeData(image: Buffer, choose: Chooser): void {
  for (let i = 0; i < FX_IMAGES; i++) fxImage(choose).copy(image, LAYOUT.FX_IMAGES + 512 * i);
  for (let at = 0; at < LAYOUT.SCRATCH_BYTES * TEMPLATES; at += 16)
    vectorBytes(choose).copy(image, LAYOUT.TEMPLATES + at);
}

/** Where in RAM the trace of all its sequences ends at the latest. */
export function traceEnd({ sequences }: Program): number {
  const recordsMax = sequences.length * (LAYOUT.RECORDS_MAX + 1);
  return Math.min(LAYOUT.RAM_BYTES, LAYOUT.TRACE + recordsMax * LAYOUT.RECORD_BYTES);
}

type Made = Pick<Program, 'image' | 'rom' | 'sequences' | 'symbols'>;

function make({ seed, index, sequenceCount, traced }: ProgramOptions): Made {
  const code = guestCode();
  const symbols = monitorSymbols(code.monitor);
  const image = emptyImage(code);
  writeTables(image, symbols);
  const choose = new Chooser(seed, index);
  writeData(image, choose);
  image.fill(0xcc, LAYOUT.CODE, LAYOUT.CODE + LAYOUT.CODE_BYTES);
  const lengths = image.subarray(LAYOUT.LENGTHS, LAYOUT.LENGTHS + LAYOUT.CODE_BYTES);
  const sequences: Sequence[] = [];
  let at: number = LAYOUT.CODE;
  while (sequences.length < sequenceCount) {
    const sequence = randomSequence(choose, at, traced);
    const start = sequence.placed[0]!.address;
    at = start + sequence.code.length;
    if (at > LAYOUT.CODE + LAYOUT.CODE_BYTES - 16) break;
    sequence.code.copy(image, start);
    markLengths(lengths, sequence);
    sequence.entry.copy(image, LAYOUT.SEQUENCES + LAYOUT.SEQUENCE_BYTES * sequences.length);
    sequences.push(sequence);
  }
  return { image, rom: code.rom, sequences, symbols };
}

/** The last one made: its sequences are run one by one after it. */
let last: { readonly key: string; readonly made: Made } | undefined;

/** Make a program. The same options give the same bytes. */
export function makeProgram(options: ProgramOptions): Program {
  const { seed, index, sequenceCount, traced } = options;
  const key = JSON.stringify([seed, index, sequenceCount, traced]);
  if (last?.key !== key) last = { key, made: make(options) };
  const { made } = last;
  const { rom, symbols } = made;
  const image = Buffer.from(made.image);
  const sequences = options.only === undefined ? made.sequences : made.sequences.slice(options.only, options.only + 1);
  sequences[0]?.entry.copy(image, LAYOUT.SEQUENCES);
  image.writeUInt32LE(sequences.length, LAYOUT.SEQUENCE_COUNT);
  image.writeUInt32LE(options.stepping ? 1 : 0, symbols.stepping);
  image.writeUInt32LE(options.watching ? 1 : 0, symbols.watching);
  return { image, rom, sequences, symbols, seed, index, traced };
}
