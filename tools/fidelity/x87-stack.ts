/**
 * Which x87 registers an instruction needs, and what the state before it says of them.
 * Source: Intel SDM volume 2, appendix A, tables; volume 1, 8.1.2, 8.1.7 and 8.5.1.1.
 */
import type { Difference } from './compare.js';
import { opcode } from './difference.js';

const REGISTER_FORM = 0xc0;
const TOP_SHIFT = 11;
const STACK_FAULT = 0x40;
const BEFORE_OPERATION = 0x07;
const STORED = 0x19;
/** Overflow and underflow. */
const WRAPPING = 0x18;
const FX_ENTRY = 20;

interface Needs {
  /** Numbers of registers that must not be empty. */
  readonly filled: readonly number[];
  /** Whether it pushes. */
  readonly room: boolean;
}

interface Fpu {
  readonly control: number;
  readonly top: number;
  /** A bit for each physical register, set where it is not empty. */
  readonly tags: number;
}

/** Of opcodes D8 to DF with an operand in memory: digits that push, digits that look at ST(0). */
const MEMORY: Readonly<Record<number, readonly [room: string, filled: string]>> = {
  0xd8: ['', '01234567'],
  0xd9: ['0', '23'],
  0xda: ['', '01234567'],
  0xdb: ['05', '1237'],
  0xdc: ['', '01234567'],
  0xdd: ['0', '123'],
  0xde: ['', '01234567'],
  0xdf: ['045', '12367'],
};
/** With a register: digits that look at ST(0) and ST(i), digits that look at ST(0) alone. */
const REGISTERS: Readonly<Record<number, readonly [both: string, one: string]>> = {
  0xd8: ['01234567', ''],
  0xd9: ['1', '3'],
  0xda: ['0123', ''],
  0xdb: ['012356', ''],
  0xdc: ['01234567', ''],
  0xdd: ['145', '23'],
  0xde: ['0124567', ''],
  0xdf: ['156', '23'],
};
const OF_ST0 = new Set([0xe0, 0xe1, 0xe4, 0xfa, 0xfc]);

function parts(d: Difference): [opcode: number, modrm: number] {
  const code = Buffer.from(opcode(d), 'hex');
  return [code[0] ?? 0, code[1] ?? 0];
}

function needs(d: Difference): Needs | undefined {
  const [code, modrm] = parts(d);
  const digit = String((modrm >> 3) & 7);
  const i = modrm & 7;
  if (modrm < REGISTER_FORM) {
    const row = MEMORY[code];
    return row && { room: row[0].includes(digit), filled: row[1].includes(digit) ? [0] : [] };
  }
  if (code === 0xd9 && modrm < 0xc8) return { room: true, filled: [i] };
  if (code === 0xd9 && modrm >= 0xe0)
    return { room: modrm >= 0xe8 && modrm <= 0xee, filled: OF_ST0.has(modrm) ? [0] : [] };
  if ((code === 0xda && modrm === 0xe9) || (code === 0xde && modrm === 0xd9)) return { room: false, filled: [0, 1] };
  const row = REGISTERS[code];
  if (row === undefined) return undefined;
  return { room: false, filled: row[0].includes(digit) ? [0, i] : row[1].includes(digit) ? [0] : [] };
}

/** Before the instruction; at its sequence's start, of the image that is loaded there. Undefined: others have run since. */
function fpuBefore({ before, placed, sequence, program }: Difference): Fpu | undefined {
  if (before !== undefined) {
    const status = Number(before.values['fsw']);
    return {
      control: Number(before.values['fcw']),
      top: (status >> TOP_SHIFT) & 7,
      tags: Number(before.values['ftw']),
    };
  }
  if (placed?.address !== sequence.placed[0]?.address) return undefined;
  const image = program.image.subarray(sequence.entry.readUInt32LE(FX_ENTRY));
  return { control: image.readUInt16LE(0), top: (image.readUInt16LE(2) >> TOP_SHIFT) & 7, tags: image[4]! };
}

/** Status word of ft86 after the instruction. */
function statusAfter({ after }: Difference): number {
  return Number(after?.values['fsw'] ?? 0);
}

/** Whether the instruction meets a full or an empty register, as far as that is to be known, and ft86 says so. */
export function stackFaultIsDue(d: Difference): boolean {
  const wanted = needs(d);
  if (wanted === undefined || (!wanted.room && wanted.filled.length === 0)) return false;
  if ((statusAfter(d) & STACK_FAULT) === 0) return false;
  const fpu = fpuBefore(d);
  if (fpu === undefined) return true;
  const isFilled = (number: number): boolean => (fpu.tags & (1 << ((fpu.top + number) & 7))) !== 0;
  return (wanted.room && isFilled(7)) || !wanted.filled.every(isFilled);
}

/** Whether ft86 tells an unmasked exception that leaves everything as it was. */
export function unmaskedIsTold(d: Difference): boolean {
  const [code] = parts(d);
  if (code < 0xd8 || code > 0xdf) return false;
  const control = fpuBefore(d)?.control ?? 0;
  return (statusAfter(d) & ~control & (isStore(d) ? STORED : BEFORE_OPERATION)) !== 0;
}

/** Whether arithmetic has met an overflow or underflow that is unmasked, so that the exponent of its result is wrapped. */
export function isWrapped(d: Difference): boolean {
  const [code, modrm] = parts(d);
  const arithmetic = /^(d8|dc|de)$/.test(code.toString(16)) || (code === 0xda && modrm < REGISTER_FORM);
  return arithmetic && (statusAfter(d) & ~(fpuBefore(d)?.control ?? 0) & WRAPPING) !== 0;
}

/** Whether it writes a number to memory. */
export function isStore(d: Difference): boolean {
  const [code, modrm] = parts(d);
  return modrm < REGISTER_FORM && (code & 1) === 1 && ![0, 4, 5].includes((modrm >> 3) & 7);
}

/** Whether it is a store, of whose exceptions not all are masked. */
export function isUnmaskedStore(d: Difference): boolean {
  return isStore(d) && ((fpuBefore(d)?.control ?? 0) & STORED) !== STORED;
}

/** The bit of the tag word that FST or FSTP ST(i) sets; 0 for any other instruction. */
export function filledTag(d: Difference): number {
  const [code, modrm] = parts(d);
  const isMove = (code === 0xdd || code === 0xdf ? modrm >= 0xd0 : code === 0xd9 && modrm >= 0xd8) && modrm < 0xe0;
  const fpu = fpuBefore(d);
  if (!isMove) return 0;
  return fpu === undefined ? 0xff : 1 << ((fpu.top + modrm) & 7);
}
