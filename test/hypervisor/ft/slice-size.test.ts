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

test('the first slice is short even where each instruction is a slow access to a device', () => {
  expect(slices(300, 1)[0]).toBeLessThan(20 * MS);
});
