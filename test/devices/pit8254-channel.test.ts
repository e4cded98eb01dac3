/**
 * Goal: a channel that computes its output from the load time equals a counter that counts every clock.
 * Method: a naive counter, stepped tick by tick as the data sheet's mode definitions say, driven with random writes,
 * gates and pauses beside the real one; outputs, counts and rising edges are compared at every step.
 */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Pit8254Channel } from '../../devices/pit8254-channel.js';

/** Counts binary, one call of tick() a clock. */
class NaiveCounter {
  readonly #mode: number;
  out: boolean;
  #gate = true;
  #register: number | null = null;
  #element: number | null = null;
  #loadNext = false;
  #extraTick = false;

  constructor(mode: number) {
    this.#mode = mode;
    this.out = mode !== 0;
  }

  get count(): number | null {
    return this.#element === null || this.#loadNext ? null : this.#element & 0xffff;
  }

  write(count: number): void {
    this.#register = count === 0 ? 65536 : count;
    if (this.#mode === 0) this.out = false;
    if (this.#mode === 0 || this.#mode === 4) this.#loadNext = true;
    if ((this.#mode === 2 || this.#mode === 3) && this.#element === null && this.#gate) this.#loadNext = true;
  }

  gate(level: boolean): void {
    if (level === this.#gate) return;
    this.#gate = level;
    if (this.#mode === 2 || this.#mode === 3) {
      if (!level) this.out = true;
      this.#element = null;
      this.#loadNext = level && this.#register !== null;
    } else if ((this.#mode === 1 || this.#mode === 5) && level && this.#register !== null) {
      this.#loadNext = true;
    }
  }

  tick(): void {
    if (this.#loadNext) {
      this.#loadNext = false;
      this.#load();
      if (this.#mode === 1) this.out = false;
      if (this.#mode === 4 || this.#mode === 5) this.out = true;
      return;
    }
    const gated = this.#mode !== 1 && this.#mode !== 5;
    if (this.#element === null || (gated && !this.#gate)) return;
    if (this.#mode === 3) this.#tickSquare();
    else this.#tickDown();
  }

  #load(): void {
    this.#element = this.#mode === 3 ? this.#register! & ~1 : this.#register;
    this.#extraTick = this.#mode === 3 && this.#register! % 2 === 1 && this.out;
  }

  #tickDown(): void {
    this.#element!--;
    if (this.#mode === 2) {
      if (this.#element === 1) this.out = false;
      if (this.#element === 0) {
        this.out = true;
        this.#load();
      }
    } else if (this.#mode === 0 || this.#mode === 1) {
      if (this.#element === 0) this.out = true;
    } else {
      this.out = this.#element !== 0;
    }
  }

  #tickSquare(): void {
    if (this.#element === 0 && this.#extraTick) {
      this.#extraTick = false;
    } else {
      this.#element! -= 2;
      if (this.#element !== 0 || this.#extraTick) return;
    }
    this.out = !this.out;
    this.#load();
  }
}

interface Step {
  readonly do: 'pass' | 'count' | 'gate';
  /** Ticks, count or level. */
  readonly value: number;
}
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('pass' as const), value: fc.integer({ min: 1, max: 40 }) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('count' as const), value: fc.integer({ min: 2, max: 25 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('gate' as const), value: fc.integer({ min: 0, max: 1 }) }) },
);

test.each([0, 1, 2, 3, 4, 5])('mode %i equals a counter that counts every clock', (mode) => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const channel = new Pit8254Channel(true);
      channel.configure(mode, 1, false);
      const naive = new NaiveCounter(mode);
      const seen: unknown[] = [];
      const wanted: unknown[] = [];
      let now = 0;
      for (const next of steps) {
        if (next.do === 'count') {
          channel.write(next.value, now);
          naive.write(next.value);
        } else if (next.do === 'gate') {
          channel.setGate(next.value === 1, now);
          naive.gate(next.value === 1);
        } else {
          for (let i = 0; i < next.value; i++) {
            naive.tick();
            now++;
            channel.latchCount(now);
            const count = channel.read(now);
            seen.push({ now, out: channel.output(now), count: naive.count === null ? null : count });
            wanted.push({ now, out: naive.out, count: naive.count === null ? null : naive.count & 0xff });
          }
        }
      }
      expect(seen).toEqual(wanted);
    }),
    { numRuns: 150 },
  );
});

test.each([0, 2, 3, 4])('mode %i announces each rise exactly', (mode) => {
  const counts = fc.array(fc.tuple(fc.integer({ min: 2, max: 30 }), fc.integer({ min: 1, max: 90 })), { maxLength: 6 });
  fc.assert(
    fc.property(counts, (writes) => {
      const channel = new Pit8254Channel(true);
      channel.configure(mode, 1, false);
      const rises: number[] = [];
      const announcements: number[] = [];
      let now = 0;
      for (const [count, ticks] of writes) {
        channel.write(count, now);
        let announced = channel.nextRise(now);
        let before = channel.output(now);
        for (const end = now + ticks; now < end;) {
          now++;
          const out = channel.output(now);
          if (out && !before) rises.push(now);
          if (announced !== null && announced <= now) {
            announcements.push(announced);
            announced = channel.nextRise(now);
          }
          before = out;
        }
      }
      expect(announcements).toEqual(rises);
    }),
    { numRuns: 100 },
  );
});

test('a channel that is far from its load is as exact as a fresh one', () => {
  const channel = new Pit8254Channel(true);
  channel.configure(2, 3, false);
  channel.write(0x9c, 0);
  channel.write(0x2e, 0);
  const period = 0x2e9c;
  const late = 1 + period * 10 ** 9;
  expect(channel.nextRise(late - 1)).toBe(late);
  expect(channel.nextRise(late)).toBe(late + period);
  expect([channel.output(late - 1), channel.output(late)]).toEqual([false, true]);
});
