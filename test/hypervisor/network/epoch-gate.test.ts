/**
 * Goal: at most one replica of a pair passes frames, and never one of an old epoch.
 * Method: the stories of a take-over, told as calls; one property over random calls.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { EpochGate, PAIRS_MAX } from '../../../hypervisor/network/epoch-gate.js';

describe('EpochGate', () => {
  test('a newer epoch shuts the older one out at once, and for good', () => {
    const gate = new EpochGate();
    gate.attach('p', 1);
    expect(gate.passes('p', 'a', 1)).toBe(true);
    expect(gate.announce('p', 'b', 2)).toBe(true);
    expect(gate.passes('p', 'a', 1)).toBe(false);
    expect(gate.passes('p', 'b', 2)).toBe(true);
    expect(gate.announce('p', 'a', 1)).toBe(false);
    expect(gate.attach('p', 1)).toBe(true);
    expect(gate.passes('p', 'a', 1)).toBe(false);
  });

  test('a hello of a newer epoch is enough to shut the older one out', () => {
    const gate = new EpochGate();
    gate.attach('p', 1);
    gate.attach('p', 2);
    expect(gate.passes('p', 'a', 1)).toBe(false);
  });

  test('who announced itself first in an epoch has it; asking again is fine', () => {
    const gate = new EpochGate();
    gate.attach('p', 3);
    expect(gate.announce('p', 'a', 3)).toBe(true);
    expect(gate.announce('p', 'a', 3)).toBe(true);
    expect(gate.announce('p', 'b', 3)).toBe(false);
    expect(gate.passes('p', 'b', 3)).toBe(false);
    expect(gate.passes('p', 'a', 3)).toBe(true);
  });

  test('pairs do not touch each other, and there is a limit to them', () => {
    const gate = new EpochGate();
    for (let i = 0; i < PAIRS_MAX; i++) expect(gate.attach(`p${i}`, i)).toBe(true);
    expect(gate.attach('one more', 1)).toBe(false);
    expect(gate.announce('one more', 'a', 1)).toBe(false);
    expect(gate.passes('one more', 'a', 1)).toBe(false);
    expect(gate.attach('p1', 5)).toBe(true);
    expect(gate.passes('p2', 'a', 2)).toBe(true);
  });

  test('after any announcements at most one replica passes', () => {
    const call = fc.record({ who: fc.constantFrom('a', 'b', 'c'), epoch: fc.integer({ min: 0, max: 4 }) });
    fc.assert(
      fc.property(fc.array(call, { minLength: 1, maxLength: 20 }), (calls) => {
        const gate = new EpochGate();
        gate.attach('p', 0);
        let newest = 0;
        for (const { who, epoch } of calls) {
          gate.announce('p', who, epoch);
          newest = Math.max(newest, epoch);
          for (let old = 0; old < newest; old++) for (const id of 'abc') expect(gate.passes('p', id, old)).toBe(false);
        }
        if (newest === 0 && calls.every(({ epoch }) => epoch > 0)) return;
        expect(['a', 'b', 'c'].filter((id) => gate.passes('p', id, newest))).toHaveLength(1);
      }),
    );
  });
});
