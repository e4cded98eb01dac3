/**
 * Goal: guest time is exactly base + floor(elapsed * rate / 1024), never runs backwards, and icountAt finds the first
 * instruction at which a time has come.
 * Method: properties against the same formula in unbounded integers, over the whole range of rates.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { DecodeError, InvariantError } from '../../../emulator/errors.js';
import { GuestClock, RATE_MAX, RATE_MIN } from '../../../hypervisor/machine/guest-clock.js';

interface Base {
  readonly icount: number;
  readonly ns: number;
  readonly rate: number;
}

/** Rates are drawn evenly over their magnitudes, with the ends and 1 ns an instruction often. */
const rates = fc.oneof(
  fc.constantFrom(RATE_MIN, RATE_MAX, 1024, 1023, 1025, 2048),
  fc.integer({ min: RATE_MIN, max: RATE_MAX }),
  fc.integer({ min: RATE_MIN, max: 5000 }),
);
const bases: fc.Arbitrary<Base> = fc.record({
  icount: fc.integer({ min: 0, max: 2 ** 50 }),
  ns: fc.integer({ min: 0, max: 2 ** 51 }),
  rate: rates,
});
/** Instructions whose time stays within the safe integers at every rate. */
const steps = fc.oneof(fc.integer({ min: 0, max: 5000 }), fc.integer({ min: 0, max: 2 ** 42 }));

function clockAt({ icount, ns, rate }: Base): GuestClock {
  const clock = new GuestClock(1024);
  clock.restore(icount, ns, rate);
  return clock;
}

function referenceNs(base: Base, icount: number): number {
  return Number(BigInt(base.ns) + (BigInt(icount - base.icount) * BigInt(base.rate)) / 1024n);
}

describe('nsAt', () => {
  test('is the exact floor of the line', () => {
    fc.assert(
      fc.property(bases, steps, (base, step) => {
        expect(clockAt(base).nsAt(base.icount + step)).toBe(referenceNs(base, base.icount + step));
      }),
      { numRuns: 2000 },
    );
  });

  test('never falls as icount rises', () => {
    fc.assert(
      fc.property(bases, steps, fc.integer({ min: 1, max: 4096 }), (base, step, more) => {
        const clock = clockAt(base);
        expect(clock.nsAt(base.icount + step + more)).toBeGreaterThanOrEqual(clock.nsAt(base.icount + step));
      }),
    );
  });

  test('refuses an icount before the base', () => {
    expect(() => clockAt({ icount: 10, ns: 0, rate: 1024 }).nsAt(9)).toThrow(InvariantError);
  });
});

describe('icountAt', () => {
  test('is the smallest icount at which guest time is at least the one asked for', () => {
    fc.assert(
      fc.property(bases, fc.integer({ min: 1, max: 2 ** 40 }), (base, wait) => {
        const ns = base.ns + wait;
        const found = clockAt(base).icountAt(ns);
        const elapsed = BigInt(wait) * 1024n;
        const exact = (elapsed + BigInt(base.rate) - 1n) / BigInt(base.rate);
        expect(found).toBe(base.icount + Number(exact));
        expect(referenceNs(base, found)).toBeGreaterThanOrEqual(ns);
        expect(referenceNs(base, found - 1)).toBeLessThan(ns);
      }),
      { numRuns: 2000 },
    );
  });

  test('is the base for times already past', () => {
    const clock = clockAt({ icount: 77, ns: 1000, rate: 1024 });
    expect([0, 999, 1000].map((ns) => clock.icountAt(ns))).toEqual([77, 77, 77]);
    expect(clock.icountAt(1001)).toBe(78);
  });
});

describe('adjust', () => {
  const change = fc.record({
    run: fc.integer({ min: 0, max: 2 ** 20 }),
    skipNs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 10 ** 9 })),
    rate: fc.oneof(fc.constant(null), rates),
  });

  test('moves time on by exactly the skip, at once, and never back', () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 20 }), (changes) => {
        const clock = new GuestClock(1024);
        let icount = 0;
        for (const { run, skipNs, rate } of changes) {
          const rateBefore = clock.rate;
          icount += run;
          const before = clock.nsAt(icount);
          clock.adjust(icount, skipNs, rate);
          expect(clock.nsAt(icount)).toBe(before + skipNs);
          expect(clock.rate).toBe(rate ?? rateBefore);
          expect(clock.nsAt(icount + 1)).toBeGreaterThanOrEqual(before + skipNs);
        }
      }),
    );
  });

  test('runs at the new rate from that instruction on', () => {
    const clock = new GuestClock(1024);
    clock.adjust(1000, 500, 2048);
    expect(clock.nsAt(1000)).toBe(1500);
    expect(clock.nsAt(1010)).toBe(1520);
  });

  test('refuses to turn time back, to lose count of it, or to take a rate out of range', () => {
    for (const skip of [-1, NaN, 0.5, 2 ** 53]) {
      expect(() => {
        new GuestClock(1024).adjust(10, skip, null);
      }).toThrow(InvariantError);
    }
    for (const rate of [0, -1, RATE_MIN - 1, RATE_MAX + 1, 1.5, NaN, Infinity]) {
      expect(() => new GuestClock(rate)).toThrow(InvariantError);
      expect(() => {
        new GuestClock(1024).adjust(0, 0, rate);
      }).toThrow(InvariantError);
    }
  });
});

describe('save and restore', () => {
  test('a restored clock tells the same time for ever', () => {
    fc.assert(
      fc.property(bases, steps, (base, step) => {
        const clock = clockAt(base);
        const other = new GuestClock(RATE_MAX);
        const { baseIcount, baseNs, rate } = clock;
        other.restore(baseIcount, baseNs, rate);
        expect(other.save()).toEqual(clock.save());
        expect(other.save()).toEqual({ baseIcount: base.icount, baseNs: base.ns, rate: base.rate });
        expect(other.nsAt(base.icount + step)).toBe(clock.nsAt(base.icount + step));
      }),
    );
  });

  test('fields from outside that are out of range are refused, and change nothing', () => {
    const clock = clockAt({ icount: 5, ns: 6, rate: 7 });
    const wrong: [number, number, number][] = [
      [-1, 0, 1024],
      [0, -1, 1024],
      [0.5, 0, 1024],
      [0, 2 ** 53, 1024],
      [0, 0, 0],
      [0, 0, RATE_MAX + 1],
      [0, 0, NaN],
      [NaN, 0, 1024],
    ];
    for (const [icount, ns, rate] of wrong) {
      expect(() => {
        clock.restore(icount, ns, rate);
      }).toThrow(DecodeError);
    }
    expect(clock.save()).toEqual({ baseIcount: 5, baseNs: 6, rate: 7 });
  });
});
