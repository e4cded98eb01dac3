/**
 * Goal: memory that grows is told from memory that goes up and down, and fails a calm soak.
 * Method: samples made by hand; the memory of a real process.
 */
import { expect, test } from '@jest/globals';
import { GROWTH_BYTES_MAX, residentFaults, residentGrowth, ResidentWatch } from '../../../tools/soak/resident.js';

const MIB = 2 ** 20;
const TIMES = Array.from({ length: 100 }, (_, i) => i);

test('a warm-up and a sawtooth are flat', () => {
  expect(residentGrowth(TIMES.map((t) => (t < 20 ? t : 100 + (t % 10)) * MIB))).toBe(0);
});

test('steady growth is measured from the second quarter to the last', () => {
  expect(residentGrowth(TIMES.map((t) => t * MIB))).toBe(50 * MIB);
});

test('a few samples say nothing, and that is a fault', () => {
  expect(residentGrowth([1, 2, 3])).toBeNull();
  expect(residentFaults({ residentSamples: 3, primaryGrowthBytes: null, backupGrowthBytes: 0 })).toEqual([
    'the memory of the primary was not measured',
  ]);
});

test('growth beyond the limit is a fault of that replica', () => {
  const grown = GROWTH_BYTES_MAX + 1;
  expect(residentFaults({ residentSamples: 9, primaryGrowthBytes: -MIB, backupGrowthBytes: grown })).toEqual([
    'the backup grew by 16.0 MiB',
  ]);
});

test('the processes that a pair names are watched', async () => {
  const watch = new ResidentWatch();
  watch.heard(`primary is process ${process.pid}, backup is process ${process.pid}; more`);
  try {
    while (watch.totals.residentSamples < 2) await new Promise((resolve) => setTimeout(resolve, 20));
  } finally {
    watch.end();
  }
  expect(watch.totals.primaryGrowthBytes).toBeNull();
});
