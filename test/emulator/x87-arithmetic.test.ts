/**
 * Goal: FADD, FSUB, FMUL, FDIV and FSQRT are rounded once, by the rounding and the precision control; C1 tells whether the magnitude was
 * rounded up, to nearest too; an unmasked overflow or underflow gives the result with its exponent wrapped. So do stores tell C1.
 * Method: real guest code on a vcpu, random operands from a seed; expected values from exact whole numbers. Next to it,
 * emulator/native/tests/x87_host.c compares all of it with the host's own processor.
 * Source: Intel SDM volume 1, 8.1.3.2, 8.1.5.2, 8.5.4 to 8.5.6; volume 2, each instruction and FISTTP.
 */
import { describe, expect, test } from '@jest/globals';
import { BIAS, float80, roundExactly, ROUNDINGS, type Float80, type Rounded } from './x87/float80.js';
import { RandomOperands } from './x87/operands.js';
import { runX87Code, type Operands } from './x87/run-x87.js';
import { memory, runOnStack, TOP } from './x87/run-stack.js';

const COUNT = 600;
const [IE, OE, UE, PE, C1] = [1, 8, 0x10, 0x20, 0x200];
const SUMMARY = 0x8080;
/** PE is masked, overflow and underflow are not. */
const WRAPPING = 0x67;
const MASKED = 0x7f;
const WRAP = 24576;
/** By the precision control; 1 is reserved. */
const PRECISIONS = [24, 53, 64] as const;
const PRECISION_FIELDS = { 24: 0, 53: 2, 64: 3 } as const;
/** Where the units of whole numbers begin: below everything that is not denormal. */
const UNIT = BIAS + 64;

type Quotient = readonly [numerator: bigint, denominator: bigint];
type Case = readonly [name: string, code: number[], exact: (x: bigint, y: bigint) => Quotient, wraps: boolean];

function whole({ signExponent, significand }: Float80): bigint {
  const size = significand << BigInt((signExponent & 0x7fff) - BIAS - 63 + UNIT);
  return signExponent & 0x8000 ? -size : size;
}
const ONE = 1n << BigInt(UNIT);

const CASES: readonly Case[] = [
  ['fadd', [0xd8, 0xc1], (x, y) => [x + y, ONE], false],
  ['fsub', [0xd8, 0xe1], (x, y) => [x - y, ONE], false],
  ['fsubr', [0xd8, 0xe9], (x, y) => [y - x, ONE], false],
  ['fmul', [0xd8, 0xc9], (x, y) => [x * y, ONE * ONE], true],
  ['fdiv', [0xd8, 0xf1], (x, y) => [x, y], true],
  ['fdivr', [0xd8, 0xf9], (x, y) => [y, x], true],
];

function controlOf(index: number, masks: number): [control: number, bits: 24 | 53 | 64] {
  const bits = PRECISIONS[index % 3]!;
  return [masks | (PRECISION_FIELDS[bits] << 8) | ((index & 3) << 10), bits];
}

function operandsOf(masks: number, x: readonly [number, number], y: readonly [number, number]): Operands[] {
  const random = new RandomOperands(87);
  return Array.from({ length: COUNT }, (_, index) => ({
    control: controlOf(index, masks)[0],
    x: random.normal(...x),
    y: random.normal(...y),
  }));
}

function describeResult({ signExponent, significand }: Float80, status: number): string {
  return `${signExponent.toString(16)}:${significand.toString(16)} ${(status & ~0x3800).toString(16)}`;
}

function expectedOf({ negative, exponent, significand, inexact, up }: Rounded, wrapped: number, flags: number): string {
  const value = float80((negative ? 0x8000 : 0) | (exponent + BIAS + wrapped), significand);
  return describeResult(value, flags | (inexact ? PE : 0) | (up ? C1 : 0));
}

describe('one rounding', () => {
  test.each(CASES)('%s', (_, code, exact) => {
    const operands = operandsOf(MASKED, [-40, 40], [-40, 40]);
    const outcomes = runX87Code(code, operands);
    operands.forEach(({ x, y }, index) => {
      const [numerator, denominator] = exact(whole(x), whole(y!));
      if (numerator === 0n) return;
      const rounding = ROUNDINGS[index & 3]!;
      const rounded = roundExactly(numerator, denominator, rounding, controlOf(index, 0)[1]);
      const { st0, status } = outcomes[index]!;
      expect(describeResult(st0, status)).toBe(expectedOf(rounded, 0, 0));
    });
  });

  test('fsqrt: the result lies between its neighbours, squared', () => {
    const operands = operandsOf(MASKED, [-40, 40], [0, 0]).map((one) => ({
      ...one,
      x: { ...one.x, signExponent: one.x.signExponent & 0x7fff },
    }));
    runX87Code([0xd9, 0xfa], operands).forEach(({ st0, status }, index) => {
      const square = whole(operands[index]!.x) * ONE;
      const [, bits] = controlOf(index, 0);
      const root = whole(st0);
      const ulp = 1n << BigInt((st0.signExponent & 0x7fff) - BIAS + UNIT - bits + 1);
      const grew = root * root > square;
      const exact = root * root === square;
      expect([(status & PE) === 0, (status & C1) !== 0]).toEqual([exact, grew]);
      const between = (low: bigint, high: bigint): boolean => low * low <= 4n * square && 4n * square <= high * high;
      const rounding = ROUNDINGS[index & 3]!;
      if (rounding === 'nearest') expect(between(2n * root - ulp, 2n * root + ulp)).toBe(true);
      else if (rounding === 'up') expect(between(2n * (root - ulp) + 1n, 2n * root)).toBe(true);
      else expect(between(2n * root, 2n * (root + ulp) - 1n)).toBe(true);
    });
  });
});

describe('an exponent that is wrapped', () => {
  const FAR: readonly (readonly [string, number, number, (name: string) => [number, number], number])[] = [
    ['overflow', OE, -WRAP, (name) => (name === 'fmul' ? [8200, 16000] : [-16000, -8300]), 1],
    ['underflow', UE, WRAP, (name) => (name === 'fmul' ? [-16000, -8300] : [8300, 16000]), -1],
  ];
  const rows = FAR.flatMap(([kind, flag, wrap, y, sign]) =>
    CASES.filter(([, , , wraps]) => wraps).map((one) => ({ kind, flag, wrap, y, sign, one, name: one[0] })),
  );
  test.each(rows)('$name: $kind', ({ flag, wrap, y, sign, one: [name, code, exact] }) => {
    const far: [number, number] = sign > 0 ? [8200, 16000] : [-16000, -8300];
    const x: [number, number] = name === 'fdivr' ? y('fdivr') : far;
    const operands = operandsOf(WRAPPING, x, name === 'fdivr' ? far : y(name));
    const outcomes = runX87Code(code, operands);
    operands.forEach((one, index) => {
      const rounded = roundExactly(
        ...exact(whole(one.x), whole(one.y!)),
        ROUNDINGS[index & 3]!,
        controlOf(index, 0)[1],
      );
      const { st0, status } = outcomes[index]!;
      expect(describeResult(st0, status)).toBe(expectedOf(rounded, wrap, flag | SUMMARY));
    });
  });

  const LARGEST = float80(0x7ffe, (1n << 64n) - 1n);
  const SMALLEST = float80(1, 1n << 63n);
  test.each<[string, number[], Float80, Float80, number, string]>([
    ['fadd of the largest', [0xd8, 0xc1], LARGEST, LARGEST, OE, '1fff:ffffffffffffffff'],
    ['fsub of neighbours', [0xd8, 0xe1], float80(1, (1n << 63n) | 1n), SMALLEST, UE, '5fc2:8000000000000000'],
    ['fadd of a denormal and 0', [0xd8, 0xc1], float80(0, 3n), float80(0, 0n), UE | 2, '5fc3:c000000000000000'],
  ])('%s, exactly', (_, code, x, y, flag, expected) => {
    const [outcome] = runX87Code(code, [{ control: 0x342, x, y }]);
    expect(describeResult(outcome!.st0, outcome!.status)).toBe(`${expected} ${(flag | SUMMARY).toString(16)}`);
  });

  test('#MF comes at the next instruction that waits; ST(0) has the result', () => {
    const after = runOnStack([0xd8, 0xc9], { registers: [LARGEST, float80(BIAS + 1, 1n << 63n)], control: 0x340 });
    expect([after.status, after.top, after.raised]).toEqual([OE | SUMMARY, TOP, true]);
    expect(after.registers[0]).toEqual(float80(0x7fff - WRAP, (1n << 64n) - 1n));
  });
});

describe('C1 to nearest', () => {
  const [QUARTER, HALF, MORE] = [1n << 61n, 1n << 62n, 3n << 61n];
  const one = (fraction: bigint): Float80 => float80(BIAS, (1n << 63n) | fraction);
  test.each<[string, number[], bigint]>([
    ['FRNDINT', [0xd9, 0xfc], 0n],
    ['FIST m16', memory(0xdf, 2), 0n],
    ['FIST m32', memory(0xdb, 2), 0n],
    ['FISTP m64', memory(0xdf, 7), 0n],
    ['FST m32', memory(0xd9, 2), 23n],
    ['FSTP m64', memory(0xdd, 3), 52n],
  ])('%s', (_, code, places) => {
    const told = (fraction: bigint, sign = 0): number => {
      const x = one(fraction >> places);
      const negative = { ...x, signExponent: x.signExponent | sign };
      return runOnStack(code, { registers: [negative] }).status & (C1 | PE | IE);
    };
    for (const sign of [0, 0x8000]) {
      expect([QUARTER, MORE].map((fraction) => told(fraction, sign))).toEqual([PE, PE | C1]);
      expect(told(0n, sign)).toBe(0);
    }
    // Of two that are equally near the even one: 1.5 becomes 2, 1 + 1.5 places more become 1 + 2.
    expect(told(HALF)).toBe(places === 0n ? PE | C1 : PE);
  });

  test('what becomes infinity or 0', () => {
    const huge = float80(0x7ffe, 1n << 63n);
    const tiny = float80(5, 1n << 63n);
    const status = (x: Float80): number => runOnStack(memory(0xd9, 2), { registers: [x] }).status;
    expect([status(huge), status(tiny)]).toEqual([OE | PE | C1, UE | PE]);
  });
});

test.each([
  ['FISTTP m16', memory(0xdf, 1), 15],
  ['FISTTP m32', memory(0xdb, 1), 31],
  ['FISTTP m64', memory(0xdd, 1), 63],
])('%s takes the least number', (_, code, exponent) => {
  const least = float80(0x8000 | (BIAS + exponent), 1n << 63n);
  const { status, operand } = runOnStack(code, { registers: [least] });
  expect(status).toBe(0);
  expect(operand[(exponent + 1) / 8 - 1]).toBe(0x80);
  const larger = { ...least, signExponent: least.signExponent & 0x7fff };
  expect(runOnStack(code, { registers: [larger] }).status).toBe(IE);
});
