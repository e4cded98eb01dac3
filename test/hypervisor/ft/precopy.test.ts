/**
 * Goal: a transfer stops the guest when little is left, slows a guest that writes as fast as its pages travel, and ends
 * in any case.
 * Method: rounds of a model guest that writes at a given rate, sent at a given speed.
 */
import { describe, expect, test } from '@jest/globals';
import { Precopy, ROUNDS_MAX } from '../../../hypervisor/ft/precopy.js';

interface Outcome {
  readonly rounds: number;
  readonly lastPages: number;
  readonly restShare: number;
}

/** Copy `pages` at `sendPerMs` while the guest writes `dirtyPerMs` pages of `workingSet`. */
function transfer(pages: number, sendPerMs: number, dirtyPerMs: number, workingSet = pages): Outcome {
  const precopy = new Precopy();
  for (let sent = pages; ;) {
    const elapsedMs = sent / sendPerMs;
    // A guest that rests works for 1 of every 1 + share ms.
    const workedMs = elapsedMs / (1 + precopy.restShare);
    const dirty = Math.min(workingSet, Math.round(workedMs * dirtyPerMs));
    if (precopy.enough(sent, elapsedMs, dirty)) {
      return { rounds: precopy.rounds, lastPages: dirty, restShare: precopy.restShare };
    }
    sent = dirty;
  }
}

describe('a guest', () => {
  test('that stands still costs one round', () => {
    expect(transfer(16_384, 50, 0)).toEqual({ rounds: 1, lastPages: 0, restShare: 0 });
  });

  test('of 64 MiB that writes 20 MB a second is stopped for a few pages and never slowed', () => {
    const { rounds, lastPages, restShare } = transfer(16_384, 50, 5);
    expect(rounds).toBeLessThanOrEqual(3);
    expect(lastPages / 50).toBeLessThanOrEqual(10);
    expect(restShare).toBe(0);
  });

  test('that writes the same small set again and again is stopped for that set', () => {
    const { rounds, lastPages } = transfer(16_384, 200, 1000, 1024);
    expect(rounds).toBeLessThanOrEqual(3);
    expect(lastPages).toBe(1024);
  });

  test('that writes faster than its pages travel is slowed until they fit', () => {
    const { rounds, lastPages, restShare } = transfer(100_000, 20, 40);
    expect(rounds).toBeLessThan(ROUNDS_MAX);
    expect(restShare).toBeGreaterThan(1);
    expect(lastPages / 20).toBeLessThanOrEqual(10);
  });

  test('that cannot be slowed enough is stopped after the last round', () => {
    expect(transfer(100_000, 20, 100_000).rounds).toBe(ROUNDS_MAX);
  });
});
