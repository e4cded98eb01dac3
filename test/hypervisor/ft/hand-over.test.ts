/**
 * Goal: a live replica hands over only when its requests have waited for long and the backup has said twice that it can do better.
 * Method: times by hand.
 */
import { expect, test } from '@jest/globals';
import { AWAY_MS, HandOver } from '../../../hypervisor/ft/hand-over.js';

test('it asks when requests have waited for long, and not too often', () => {
  const handOver = new HandOver();
  expect(handOver.asks(0, 0)).toBe(false);
  expect(handOver.asks(AWAY_MS - 1, 0)).toBe(false);
  expect(handOver.asks(AWAY_MS, 1000)).toBe(true);
  expect(handOver.asks(AWAY_MS + 20, 1020)).toBe(false);
  expect(handOver.asks(AWAY_MS + 500, 1500)).toBe(true);
});

test('one answer is not enough, nor are two at once', () => {
  const handOver = new HandOver();
  expect(handOver.there(AWAY_MS, 1000)).toBe(false);
  expect(handOver.there(AWAY_MS, 1001)).toBe(false);
  expect(handOver.there(AWAY_MS + 500, 1500)).toBe(true);
});

test('a server that was back in between begins anew', () => {
  const handOver = new HandOver();
  expect(handOver.there(AWAY_MS, 1000)).toBe(false);
  expect(handOver.asks(0, 1200)).toBe(false);
  expect(handOver.there(0, 1300)).toBe(false);
  expect(handOver.there(AWAY_MS, 9000)).toBe(false);
  expect(handOver.there(AWAY_MS, 9500)).toBe(true);
});
