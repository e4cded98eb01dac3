/**
 * Goal: stressed runs are cut everywhere, and can be repeated.
 * Method: many limits of a few seeds.
 */
import { expect, test } from '@jest/globals';
import { InvariantError } from '../../../emulator/errors.js';
import { RunCutter } from '../../../hypervisor/machine/run-cutter.js';

function lengths(seed: number): number[] {
  const cutter = new RunCutter(seed);
  return Array.from({ length: 2000 }, () => cutter.limit(1_000_000) - 1_000_000);
}

test('runs have at least one instruction; short and long, odd and even ones come up', () => {
  const all = lengths(1);
  expect(Math.min(...all)).toBeGreaterThanOrEqual(1);
  expect(all.filter((length) => length < 100).length).toBeGreaterThan(5);
  expect(all.filter((length) => length > 1_000_000).length).toBeGreaterThan(100);
  expect(new Set(all.map((length) => length % 2)).size).toBe(2);
});

test('a seed is a sequence', () => {
  expect(lengths(7)).toEqual(lengths(7));
  expect(lengths(7)).not.toEqual(lengths(8));
  expect(() => new RunCutter(-1)).toThrow(InvariantError);
});

test('translations are thrown away now and then', () => {
  const cutter = new RunCutter(3);
  const flushes = { tlb: 0, translations: 0 };
  const vcpu = { flushTlb: () => flushes.tlb++, flushTranslations: () => flushes.translations++ };
  for (let i = 0; i < 10_000; i++) cutter.between(vcpu);
  expect(flushes.tlb).toBeGreaterThan(500);
  expect(flushes.translations).toBeGreaterThan(5);
});
