/**
 * Goal: percentiles are those of the samples: exact while all are kept, close to it, in bounded memory, when they are
 * too many.
 * Method: a property against the sorted list; long runs whose percentiles are known.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { guestExitStatus, Samples } from '../../tools/replica/result.js';

function samplesOf(values: Iterable<number>): Samples {
  const samples = new Samples();
  for (const value of values) samples.add(value);
  return samples;
}

function* range(count: number): Generator<number> {
  for (let i = 0; i < count; i++) yield i;
}

describe('percentile', () => {
  test('is null without samples', () => {
    expect(new Samples().percentile(0.5)).toBeNull();
  });

  test('of one sample is that sample, rounded to a thousandth', () => {
    for (const share of [0, 0.5, 0.99, 1]) expect(samplesOf([1.23456]).percentile(share)).toBe(1.235);
  });

  test('is the sample that has this share of all below it', () => {
    const samples = samplesOf(range(100));
    expect([0, 0.01, 0.5, 0.99, 1].map((share) => samples.percentile(share))).toEqual([0, 1, 50, 99, 99]);
  });

  test('does not depend on the order in which samples came, and sorts them as numbers', () => {
    const value = fc.integer({ min: -1_000_000, max: 1_000_000 });
    fc.assert(
      fc.property(
        fc.array(value, { minLength: 1, maxLength: 200 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (values, share) => {
          const found = samplesOf(values).percentile(share);
          const sorted = Int32Array.from(values).sort();
          expect(found).toBe(sorted[Math.min(values.length - 1, Math.floor(values.length * share))]);
        },
      ),
    );
  });

  test('asking changes nothing', () => {
    const samples = samplesOf([3, 1, 2]);
    expect(samples.percentile(0)).toBe(1);
    samples.add(0);
    expect([samples.percentile(0), samples.percentile(1)]).toEqual([0, 3]);
  });
});

describe('more samples than are kept', () => {
  const MANY = 1_000_000;

  test('keep their percentiles when they rise all the time: no part of the run counts more', () => {
    const samples = samplesOf(range(MANY));
    for (const share of [0.01, 0.5, 0.99]) {
      expect(Math.abs((samples.percentile(share) ?? NaN) - share * MANY)).toBeLessThan(MANY * 0.001);
    }
    expect(samples.percentile(0)).toBe(0);
  });

  test('keep the share of rare large ones', () => {
    let state = 1;
    const samples = new Samples();
    for (let i = 0; i < MANY; i++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      samples.add(state / 2 ** 32 < 0.02 ? 1000 : 1);
    }
    expect([samples.percentile(0.5), samples.percentile(0.97), samples.percentile(0.99)]).toEqual([1, 1, 1000]);
  });

  test('around the limit itself', () => {
    for (const count of [99_999, 100_000, 100_001, 100_002]) {
      expect(Math.abs((samplesOf(range(count)).percentile(0.5) ?? NaN) - count / 2)).toBeLessThan(3);
    }
  });
});

test('a guest that triple-faulted failed; any other end is orderly', () => {
  expect(guestExitStatus('triple-fault')).toBe(1);
  for (const stop of ['halted', 'debug-exit', 'until', 'shutdown', 'reset', 'stopped', null] as const) {
    expect(guestExitStatus(stop)).toBe(0);
  }
});
