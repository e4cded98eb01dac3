/**
 * What a difference from QEMU is about: its instruction, and which fields and bits of it differ.
 */
import type { Difference, Field } from './compare.js';
import { PREFIXES } from './stray.js';

/** A difference from QEMU that is understood: known-differences.ts. */
export interface KnownDifference {
  readonly id: string;
  readonly wrong: 'qemu' | 'ft86' | 'either';
  readonly what: string;
  readonly source: string;
  readonly matches: (difference: Difference) => boolean;
}

const EFLAGS_AC = 0x40000;
const CR0_AM = 0x40000;

export function template({ placed }: Difference): string {
  return placed?.instruction.template ?? '';
}

function bytes({ placed }: Difference): readonly number[] {
  return placed?.instruction.bytes ?? [];
}

/** The vector of ft86's record, where the reference has another or came to it elsewhere. */
export function vector(difference: Difference): number | undefined {
  return difference.fields.some(({ name }) => name === 'vector' || name === 'eip') ? difference.vector : undefined;
}

export function hasPrefix(difference: Difference, ...wanted: readonly number[]): boolean {
  const code = bytes(difference);
  const end = code.findIndex((byte) => !PREFIXES.has(byte));
  return code.slice(0, end).some((byte) => wanted.includes(byte));
}

export function hasLock(difference: Difference): boolean {
  return hasPrefix(difference, 0xf0);
}

export function onlyFields(difference: Difference, pattern: RegExp): boolean {
  return difference.fields.every(({ name }) => pattern.test(name));
}

/** Whether only these bits of a numeric field differ. */
export function onlyBits({ ours, reference }: Field, mask: number): boolean {
  return ((Number(ours) ^ Number(reference)) & ~mask) === 0;
}

/** Its bytes from the opcode on, in hex. */
export function opcode(difference: Difference): string {
  const code = bytes(difference);
  return Buffer.from(code.slice(code.findIndex((byte) => !PREFIXES.has(byte)))).toString('hex');
}

/** Whether before the instruction an unmasked exception of the FPU was pending. */
export function isUnmasked({ before }: Difference): boolean {
  return (Number(before?.values['fsw'] ?? 0) & ~Number(before?.values['fcw'] ?? 0) & 0x3f) !== 0;
}

/** Whether one of several instructions without a trap between moves from the FPU: MOVD, PEXTRW, PMOVMSKB. */
export function leavesFpu({ placed, before, sequence }: Difference): boolean {
  const later = sequence.placed.slice(sequence.placed.findIndex((other) => other === placed) + 1);
  return before === undefined && later.some(({ instruction }) => /^0f (7e|c5|d7)/.test(instruction.template));
}

export function precisionControl({ before }: Difference): number {
  return Number(before?.values['fcw'] ?? 0) & 0x300;
}

/** Whether the instruction ran with alignment checks, as far as the record before it tells. */
export function checksAlignment({ before }: Difference): boolean {
  const { eflags = EFLAGS_AC, cr0 = CR0_AM } = before?.values ?? {};
  return (Number(eflags) & EFLAGS_AC) !== 0 && (Number(cr0) & CR0_AM) !== 0;
}

/** Whether both have a NaN wherever a float, or a double, of this XMM register differs. */
export function choosesNan({ name, ours, reference }: Field, double: boolean): boolean {
  const [digits, infinity] = double ? [16, 0x7ff0000000000000n] : [8, 0x7f800000n];
  const lanes = (value: number | string): string[] => String(value).match(RegExp(`.{${digits}}`, 'g')) ?? [];
  const isNan = (lane: string): boolean => BigInt.asUintN(4 * digits - 1, BigInt(`0x${lane}`)) > infinity;
  const theirs = lanes(reference);
  return /^xmm/.test(name) && lanes(ours).every((lane, i) => lane === theirs[i] || [lane, theirs[i]!].every(isNan));
}
