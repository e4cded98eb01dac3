/**
 * Goal: conversions between ns and ticks are exact over the whole range of guest time.
 * Method: compared with BigInt arithmetic on arbitrary times.
 */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { nsOfTick, ticksAt } from '../../devices/tick-clock.js';

const SECOND = 1_000_000_000n;
const hz = fc.constantFrom(1193182, 32768);

test('ticks at a time are the exact floor', () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), hz, (ns, rate) => {
      expect(ticksAt(ns, rate)).toBe(Number((BigInt(ns) * BigInt(rate)) / SECOND));
    }),
  );
});

test('the time of a tick is the first ns at which it has passed', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 38 }), hz, (tick, rate) => {
      const ns = nsOfTick(tick, rate);
      expect([ticksAt(ns - 1, rate), ticksAt(ns, rate)]).toEqual([tick - 1, tick]);
    }),
  );
});

test('times before zero round towards the past', () => {
  expect([ticksAt(-1, 32768), ticksAt(-1_000_000_000, 32768)]).toEqual([-1, -32768]);
});
