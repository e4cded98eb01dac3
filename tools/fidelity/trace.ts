/**
 * The trace the monitor leaves: records of 28 words and an FXSAVE area, grouped by sequence.
 *
 *   word 0 GS FS ES DS | 4 EDI ESI EBP ESP EBX EDX ECX EAX | 12 vector, error code | 14 EIP CS EFLAGS
 *        17 ESP SS ES DS FS GS, as far as the processor pushed them | 23 CR2 DR6 | 25 sequence | 26 CR0 CR4
 *
 * Source: monitor.S; FXSAVE: Intel SDM volume 1, table 10-2.
 */
import { END_VECTOR, LAYOUT } from './layout.js';
import type { Sequence } from './sequence.js';

const ESP_WORD = 17;
const SEQUENCE_WORD = 25;
const FX_AT = 112;
const EFLAGS_VM = 0x20000;

/** A state after an instruction, or when it faulted, by name. All values are unsigned. */
export interface State {
  readonly vector: number;
  readonly values: Readonly<Record<string, number | string>>;
}

const WORDS: readonly (readonly [name: string, word: number, mask: number])[] = [
  ['gs', 0, 0xffff],
  ['fs', 1, 0xffff],
  ['es', 2, 0xffff],
  ['ds', 3, 0xffff],
  ['edi', 4, ~0],
  ['esi', 5, ~0],
  ['ebp', 6, ~0],
  ['ebx', 8, ~0],
  ['edx', 9, ~0],
  ['ecx', 10, ~0],
  ['eax', 11, ~0],
  ['vector', 12, ~0],
  ['error', 13, ~0],
  ['eip', 14, ~0],
  ['cs', 15, 0xffff],
  ['eflags', 16, ~0],
  ['cr2', 23, ~0],
  ['dr6', 24, ~0],
  ['cr0', 26, ~0],
  ['cr4', 27, ~0],
];
const OUTER: typeof WORDS = [
  ['esp', 17, ~0],
  ['ss', 18, 0xffff],
];
const V86: typeof WORDS = [
  ['v86es', 19, 0xffff],
  ['v86ds', 20, 0xffff],
  ['v86fs', 21, 0xffff],
  ['v86gs', 22, 0xffff],
];
/** Without outer stack in the frame: ESP where PUSHAD began, above it vector, error code, EIP CS EFLAGS. */
const INNER: typeof WORDS = [['frame', 7, ~0]];

/** One raw record. */
export type RawRecord = Buffer;

function word(record: RawRecord, index: number): number {
  return record.readUInt32LE(4 * index);
}

export function recordVector(record: RawRecord): number {
  return word(record, 12);
}

export function recordEip(record: RawRecord): number {
  return word(record, 14);
}

export function recordCs(record: RawRecord): number {
  return word(record, 15) & 0xffff;
}

export function isVirtual8086(record: RawRecord): boolean {
  return (word(record, 16) & EFLAGS_VM) !== 0;
}

/**
 * Whether a real-mode record is not what the processor had pushed: with SP near 0 that wraps around the end of the segment,
 * and the monitor, which looks above SP, reads and goes on with something else.
 */
export function frameWraps(record: RawRecord): boolean {
  return word(record, ESP_WORD) > 0xffff;
}

/** For rules that depend on a count. */
export function recordEcx(record: RawRecord): number {
  return word(record, 10);
}

/** What the record says, by name. */
export function decode(record: RawRecord, real: boolean): State {
  const vector = recordVector(record);
  const memory = record.readUInt32LE(LAYOUT.RECORD_DIGEST);
  if (vector === END_VECTOR) return { vector, values: { memory } };
  const v86 = isVirtual8086(record);
  const outer = real || v86 || (word(record, 15) & 3) !== 0;
  const values: Record<string, number | string> = {};
  const names = [...WORDS, ...(outer ? OUTER : INNER), ...(v86 || real ? V86 : [])];
  for (const [name, index, mask] of names) values[name] = (word(record, index) & mask) >>> 0;
  values['memory'] = memory;
  const fx = record.subarray(FX_AT, FX_AT + LAYOUT.FX_BYTES);
  values['fcw'] = fx.readUInt16LE(0);
  values['fsw'] = fx.readUInt16LE(2);
  values['ftw'] = fx.readUInt8(4);
  values['mxcsr'] = fx.readUInt32LE(24);
  for (let i = 0; i < 8; i++) {
    values[`st${i}`] = hex(fx.subarray(32 + 16 * i, 42 + 16 * i));
    values[`xmm${i}`] = hex(fx.subarray(160 + 16 * i, 176 + 16 * i));
  }
  return { vector, values };
}

/** Most significant byte first. */
function hex(bytes: Buffer): string {
  return Buffer.from(bytes).reverse().toString('hex');
}

/** The records of each sequence, in order; the last has them all only if it ends with END_VECTOR. */
export function splitTrace(ram: Buffer, sequences: readonly Sequence[]): RawRecord[][] {
  const groups: RawRecord[][] = sequences.map(() => []);
  let current = 0;
  for (let at: number = LAYOUT.TRACE; at + LAYOUT.RECORD_BYTES <= ram.length; at += LAYOUT.RECORD_BYTES) {
    const record = ram.subarray(at, at + LAYOUT.RECORD_BYTES);
    const sequence = record.readUInt32LE(4 * SEQUENCE_WORD);
    if (sequence !== current && sequence !== current + 1) break;
    if (sequence === 0 && record.every((byte) => byte === 0)) break;
    current = sequence;
    groups[sequence]?.push(record);
  }
  return groups;
}
