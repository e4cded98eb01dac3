/**
 * Goal: a slice takes about 2 ms whatever the guest does, from the first one on.
 * Method: guests of a steady speed, from firmware that only waits for devices to a tight loop.
 */
import { expect, test } from '@jest/globals';
import { SliceSize } from '../../../hypervisor/ft/slice-size.js';

const MS = 1e6;

/** Host ns of each slice of a guest that takes `nsEach` an instruction. */
function slices(nsEach: number, count: number): number[] {
  const size = new SliceSize();
  const lengths: number[] = [];
  let [now, icount] = [0, 0];
  for (let i = 0; i < count; i++) {
    size.begin(now, icount);
    icount += size.instructions;
    lengths.push(size.instructions * nsEach);
    now += size.instructions * nsEach;
    size.ended(now, icount);
  }
  return lengths;
}

test('settles at 2 ms for fast and slow guests', () => {
  for (const nsEach of [1, 3, 20, 80]) {
    const [last] = slices(nsEach, 40).slice(-1);
    expect(last).toBeGreaterThan(1.5 * MS);
    expect(last).toBeLessThan(2.5 * MS);
  }
});

/** Slices of a guest of 2 ns an instruction that an output ends after `instructions` at most; `betweenNs` from one to the next. */
function cutShort(size: SliceSize, instructions: number, betweenNs: number): void {
  for (let [now, icount, i] = [0, 0, 0]; i < 40; i++, now += betweenNs) {
    size.begin(now, icount);
    const done = Math.min(size.instructions, instructions);
    icount += done;
    now += done * 2;
    size.ended(now, icount);
  }
}

test('does not count what is done between slices', () => {
  const size = new SliceSize();
  cutShort(size, Infinity, 5 * MS);
  expect(size.instructions).toBeGreaterThan(0.75 * MS);
});

test('slices that were too short once become long again, though outputs end each of them early', () => {
  const size = new SliceSize();
  for (let i = 0; i < 20; i++) {
    size.begin(i * 100 * MS, i * size.instructions);
    size.ended((i + 1) * 100 * MS, (i + 1) * size.instructions);
  }
  expect(size.instructions).toBeLessThan(50_000);
  cutShort(size, 9000, 0.2 * MS);
  expect(size.instructions).toBeGreaterThan(0.75 * MS);
});

test('a guest that sleeps at the end of each slice is measured while it runs', () => {
  const size = new SliceSize();
  for (let [now, icount, i] = [0, 0, 0]; i < 40; i++, now += 10 * MS) {
    size.begin(now, icount);
    icount += size.instructions;
    now += size.instructions * 2;
    size.ended(now, icount);
  }
  expect(size.instructions).toBeGreaterThan(0.75 * MS);
});

test('the first slice is short even where each instruction is a slow access to a device', () => {
  expect(slices(300, 1)[0]).toBeLessThan(20 * MS);
});
