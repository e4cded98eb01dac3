/**
 * Goal: a connection that brings nothing for 150 ms, or half of the time-out, is found stalled; one that brings anything is not.
 * Method: byte counts and times by hand.
 */
import { expect, test } from '@jest/globals';
import { StallWatch } from '../../../hypervisor/ft/stall-watch.js';

test('a connection is stalled when its byte count has stood still for too long', () => {
  const watch = new StallWatch(1000);
  watch.begin(10, 5000);
  expect(watch.stalled(10, 5150)).toBe(false);
  expect(watch.stalled(10, 5151)).toBe(true);
  expect(watch.stalled(11, 5152)).toBe(false);
  expect(watch.movedMs(11, 5200)).toBe(5152);
  expect(watch.stalled(11, 5302)).toBe(false);
  expect(watch.stalled(11, 5303)).toBe(true);
});

test('a new connection has its own time and count', () => {
  const watch = new StallWatch(1000);
  watch.begin(1000, 0);
  expect(watch.stalled(1000, 500)).toBe(true);
  watch.begin(0, 500);
  expect(watch.stalled(0, 600)).toBe(false);
});

test('a short time-out leaves time for a new connection', () => {
  const watch = new StallWatch(100);
  watch.begin(0, 0);
  expect(watch.stalled(0, 50)).toBe(false);
  expect(watch.stalled(0, 51)).toBe(true);
});
