/**
 * Goal: where a run is cut changes nothing, whatever the code: two replicas never end their slices at the same instructions.
 * Method: random sequences, of integer instructions that work on each other's flags and of any bytes, run whole and cut at
 * random places; registers, flags, RAM, bus and the processor's saved state must be equal. All exceptions lead to a handler
 * that stores flags and FPU, and ends the run.
 */
import fc from 'fast-check';
import { expect, test } from '@jest/globals';
import { flatRegisters, guestOf, le32, setHandler } from './guest-code.js';

const DATA = 0x6000;
const HANDLER = 0x7000;
const HLT = 0xf4;
/** PUSHFD and FNSAVE [6800h]: what of flags and FPU no register shows. */
const STORE_ALL = [0x9c, 0xdd, 0x35, ...le32(0x6800), HLT];
/** A sequence has 12 instructions, but one may jump. */
const ICOUNT_MAX = 150;

const byte = fc.nat(255);
const digit = fc.nat(7);
/** Not ESP. */
const register = fc.constantFrom(0, 1, 2, 3, 5, 6, 7);
/** Register operands. */
const modrm = fc.tuple(register, register).map(([reg, rm]) => 0xc0 | (reg << 3) | rm);
const count = fc.oneof(fc.constantFrom(0, 1, 8, 16, 31, 32, 33), byte);
const number = fc.oneof(
  fc.constantFrom(0, 1, 0x7fffffff, 0x80000000, 0xffffffff, DATA, DATA + 0xff),
  fc.nat(0xffffffff),
);

function opcode(...bytes: number[]): fc.Arbitrary<number[]> {
  return fc.constantFrom(...bytes).map((first) => [first]);
}
function twoBytes(...bytes: number[]): fc.Arbitrary<number[]> {
  return fc.constantFrom(...bytes).map((second) => [0x0f, second]);
}
/** An opcode with operands in registers, of 32 or 16 bits. */
function onRegisters(code: fc.Arbitrary<number[]>): fc.Arbitrary<number[]> {
  return fc.tuple(fc.boolean(), code, modrm).map(([short, first, last]) => [...(short ? [0x66] : []), ...first, last]);
}
function withDigit(code: fc.Arbitrary<number[]>, digits: readonly number[]): fc.Arbitrary<number[]> {
  return fc
    .tuple(code, fc.constantFrom(...digits), register)
    .map(([first, which, rm]) => [...first, 0xc0 | (which << 3) | rm]);
}
function followed(code: fc.Arbitrary<number[]>, last: fc.Arbitrary<number>): fc.Arbitrary<number[]> {
  return fc.tuple(code, last).map(([first, end]) => [...first, end]);
}

const SHIFTS = [0, 1, 2, 3, 4, 5, 7];
const ARITHMETIC = [0x01, 0x09, 0x11, 0x19, 0x21, 0x29, 0x31, 0x39];
const integer = fc.oneof(
  { weight: 4, arbitrary: onRegisters(opcode(...ARITHMETIC, 0x85)) },
  { weight: 2, arbitrary: onRegisters(twoBytes(0xa3, 0xab, 0xb3, 0xbb)) },
  followed(withDigit(twoBytes(0xba), [4, 5, 6, 7]), byte),
  followed(withDigit(opcode(0x83), [0, 1, 2, 3, 4, 5, 6, 7]), byte),
  followed(withDigit(opcode(0xc1), SHIFTS), count),
  withDigit(opcode(0xd1, 0xd3), SHIFTS),
  followed(onRegisters(twoBytes(0xa4, 0xac)), count),
  onRegisters(twoBytes(0xa5, 0xad, 0xaf, 0xb1, 0xbc, 0xbd, 0xc1)),
  withDigit(opcode(0xf7), [2, 3, 4, 5]),
  opcode(0x27, 0x2f, 0x37, 0x3f, 0xf5, 0xf8, 0xf9, 0x9e, 0x9f, 0xd6),
  fc.tuple(fc.constantFrom(0x40, 0x48), register).map(([code, rm]) => [code | rm]),
  fc.tuple(fc.nat(15), digit).map(([condition, rm]) => [0x0f, 0x90 | condition, 0xc0 | rm]),
  fc.nat(15).map((condition) => [0x70 | condition, 0]),
  fc.tuple(fc.constant(0xb9), count).map(([code, value]) => [code, ...le32(value)]),
  fc.constantFrom(0xb3, 0xab, 0xa3, 0xbb).map((code) => [0x0f, code, 0x3d, ...le32(DATA)]),
  fc.constantFrom(...ARITHMETIC).map((code) => [0xf0, code, 0x0d, ...le32(DATA)]),
);

const prefixes = fc.array(fc.constantFrom(0x66, 0xf2, 0xf3, 0xf0, 0x67, 0x26, 0x64), { maxLength: 3 });
const anyOpcode = fc.oneof(
  byte.map((first) => [first]),
  byte.map((second) => [0x0f, second]),
  byte.map((x) => [0xd8 | (x & 7)]),
);
const operand = fc.oneof(
  byte.map((low) => [0xc0 | low]),
  fc.tuple(digit, byte).map(([reg, low]) => [0x05 | (reg << 3), ...le32(DATA + low)]),
);
const anyBytes = fc.tuple(prefixes, anyOpcode, operand, byte).map((parts) => parts.flat());

interface Program {
  readonly code: readonly number[];
  readonly registers: Record<'eax' | 'ebx' | 'ecx' | 'edx' | 'esi' | 'edi' | 'ebp', number>;
}

function program(instruction: fc.Arbitrary<number[]>): fc.Arbitrary<Program> {
  const sequence = fc.array(instruction, { minLength: 12, maxLength: 12 });
  const registers = fc.record({
    ...{ eax: number, ebx: number, ecx: number, edx: number },
    ...{ esi: number, edi: number, ebp: number },
  });
  return fc.record({ code: sequence.map((parts) => parts.flat()), registers });
}

/** All there is to see after a run of which each slice has the next of `slices` instructions, in turn. */
function outcome({ code, registers }: Program, slices: readonly number[]): unknown {
  const { vcpu, bus } = guestOf([...code, ...STORE_ALL]);
  for (let vector = 0; vector < 32; vector++) setHandler(vcpu, vector, HANDLER, STORE_ALL);
  vcpu.setRegisters({ ...flatRegisters(vcpu), ...registers, cr0: 0x31, cr4: 0x600 });
  let exit = 'target';
  for (let turn = 0; exit === 'target' && vcpu.icount < ICOUNT_MAX; turn++) {
    exit = vcpu.run(Math.min(ICOUNT_MAX, vcpu.icount + slices[turn % slices.length]!));
  }
  const { accesses } = bus;
  const seen = { exit, accesses, registers: vcpu.getRegisters(), ram: vcpu.ramDigest(), state: vcpu.saveState() };
  vcpu.dispose();
  return seen;
}

test.each([
  ['integer instructions', integer],
  ['any bytes', fc.oneof(integer, anyBytes)],
])('%s', (_, instruction) => {
  const slices = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(program(instruction), slices, (guest, cut) => {
      expect(outcome(guest, cut)).toEqual(outcome(guest, [ICOUNT_MAX]));
    }),
    { numRuns: 80 },
  );
});
