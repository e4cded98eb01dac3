/**
 * The differences from QEMU that the FPU makes (known-differences.ts).
 *
 * QEMU knows no stack faults, leaves C1 alone and goes on where an exception is unmasked. An entry that says so holds only
 * where the state before the instruction shows that this must have happened: x87-stack.ts.
 */
import {
  isUnmasked,
  leavesFpu,
  onlyBits,
  onlyFields,
  opcode,
  precisionControl,
  template,
  type KnownDifference,
} from './difference.js';
import { filledTag, isStore, isUnmaskedStore, isWrapped, stackFaultIsDue, unmaskedIsTold } from './x87-stack.js';

const PAGE_FAULT = 14;
/** #SS, #GP, #PF and #AC. */
const MEMORY_FAULTS = new Set([12, 13, PAGE_FAULT, 17]);
const ALL = /^(fsw|ftw|st\d|memory)$/;
const ALL_AND_FLAGS = /^(fsw|ftw|st\d|memory|eflags)$/;
const C1 = 0x200;
const CONDITIONS = 0x4700;
/** DE, and ES and B with it. */
const DENORMAL = 0x8082;

export const X87_DIFFERENCES: readonly KnownDifference[] = [
  {
    id: 'transcendental',
    wrong: 'qemu',
    what: 'FSIN, FCOS, FSINCOS, FPTAN, FPATAN, F2XM1, FYL2X, FYL2XP1, FPREM, FPREM1, FXTRACT, FSCALE: QEMU computes in double precision or without stack faults and condition codes; what instructions without a trap made of it',
    source:
      'Intel SDM volume 1, 8.3.7 to 8.3.10 and 8.5.1.1; emulator/native/x87_*.c is checked by test/emulator/x87*.test.ts',
    matches: (d) =>
      /^d9 (f[0-58-9b-f])$/.test(template(d)) &&
      onlyFields(d, leavesFpu(d) ? /^(fsw|ftw|st\d|e[abcd]x|e[sd]i|ebp)$/ : /^(fsw|ftw|st\d|vector|eip|error|dr6)$/),
  },
  {
    id: 'stack-fault',
    wrong: 'qemu',
    what: 'a load onto a full x87 stack, an operand in an empty register: ft86 raises the stack fault, QEMU goes on with what the registers hold; a store that is unmasked reaches no memory and no page fault',
    source: 'Intel SDM volume 1, 8.5.1.1; test/emulator/x87-stack-faults.test.ts',
    matches: (d) =>
      stackFaultIsDue(d) &&
      (onlyFields(d, leavesFpu(d) ? /^(fsw|ftw|st\d|memory|eflags|e[abcd]x|e[sd]i|ebp)$/ : ALL_AND_FLAGS) ||
        (isUnmaskedStore(d) && d.fields.some(({ name, reference }) => name === 'vector' && reference === PAGE_FAULT))),
  },
  {
    id: 'unmasked-operand',
    wrong: 'qemu',
    what: 'an x87 exception that is unmasked: ft86 leaves the operands, the condition codes, the flags and the memory, and does not pop; QEMU goes on with the masked result',
    source:
      'Intel SDM volume 1, 8.5.1.2 to 8.5.5 (stores: overflow and underflow, too); test/emulator/x87-unmasked.test.ts',
    matches: (d) =>
      unmaskedIsTold(d) &&
      (onlyFields(d, ALL_AND_FLAGS) ||
        (isUnmaskedStore(d) && d.fields.some(({ name, reference }) => name === 'vector' && reference === PAGE_FAULT))),
  },
  {
    id: 'wrapped-exponent',
    wrong: 'qemu',
    what: 'an overflow or underflow of x87 arithmetic that is unmasked: ft86 gives the result with its exponent wrapped, QEMU the masked one',
    source: 'Intel SDM volume 1, 8.5.4 and 8.5.5; test/emulator/x87-arithmetic.test.ts',
    matches: (d) => isWrapped(d) && onlyFields(d, ALL),
  },
  {
    id: 'fsqrt-conditions',
    wrong: 'either',
    what: 'FSQRT of a negative number, -0 among them: ft86 leaves C0, C2 and C3, as processors that were tried do; QEMU sets C2 and clears the others',
    source: 'Intel SDM volume 2, FSQRT: C0, C2 and C3 are undefined',
    matches: (d) => template(d) === 'd9 fa' && d.fields.every((f) => f.name === 'fsw' && onlyBits(f, CONDITIONS)),
  },
  {
    id: 'store-fault',
    wrong: 'qemu',
    what: 'a store of the FPU that faults in memory: ft86 leaves the status word, QEMU has told the exceptions of the conversion',
    source: 'Intel SDM volume 3, 6.5 (faults); test/emulator/x87-store-faults.test.ts',
    matches: (d) => isStore(d) && MEMORY_FAULTS.has(d.vector) && d.fields.every(({ name }) => name === 'fsw'),
  },
  {
    id: 'store-to-empty',
    wrong: 'qemu',
    what: 'FST and FSTP to a register that is empty: it is filled; QEMU leaves its tag',
    source: 'Intel SDM volume 1, 8.1.7 (the tag word); test/emulator/x87-stack-faults.test.ts',
    matches: (d) =>
      d.fields.every((f) => (f.name === 'ftw' && onlyBits(f, filledTag(d))) || (f.name === 'fsw' && onlyBits(f, C1))),
  },
  {
    id: 'fcomi-flags',
    wrong: 'qemu',
    what: 'FCOMI, FCOMIP, FUCOMI and FUCOMIP clear OF, SF and AF: QEMU leaves them',
    source: 'Intel SDM volume 2, FCOMI; test/emulator/x87-stack-faults.test.ts',
    matches: (d) =>
      /^d[bf](e[89a-f]|f)/.test(opcode(d)) &&
      d.fields.every(
        (f) =>
          (f.name === 'eflags' && onlyBits(f, 0x890) && (Number(f.ours) & 0x890) === 0) ||
          (f.name === 'fsw' && onlyBits(f, DENORMAL | C1)),
      ),
  },
  {
    id: 'condition-1',
    wrong: 'qemu',
    what: 'C1 of x87 instructions: ft86 clears it, or tells a rounding; QEMU leaves it as it was',
    source: 'Intel SDM volume 1, 8.1.3.2; volume 2, each instruction (FPU flags affected)',
    matches: (d) => /^d[89a-f] /.test(template(d)) && d.fields.every((f) => f.name === 'fsw' && onlyBits(f, C1)),
  },
  {
    id: 'fbstp',
    wrong: 'qemu',
    what: 'FBSTP to memory that faults: CR2 is the first byte of the operand in ft86, the last in QEMU, which stores from there on; C1, which QEMU leaves',
    source:
      'Intel SDM volume 3, 4.7: the linear address that caused the fault, and 8.1.1: parts may be stored; volume 2, FBSTP: C1',
    matches: (d) =>
      /^df[37b][0-7]/.test(opcode(d)) &&
      d.fields.every(
        (f) =>
          (d.vector === PAGE_FAULT && /^(cr2|error|memory)$/.test(f.name)) || (f.name === 'fsw' && onlyBits(f, 0x200)),
      ),
  },
  {
    id: 'exception-summary',
    wrong: 'qemu',
    what: 'an exception that FLDCW, FLDENV, FRSTOR or FXRSTOR unmasks or masks: ft86 sets or clears ES and B at once, QEMU not at all; of one that faulted behind the control word, ft86 at the next x87 instruction',
    source: 'Intel SDM volume 2, FLDCW; volume 1, 8.1.3.3',
    matches: (d) =>
      (/^(d9[26a]|dd[26a][0-7]|0fae[048][89a-f])/.test(opcode(d)) || (/^d[89a-f]/.test(opcode(d)) && isUnmasked(d))) &&
      d.fields.every((f) => f.name === 'fsw' && onlyBits(f, 0x8080)),
  },
  {
    id: 'x87-precision',
    wrong: 'qemu',
    what: 'with precision control below 64 bits, an operand in memory: QEMU rounds it when it is loaded, and calls it inexact',
    source:
      'Intel SDM volume 1, 8.1.5.2: the precision of results of FADD, FSUB, FMUL, FDIV and FSQRT; test/emulator/x87-arithmetic.test.ts',
    matches: (d) => /^d[89a-f] .* mem$/.test(template(d)) && onlyFields(d, ALL) && precisionControl(d) !== 0x300,
  },
  {
    id: 'denormal-operand',
    wrong: 'qemu',
    what: 'DE of x87 loads and arithmetic with a denormal operand, and with it ES and B: QEMU does not set it',
    source: 'Intel SDM volume 1, 8.5.2; test/emulator/x87-denormal.test.ts',
    matches: (d) =>
      /^d[89a-f] /.test(template(d)) &&
      d.fields.every((field) => field.name === 'fsw' && onlyBits(field, DENORMAL | C1)),
  },
];
