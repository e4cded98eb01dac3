/**
 * Goal: a pseudo-denormal operand (exponent field 0, integer bit 1) is the number it encodes, and registers that are only read
 * keep its encoding; a denormal operand of either kind sets DE, unless something that comes first is invalid.
 * Method: both operands on the stack, the instruction, and what it leaves; the same with the number's ordinary encoding.
 * Source: Intel SDM volume 1, 4.8.3.2, table 8-3, 4.9.2 (precedence), 8.5.2; volume 2, FLD, FCOM (exceptions).
 */
import { describe, expect, test } from '@jest/globals';
import { le32 } from './guest-code.js';
import { DATA, runCode } from './run-code.js';

const [IE, DE, ZE] = [1, 2, 4];
const CONDITIONS = 0x4700;
type Number80 = readonly [signExponent: number, high: number, low: number];
const PSEUDO: Number80 = [0, 0x80000000, 3];
/** The same number with the exponent field that it should have. */
const ORDINARY: Number80 = [1, 0x80000000, 3];
const DENORMAL: Number80 = [0, 0x00000001, 5];
const ONE: Number80 = [0x3fff, 0x80000000, 0];
const ZERO: Number80 = [0, 0, 0];
const QUIET: Number80 = [0x7fff, 0xc0000000, 1];
const SIGNALLING: Number80 = [0x7fff, 0x80000000, 1];
const INFINITY: Number80 = [0x7fff, 0x80000000, 0];

function bytes([exponent, high, low]: Number80): number[] {
  return [...le32(low), ...le32(high), exponent & 255, exponent >> 8];
}

interface Left {
  readonly status: number;
  readonly st0: string;
  readonly st1: string;
}

/** Load y, then x; do it; FNSTSW AX; FSTP twice. */
function run(code: readonly number[], x: Number80, y: Number80 = ONE): Left {
  const fld = (at: number): number[] => [0xdb, 0x2d, ...le32(DATA + at)];
  const fstp = (at: number): number[] => [0xdb, 0x3d, ...le32(DATA + at)];
  const program = [0xdb, 0xe3, ...fld(10), ...fld(0), ...code, 0xdf, 0xe0, ...fstp(0), ...fstp(16)];
  const { registers, word } = runCode(program, [...bytes(x), ...bytes(y)]);
  const number = (at: number): string =>
    [word(at + 8) & 0xffff, word(at + 4), word(at)].map((part) => part.toString(16)).join(':');
  return { status: registers.eax & 0xffff, st0: number(0), st1: number(16) };
}

function name([exponent, high, low]: Number80): string {
  return [exponent, high, low].map((part) => part.toString(16)).join(':');
}

const BINARY: [string, number[]][] = [
  ['FADD', [0xd8, 0xc1]],
  ['FMUL', [0xd8, 0xc9]],
  ['FSUB', [0xd8, 0xe1]],
  ['FSUBR', [0xd8, 0xe9]],
  ['FDIV', [0xd8, 0xf1]],
  ['FDIVR', [0xd8, 0xf9]],
  ['FADD to ST(1)', [0xdc, 0xc1]],
  ['FMUL to ST(1)', [0xdc, 0xc9]],
  ['FSUB to ST(1)', [0xdc, 0xe1]],
  ['FDIV to ST(1)', [0xdc, 0xf1]],
];
const COMPARE: [string, number[]][] = [
  ['FCOM', [0xd8, 0xd1]],
  ['FUCOM', [0xdd, 0xe1]],
];

describe('pseudo-denormals', () => {
  test.each(BINARY)('%s', (_, code) => {
    for (const other of [ONE, ORDINARY, [0x4001, 0xc0000000, 1] as const])
      for (const swap of [false, true]) {
        const both = (x: Number80): [Number80, Number80] => (swap ? [other, x] : [x, other]);
        const [found, expected] = [run(code, ...both(PSEUDO)), run(code, ...both(ORDINARY))];
        expect(found.status).toBe(expected.status | DE);
        const result = code[0] === 0xdc ? 'st1' : 'st0';
        expect(found[result]).toBe(expected[result]);
        const [x, y] = both(PSEUDO);
        expect(code[0] === 0xdc ? found.st0 : found.st1).toBe(name(code[0] === 0xdc ? x : y));
      }
  });

  test.each(COMPARE)('%s', (_, code) => {
    const conditions = (x: Number80, y: Number80): number => run(code, x, y).status & CONDITIONS;
    expect(conditions(PSEUDO, ORDINARY)).toBe(0x4000);
    expect(conditions(PSEUDO, PSEUDO)).toBe(0x4000);
    expect(conditions(PSEUDO, DENORMAL)).toBe(0);
    expect(conditions(DENORMAL, PSEUDO)).toBe(0x100);
    expect(run(code, PSEUDO)).toEqual({ status: 0x3000 | 0x100 | DE, st0: name(PSEUDO), st1: name(ONE) });
  });

  test('FSQRT, FRNDINT, FTST', () => {
    expect(run([0xd9, 0xfa], PSEUDO)).toMatchObject({ st0: run([0xd9, 0xfa], ORDINARY).st0 });
    expect(run([0xd9, 0xfa], PSEUDO).status & DE).toBe(DE);
    expect(run([0xd9, 0xfc], PSEUDO)).toMatchObject({ st0: name(ZERO), status: 0x3000 | DE | 0x20 });
    expect(run([0xd9, 0xe4], PSEUDO)).toMatchObject({ st0: name(PSEUDO), status: 0x3000 | DE });
  });

  test('are moved as they are', () => {
    expect(run([0xd9, 0xc9], PSEUDO)).toEqual({ status: 0x3000, st0: name(ONE), st1: name(PSEUDO) });
    expect(run([0xd9, 0xe0], PSEUDO)).toEqual({
      status: 0x3000,
      st0: name([0x8000, ...PSEUDO.slice(1)] as never),
      st1: name(ONE),
    });
  });
});

describe('DE', () => {
  test.each([
    ['is set for a denormal', DENORMAL, ONE, DE],
    ['is set for a denormal in ST(1)', ONE, DENORMAL, DE],
    ['is not set beside a quiet NaN', DENORMAL, QUIET, 0],
    ['is not set beside a signalling NaN', DENORMAL, SIGNALLING, IE],
    ['is set beside infinity', DENORMAL, INFINITY, DE],
    ['is not set for zero', ZERO, ONE, 0],
  ])('%s', (_, x, y, expected) => {
    expect(run([0xd8, 0xc1], x, y).status & 7).toBe(expected);
  });

  test('is not set where a denormal is divided by zero', () => {
    expect(run([0xd8, 0xf1], DENORMAL, ZERO).status & 7).toBe(ZE);
  });

  test('is not set for the root of a negative number', () => {
    expect(run([0xd9, 0xfa], [0x8000, 1, 0]).status & 7).toBe(IE);
  });

  test.each([
    ['FLD of 32 bits', [0xd9, 0x05], le32(1), DE],
    ['FLD of 64 bits', [0xdd, 0x05], [...le32(1), ...le32(0)], DE],
    ['FLD of 64 bits, whose upper half alone is one', [0xdd, 0x05], [...le32(0), ...le32(1)], DE],
    ['FLD of 32 bits: zero', [0xd9, 0x05], le32(0), 0],
    ['FADD of 32 bits', [0xd8, 0x05], le32(1), DE],
    ['FADD of 64 bits', [0xdc, 0x05], [...le32(1), ...le32(0)], DE],
    ['FIADD', [0xda, 0x05], le32(1), 0],
    ['FLD of 80 bits', [0xdb, 0x2d], bytes(DENORMAL), 0],
  ])('%s', (_, opcode, data, expected) => {
    const { registers } = runCode([0xdb, 0xe3, 0xd9, 0xe8, ...opcode, ...le32(DATA), 0xdf, 0xe0], data);
    expect(registers.eax & 7).toBe(expected);
  });

  test('unmasked sets ES', () => {
    const code = [0xdb, 0xe3, 0xd9, 0x2d, ...le32(DATA + 4), 0xd9, 0x05, ...le32(DATA), 0xdf, 0xe0];
    expect(runCode(code, [...le32(1), 0x7d, 3]).registers.eax & 0x80ff).toBe(0x8082);
  });
});
