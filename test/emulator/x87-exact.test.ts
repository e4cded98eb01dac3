/**
 * Goal: FPREM and FPREM1 leave exact remainders and the quotient's low bits, in as many steps as real processors.
 * Method: random operands; remainder and quotient from exact integers; the manual's own reduction loop.
 * Source: Intel SDM volume 2, FPREM, FPREM1.
 */
import { describe, expect, test } from '@jest/globals';
import { exactly, float80, roundQuotient, type Float80 } from './x87/float80.js';
import { nameOf, RandomOperands, SPECIAL } from './x87/operands.js';
import { ONE } from './x87/reference.js';
import { runX87 } from './x87/run-x87.js';

const C0 = 0x100;
const C1 = 0x200;
const C2 = 0x400;
const C3 = 0x4000;

function lowQuotient(status: number): number {
  return (status & C0 ? 4 : 0) | (status & C3 ? 2 : 0) | (status & C1 ? 1 : 0);
}

/** Remainder and quotient; `nearest`: of the nearest multiple, of two the even one. */
function divided(x: bigint, y: bigint, nearest: boolean): [rest: bigint, quotient: bigint] {
  const size = y < 0n ? -y : y;
  const [sign, of] = x < 0n ? [-1n, -x] : [1n, x];
  const [quotient, rest] = [of / size, of % size];
  const twice = 2n * rest;
  if (nearest && (twice > size || (twice === size && quotient & 1n))) return [sign * (rest - size), quotient + 1n];
  return [sign * rest, quotient];
}

function valueOf(rest: bigint, x: Float80): Float80 {
  return rest === 0n ? float80(x.signExponent & 0x8000, 0n) : roundQuotient(rest, ONE, 'nearest')[0];
}

describe.each([
  ['fprem', false],
  ['fprem1', true],
] as const)('%s', (operation, nearest) => {
  test('is exact while the exponents are less than 64 apart', () => {
    const random = new RandomOperands(7);
    const operands = Array.from({ length: 1000 }, () => {
      const y = random.normal(-60, 60);
      const exponent = (y.signExponent & 0x7fff) - 3 + random.below(66) - 0x3fff;
      return { x: random.normal(exponent, exponent), y };
    });
    const outcomes = runX87(operation, operands);
    operands.forEach(({ x, y }, index) => {
      const [rest, quotient] = divided(exactly(x), exactly(y), nearest);
      const { st0, status } = outcomes[index]!;
      expect(nameOf(st0)).toBe(nameOf(valueOf(rest, x)));
      expect(status & (C2 | 0x7f)).toBe(0);
      expect(lowQuotient(status)).toBe(Number(quotient & 7n));
    });
  });

  test("halves are decided by the quotient's last bit", () => {
    const [up, down] = runX87(operation, [
      { x: SPECIAL['-3'], y: SPECIAL['2'] },
      { x: SPECIAL['1'], y: SPECIAL['2'] },
    ]);
    expect([nameOf(up!.st0), lowQuotient(up!.status)]).toEqual(nearest ? ['1', 2] : ['-1', 1]);
    expect([nameOf(down!.st0), lowQuotient(down!.status)]).toEqual(['1', 0]);
  });

  test('comes to the remainder in steps of 32 to 63 bits', () => {
    let x: Float80 = float80(0x3fff + 400, 0xfedcba9876543211n);
    const y = float80(0x3fff - 20, 0x8000000000000003n);
    const [rest, quotient] = divided(exactly(x), exactly(y), nearest);
    let status = C2;
    let steps = 0;
    while (status & C2) {
      const [outcome] = runX87(operation, [{ x, y }]);
      const taken = (x.signExponent & 0x7fff) - (outcome!.st0.signExponent & 0x7fff);
      if (outcome!.status & C2) expect(taken).toBeGreaterThanOrEqual(32);
      ({ st0: x, status } = outcome!);
      steps++;
    }
    expect(nameOf(x)).toBe(nameOf(valueOf(rest, x)));
    expect(lowQuotient(status)).toBe(Number(quotient & 7n));
    expect(steps).toBeLessThanOrEqual(420 / 32 + 1);
  });

  test('takes the low five bits of the distance plus 32 in one step', () => {
    // 100 & 31 = 4, so 2^101 is divided by 3 * 2^(100-36): 2^64 times 2^37 modulo 3, which is 2
    const [outcome] = runX87(operation, [{ x: float80(0x3fff + 101, 1n << 63n), y: float80(0x4000, 3n << 62n) }]);
    expect(nameOf(outcome!.st0)).toBe(nameOf(float80(0x3fff + 65, 1n << 63n)));
    expect(outcome!.status & C2).toBe(C2);
  });

  test('invalid for an infinite dividend and a zero divisor', () => {
    const outcomes = runX87(operation, [
      { x: SPECIAL['+inf'], y: SPECIAL['1'] },
      { x: SPECIAL['1'], y: SPECIAL['-0'] },
      { x: SPECIAL['-0'], y: SPECIAL['+inf'] },
      { x: SPECIAL.denormal, y: SPECIAL['-inf'] },
    ]);
    expect(outcomes.map(({ st0, status }) => [nameOf(st0), status & 0x7f])).toEqual([
      ['indefinite', 1],
      ['indefinite', 1],
      ['-0', 0],
      ['denormal', 2],
    ]);
  });
});
