/**
 * Whether an instruction may break the rules of its operand's segment, computed apart from ft86: QEMU enforces none, so
 * that a #GP(0) or #SS(0) of ft86 must be shown to have a reason.
 *
 *   ModRM, SIB, displacement -> offset -> beyond the limit by its largest operand, or a type that may forbid it
 *
 * Operands that no ModRM byte names (stack, strings, far transfers) and states that are not recorded are taken to break one.
 * Source: Intel SDM volume 2, tables 2-1 to 2-3; volume 3, 5.3 and 5.5.
 */
import type { Difference } from './compare.js';
import { LAYOUT } from './layout.js';

const REGISTERS = ['eax', 'ecx', 'edx', 'ebx', 'esp', 'ebp', 'esi', 'edi'] as const;
const BASES_16 = [['ebx', 'esi'], ['ebx', 'edi'], ['ebp', 'esi'], ['ebp', 'edi'], ['esi'], ['edi'], ['ebp'], ['ebx']];
const SEGMENT_PREFIXES: Readonly<Record<number, string>> = {
  0x26: 'es',
  0x2e: 'cs',
  0x36: 'ss',
  0x3e: 'ds',
  0x64: 'fs',
  0x65: 'gs',
};
const OTHER_PREFIXES = new Set([0x66, 0x67, 0xf0, 0xf2, 0xf3]);
const DOUBLE_FAULT = 8;
const STACK_FAULT = 12;
/** FXSAVE; no other operand is larger. */
const OPERAND_BYTES_MAX = 512;

interface Operand {
  readonly segment: string;
  readonly offset: number;
}

type Values = Readonly<Record<string, number | string>>;

function hasModrm(opcode: number, second: number): boolean {
  if (opcode === 0x0f) {
    if ([0xa0, 0xa1, 0xa8, 0xa9, 0x77].includes(second)) return false; // PUSH and POP of FS and GS, EMMS
    return !(second < 0x10 && second > 3) && (second & 0xf8) !== 0x30 && (second & 0xf0) !== 0x80;
  }
  if (opcode < 0x40) return (opcode & 7) < 4;
  return (
    [0x62, 0x63, 0x69, 0x6b, 0xc0, 0xc1, 0xc4, 0xc5, 0xc6, 0xc7, 0xf6, 0xf7, 0xfe, 0xff].includes(opcode) ||
    (opcode >= 0x80 && opcode < 0x90) ||
    (opcode >= 0xd0 && opcode < 0xe0 && (opcode & 0xc) !== 4)
  );
}

function sum(values: Values, names: readonly string[]): number {
  return names.reduce((total, name) => total + Number(values[name]), 0);
}

function address16(code: readonly number[], at: number, values: Values): Operand {
  const [mode, base] = [code[at]! >> 6, code[at]! & 7];
  const absolute = mode === 0 && base === 6;
  const byte = ((code[at + 1]! << 24) >> 24) | 0;
  const displacement = mode === 1 ? byte : mode === 2 || absolute ? code[at + 1]! | (code[at + 2]! << 8) : 0;
  const names = absolute ? [] : BASES_16[base]!;
  return { segment: names[0] === 'ebp' ? 'ss' : 'ds', offset: (sum(values, names) + displacement) & 0xffff };
}

function address32(code: readonly number[], at: number, values: Values): Operand {
  const mode = code[at]! >> 6;
  let base = code[at]! & 7;
  let next = at + 1;
  let offset = 0;
  if (base === 4) {
    const sib = code[next++]!;
    base = sib & 7;
    const index = (sib >> 3) & 7;
    if (index !== 4) offset = Number(values[REGISTERS[index]!]) * 2 ** (sib >> 6);
  }
  const absolute = mode === 0 && base === 5;
  if (!absolute) offset += Number(values[REGISTERS[base]!]);
  if (mode === 1) offset += (code[next]! << 24) >> 24;
  if (mode === 2 || absolute) offset += Buffer.from(code.slice(next, next + 4)).readInt32LE(0);
  const segment = !absolute && (base === 4 || base === 5) ? 'ss' : 'ds';
  return { segment, offset: ((offset % 2 ** 32) + 2 ** 32) % 2 ** 32 };
}

/** The segment's rules in protected mode: first and last offset, and whether each access is allowed by type. */
function allowed(image: Buffer, selector: number): { low: number; high: number; any: boolean } {
  const at = ((selector & 4) === 0 ? LAYOUT.GDT : LAYOUT.LDT) + (selector & ~7);
  const [first, second] = [image.readUInt32LE(at), image.readUInt32LE(at + 4)];
  const limit = (first & 0xffff) | (second & 0xf0000);
  const scaled = (second & 0x800000) === 0 ? limit : limit * 0x1000 + 0xfff;
  const type = (second >> 8) & 0xf;
  const down = (type & 0xc) === 4;
  return {
    low: down ? scaled + 1 : 0,
    high: down ? ((second & 0x400000) === 0 ? 0xffff : 0xffffffff) : scaled,
    any: (type & 0xa) === 2,
  };
}

/**
 * Ring 0 and real mode: the exception's frame, and what the monitor's first instructions push, lie on the sequence's own stack,
 * which may be as good as full, or somewhere else when the sequence has just changed ESP. In real mode the exception that
 * follows does not fit either: a shutdown.
 */
export function isMonitorsStack({ fields, sequence, vector }: Difference): boolean {
  const eip = Number(fields.find(({ name }) => name === 'eip')?.ours);
  if (sequence.kind === 'ring0') {
    const inMonitor = eip >= LAYOUT.MONITOR && eip < LAYOUT.MONITOR + LAYOUT.MONITOR_BYTES;
    const inFrame =
      fields.some(({ name }) => name === 'vector') || fields.every(({ name }) => /^(memory|cr2)$/.test(name));
    return vector === DOUBLE_FAULT && (inMonitor || inFrame);
  }
  const inside = eip >= LAYOUT.REAL_MONITOR && eip < LAYOUT.REAL_RETURN;
  const shutDown = fields.every(({ name, ours }) => name === 'finished' && ours === 'false');
  return sequence.kind === 'real' && (shutDown || (vector === STACK_FAULT && inside));
}

/** False only if the operand certainly lies within its segment, and the segment allows everything. */
export function mayBreakSegment({ placed, before, program, sequence }: Difference): boolean {
  if (placed === undefined || before === undefined) return true;
  const { bytes: code } = placed.instruction;
  const start = code.findIndex((byte) => SEGMENT_PREFIXES[byte] === undefined && !OTHER_PREFIXES.has(byte));
  const prefixes = code.slice(0, start);
  const at = start + (code[start] === 0x0f ? 2 : 1);
  const usesStack = code[start] === 0xff || code[start] === 0x8f;
  if (!hasModrm(code[start]!, code[start + 1]!) || code[at]! >= 0xc0 || usesStack) return true;
  const bitString = code[start] === 0x0f && [0xa3, 0xab, 0xb3, 0xbb].includes(code[start + 1]!);
  const small = prefixes.includes(0x67) === ['user32', 'flat32', 'ring0'].includes(sequence.kind);
  const operand = (small ? address16 : address32)(code, at, before.values);
  if (bitString || Number.isNaN(operand.offset)) return true;
  const named = prefixes.findLast((byte) => SEGMENT_PREFIXES[byte] !== undefined);
  const segment = named === undefined ? operand.segment : SEGMENT_PREFIXES[named]!;
  const real = sequence.kind === 'real' || sequence.kind === 'v86';
  const selector = Number(before.values[segment]);
  if (!real && (selector & 0xfffc) === 0) return true;
  const { low, high, any } = real ? { low: 0, high: 0xffff, any: true } : allowed(program.image, selector);
  return !any || operand.offset < low || operand.offset + OPERAND_BYTES_MAX - 1 > high;
}
