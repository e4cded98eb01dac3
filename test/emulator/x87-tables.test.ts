/**
 * Goal: each constant of the native FPU code is the first 128 bits of what its comment says.
 * Method: read x87_tables.h and compute the numbers again with several hundred bits.
 */
import { expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { arctan, divide, exp2m1, LN2, log2, ONE, PI, PLACES } from './x87/reference.js';

const text = readFileSync(join(import.meta.dirname, '../../emulator/native/x87_tables.h'), 'utf8');

function numbersOf(body: string): bigint[] {
  const pattern = /U128\((?:0x)?([0-9a-f]+), (?:0x)?([0-9a-f]+)\)|\b0\b/g;
  return [...body.matchAll(pattern)].map(
    ([, high = '0', low = '0']) => (BigInt(`0x${high}`) << 64n) | BigInt(`0x${low}`),
  );
}

function constant(name: string): bigint {
  const body = new RegExp(`\\b${name} = ([^;]*);`).exec(text)?.[1] ?? '';
  return numbersOf(body)[0]!;
}

function table(name: string): bigint[] {
  const body = new RegExp(`\\b${name}\\[\\w+\\] = \\{([^}]*)\\};`).exec(text)?.[1] ?? '';
  return numbersOf(body);
}

/** The first 128 bits of a number, whose top bit stands for 2^exponent. */
function cut(value: bigint, exponent: bigint): bigint {
  return value >> (PLACES - 127n + exponent);
}
const fraction = (value: bigint): bigint => cut(value, -1n);
const range = (count: number): bigint[] => Array.from({ length: count }, (_, index) => BigInt(index));

test('pi, log2(e) and ln(2)', () => {
  expect(constant('x87_pi')).toBe(cut(PI, 1n));
  expect(constant('x87_log2_e')).toBe(cut(divide(ONE, LN2), 0n));
  expect(constant('x87_ln2')).toBe(cut(LN2, -1n));
});

test('reciprocals of factorials and of odd numbers', () => {
  const factorial = (n: bigint): bigint => (n < 2n ? 1n : n * factorial(n - 1n));
  expect(table('x87_inverse_factorial')).toEqual(range(32).map((n) => (n < 2n ? 0n : fraction(ONE / factorial(n)))));
  expect(table('x87_inverse_odd')).toEqual(range(14).map((k) => (k < 1n ? 0n : fraction(ONE / (2n * k + 1n)))));
});

test('arctan(i/16), |log2(j/32)| and 2^(i/32) - 1', () => {
  const size = (value: bigint): bigint => (value < 0n ? -value : value);
  expect(table('x87_atan_step')).toEqual(range(17).map((i) => fraction(arctan((i * ONE) / 16n))));
  expect(table('x87_log2_step')).toEqual(
    range(23).map((i) => (i === 9n ? 0n : fraction(size(log2(((i + 23n) * ONE) / 32n))))),
  );
  expect(table('x87_exp2_step')).toEqual(range(32).map((i) => (i === 0n ? 0n : fraction(exp2m1((i * ONE) / 32n)))));
});
