/**
 * Goal: the FPU's transcendental instructions give the correctly rounded result in every rounding mode, so the
 * same bits on every host; C1 and PE tell how it was rounded.
 * Method: real guest code on a vcpu, random operands from a seed; expected values from x87/reference.ts, which
 * has several hundred correct bits and shares no algorithm with the native code.
 */
import { describe, expect, test } from '@jest/globals';
import { exactly, roundQuotient, ROUNDINGS, type Float80 } from './x87/float80.js';
import { RandomOperands } from './x87/operands.js';
import { arctan2, exp2m1, log2, LN2, multiply, naturalLog1p, ONE, sinCos } from './x87/reference.js';
import { runX87, type Operands, type Operation } from './x87/run-x87.js';

const COUNT = 400;
const SEED = 86;
const PRECISION = 0x20;
const C1 = 0x200;

type Quotient = readonly [numerator: bigint, denominator: bigint];

/** The operands' exponents, and the exact result as a quotient; `pushed` is the one that FSINCOS puts on top. */
interface Case {
  readonly operation: Operation;
  readonly x: readonly [number, number];
  readonly y?: readonly [number, number];
  readonly result: (x: bigint, y: bigint) => Quotient;
  readonly pushed?: (x: bigint) => Quotient;
}

const CASES: readonly Case[] = [
  { operation: 'fsin', x: [-80, 62], result: (x) => [sinCos(x)[0], ONE] },
  { operation: 'fcos', x: [-80, 62], result: (x) => [sinCos(x)[1], ONE] },
  {
    operation: 'fsincos',
    x: [-8, 8],
    result: (x) => [sinCos(x)[0], ONE],
    pushed: (x) => [sinCos(x)[1], ONE],
  },
  { operation: 'fptan', x: [-80, 62], result: (x) => sinCos(x) },
  { operation: 'fpatan', x: [-4, 4], y: [-4, 4], result: (x, y) => [arctan2(y, x), ONE] },
  { operation: 'fpatan', x: [-60, 60], y: [-60, 60], result: (x, y) => [arctan2(y, x), ONE] },
  { operation: 'f2xm1', x: [-80, -1], result: (x) => [exp2m1(x), ONE] },
  { operation: 'fyl2xp1', x: [-80, -3], y: [-60, 60], result: (x, y) => [naturalLog1p(x) * y, LN2 * ONE] },
];

/** Names the value with its rounding, and whether the status word says the same. */
function describeResult(value: Float80, up: boolean): string {
  const sign = value.signExponent.toString(16).padStart(4, '0');
  return `${sign}:${value.significand.toString(16)} ${up ? 'away from zero' : 'toward zero'}`;
}

function operandsOf({ x, y }: Case): Operands[] {
  const random = new RandomOperands(SEED);
  return Array.from({ length: COUNT }, (_, index) => ({
    control: 0x37f | ((index & 3) << 10),
    x: random.normal(...x),
    ...(y ? { y: random.normal(...y) } : {}),
  }));
}

describe('correct rounding', () => {
  test.each(CASES)('$operation, exponents of x $x', (one) => {
    const operands = operandsOf(one);
    const outcomes = runX87(one.operation, operands);
    operands.forEach(({ x, y }, index) => {
      const outcome = outcomes[index]!;
      const rounding = ROUNDINGS[index & 3]!;
      const [value, up] = roundQuotient(...one.result(exactly(x), y ? exactly(y) : 0n), rounding);
      const got = one.pushed || one.operation === 'fptan' ? outcome.st1 : outcome.st0;
      expect(describeResult(got, (outcome.status & C1) !== 0)).toBe(describeResult(value, up));
      expect(outcome.status & 0x7f).toBe(PRECISION);
      if (one.pushed) expect(outcome.st0).toEqual(roundQuotient(...one.pushed(exactly(x)), rounding)[0]);
    });
  });

  test('fyl2x, with exact results for powers of two', () => {
    const random = new RandomOperands(SEED);
    const operands = Array.from({ length: COUNT }, (_, index) => {
      const x = random.normal(index % 2 ? -1 : -90, index % 2 ? 1 : 90);
      return {
        control: 0x37f | ((index & 3) << 10),
        x: { ...x, signExponent: x.signExponent & 0x7fff },
        y: random.normal(-60, 60),
      };
    }).filter(({ x }) => x.signExponent !== 0x3fff || x.significand !== 1n << 63n);
    const outcomes = runX87('fyl2x', operands);
    operands.forEach(({ control, x, y }, index) => {
      const power = x.significand === 1n << 63n;
      const log = power ? BigInt(x.signExponent - 0x3fff) * ONE : log2(exactly(x));
      const [value, up] = roundQuotient(log * exactly(y), ONE * ONE, ROUNDINGS[(control >> 10) & 3]!);
      const { st0, status } = outcomes[index]!;
      expect(describeResult(st0, (status & C1) !== 0)).toBe(describeResult(value, up));
      if (!power) expect(status & 0x7f).toBe(PRECISION);
    });
  });
});

describe('the reference itself', () => {
  test('keeps the identities of its functions', () => {
    const x = (ONE * 7n) / 10n;
    const [sine, cosine] = sinCos(x);
    const near = (a: bigint, b: bigint): boolean => (a > b ? a - b : b - a) < ONE >> 500n;
    expect(near(multiply(sine, sine) + multiply(cosine, cosine), ONE)).toBe(true);
    expect(near(arctan2(sine, cosine), x)).toBe(true);
    expect(near(exp2m1(log2(x)) + ONE, x)).toBe(true);
  });
});
