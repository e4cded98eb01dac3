/**
 * Goal: zeros, infinities, denormals, NaNs and unsupported encodings give what the manual's tables say, and the
 * status word tells it.
 * Method: one line for each case, run as guest code with all exceptions masked.
 * Source: Intel SDM volume 2, tables of FSIN ... FYL2XP1; volume 1, table 4-7 (NaNs).
 */
import { describe, expect, test } from '@jest/globals';
import { nameOf, SPECIAL, type Special } from './x87/operands.js';
import { runX87, type Operation } from './x87/run-x87.js';

const FLAGS = ['invalid', 'denormal', 'zero-divide', 'overflow', 'underflow', 'inexact', 'stack'];
const C2 = 0x400;

function flagsOf(status: number): string {
  return FLAGS.filter((_, bit) => status & (1 << bit)).join(' ') || '-';
}

function special(name: string): (typeof SPECIAL)[Special] {
  if (!(name in SPECIAL)) throw new Error(`no operand is called ${name}`);
  return SPECIAL[name as Special];
}

/** Lines `x result flags...` */
function unary(operation: Operation, second: boolean, lines: string): void {
  const rows = lines
    .trim()
    .split(/\n\s*/)
    .map((line) => line.split(/\s+/));
  const outcomes = runX87(
    operation,
    rows.map(([x]) => ({ x: special(x!) })),
  );
  const got = rows.map(([x], index) => {
    const { st0, st1, status } = outcomes[index]!;
    const value = second && !(status & C2) ? `${nameOf(st1)} ${nameOf(st0)}` : nameOf(st0);
    return `${x!} ${value} ${flagsOf(status)}${status & C2 ? ' C2' : ''}`;
  });
  expect(got).toEqual(rows.map((row) => row.join(' ')));
}

/** Lines `x y result flags...` */
function binary(operation: Operation, lines: string): void {
  const rows = lines
    .trim()
    .split(/\n\s*/)
    .map((line) => line.split(/\s+/));
  const outcomes = runX87(
    operation,
    rows.map(([x, y]) => ({ x: special(x!), y: special(y!) })),
  );
  const got = rows.map(
    ([x, y], index) => `${x!} ${y!} ${nameOf(outcomes[index]!.st0)} ${flagsOf(outcomes[index]!.status)}`,
  );
  expect(got).toEqual(rows.map((row) => row.join(' ')));
}

describe('one operand', () => {
  test('FSIN', () => {
    unary(
      'fsin',
      false,
      `
      +0 +0 -
      -0 -0 -
      +inf indefinite invalid
      -inf indefinite invalid
      denormal denormal denormal underflow inexact
      smallest smallest inexact
      2^-70 2^-70 inexact
      2^63 2^63 - C2
      -2^63 -2^63 - C2
      largest largest - C2`,
    );
  });

  test('FCOS', () => {
    unary(
      'fcos',
      false,
      `
      +0 1 -
      -0 1 -
      +inf indefinite invalid
      denormal 1 denormal inexact
      2^-70 1 inexact
      +pi -1 inexact
      2^63 2^63 - C2`,
    );
  });

  test("FSIN of the 64-bit pi shows the processor's pi of 66 bits", () => {
    const [pi, half] = runX87('fsin', [{ x: SPECIAL['+pi'] }, { x: SPECIAL['+pi/2'] }]);
    expect(nameOf(pi!.st0)).toBe('bfbf:8000000000000000');
    expect(nameOf(half!.st0)).toBe('1');
  });

  test('FSINCOS and FPTAN push', () => {
    unary(
      'fsincos',
      true,
      `
      -0 -0 1 -
      +inf indefinite indefinite invalid
      denormal denormal 1 denormal underflow inexact
      snan quieted quieted invalid
      2^63 2^63 - C2`,
    );
    unary(
      'fptan',
      true,
      `
      -0 -0 1 -
      -inf indefinite indefinite invalid
      denormal denormal 1 denormal underflow inexact
      qnan qnan qnan -
      -2^63 -2^63 - C2`,
    );
  });

  test('F2XM1', () => {
    unary(
      'f2xm1',
      false,
      `
      +0 +0 -
      -0 -0 -
      1 1 -
      -1 -0.5 -
      +inf +inf -
      -inf -1 -
      denormal 0:357 denormal underflow inexact
      2^63 2^63 inexact`,
    );
  });

  test('FXTRACT', () => {
    unary(
      'fxtract',
      true,
      `
      +0 -inf +0 zero-divide
      -0 -inf -0 zero-divide
      -inf +inf -inf -
      1 +0 1 -
      0.5 -1 1 -
      denormal c00d:8066000000000000 3fff:9a40000000000000 denormal
      unnormal indefinite indefinite invalid`,
    );
  });

  test.each(['fsin', 'fcos', 'f2xm1'] as const)('%s: NaNs and unsupported encodings', (operation) => {
    unary(
      operation,
      false,
      `
      qnan qnan -
      snan quieted invalid
      unnormal indefinite invalid
      pseudoinf indefinite invalid
      pseudonan indefinite invalid`,
    );
  });
});

describe('two operands (ST(0), ST(1))', () => {
  test('FPATAN', () => {
    binary(
      'fpatan',
      `
      +0 +0 +0 -
      +0 -0 -0 -
      -0 +0 +pi inexact
      -0 -0 -pi inexact
      1 -0 -0 -
      -3 +0 +pi inexact
      +inf -inf -pi/4 inexact
      -inf +inf +3pi/4 inexact
      -inf -1 -pi inexact
      +inf -1 -0 -
      +inf -denormal -0 denormal
      +0 -3 -pi/2 inexact
      -0 denormal +pi/2 denormal inexact
      2 -inf -pi/2 inexact
      -1 1 +3pi/4 inexact
      1 -denormal -denormal denormal underflow inexact
      largest denormal +0 denormal underflow inexact`,
    );
  });

  test('FYL2X', () => {
    binary(
      'fyl2x',
      `
      +0 +0 indefinite invalid
      -0 1 -inf zero-divide
      +0 -3 +inf zero-divide
      +0 denormal -inf zero-divide
      -0 -inf +inf -
      1 -3 -0 -
      1 +inf indefinite invalid
      +inf +0 indefinite invalid
      +inf -3 -inf -
      0.5 +inf -inf -
      -1 1 indefinite invalid
      -denormal 1 indefinite invalid
      -inf qnan qnan -
      2 denormal denormal denormal
      0.5 +0 -0 -
      denormal +inf -inf denormal
      largest largest +inf overflow inexact
      2 -3 -3 -`,
    );
  });

  test('FYL2XP1', () => {
    binary(
      'fyl2xp1',
      `
      +0 -3 -0 -
      -0 -3 +0 -
      +0 +inf indefinite invalid
      2^-70 +inf +inf -
      -0.5 -inf +inf -
      denormal 1 0:6f4 denormal underflow inexact
      +inf +0 indefinite invalid
      -inf 1 indefinite invalid
      -3 1 indefinite invalid
      -1 1 -inf zero-divide
      1 -3 -3 -`,
    );
  });

  test('FSCALE', () => {
    binary(
      'fscale',
      `
      +0 +inf indefinite invalid
      -inf -inf indefinite invalid
      -3 -inf -0 -
      -3 +inf -inf -
      1 -0.5 1 -
      1 denormal 1 denormal
      pseudodenormal +0 1:9000000000000000 denormal
      largest 1 +inf overflow inexact
      1 -2^63 +0 underflow inexact
      denormal -3 0:9a denormal underflow inexact`,
    );
  });

  test.each(['fpatan', 'fyl2x', 'fyl2xp1', 'fscale', 'fprem', 'fprem1'] as const)('%s: NaNs', (operation) => {
    binary(
      operation,
      `
      qnan 1 qnan -
      1 bignan bignan -
      qnan bignan bignan -
      qnan denormal qnan -
      snan qnan qnan invalid
      snan snan quieted invalid
      snan +0 quieted invalid
      qnan unnormal indefinite invalid
      pseudonan 1 indefinite invalid`,
    );
  });
});
