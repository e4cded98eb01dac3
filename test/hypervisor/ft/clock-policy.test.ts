/**
 * Goal: guest time follows host time, whatever the guest's speed does, with few clock entries; a suspended host is not
 * caught up with; under the icount clock the policy never interferes.
 * Method: simulated guests, stepped in slices as a live replica steps them, with steady, noisy, drifting and jumping
 * speeds; drift and entries are counted after a first second.
 */
import { describe, expect, test } from '@jest/globals';
import { InvariantError } from '../../../emulator/errors.js';
import { ClockPolicy, DRIFT_NS_MAX, GAP_NS_MAX, initialRate } from '../../../hypervisor/ft/clock-policy.js';
import { SliceSize } from '../../../hypervisor/ft/slice-size.js';
import { GuestClock, RATE_MAX } from '../../../hypervisor/machine/guest-clock.js';

const SECOND_NS = 1e9;
/** Host time that a step costs besides the guest's instructions. */
const STEP_NS = 20_000;

/** A generator of numbers from 0 to 1 that gives the same ones every time. */
function chance(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

interface Guest {
  readonly seconds: number;
  /** Host ns per instruction at a time in s since the start. */
  readonly speed: (second: number) => number;
  /** Host ns that a slice takes longer, for the host's own reasons. */
  readonly stallNs?: (second: number) => number;
}
interface Course {
  /** Per second, after the first. */
  readonly entries: number;
  /** Extremes of host time minus guest time, in ms, after the first second. */
  readonly driftMsMin: number;
  readonly driftMsMax: number;
}

/** A guest that never halts. */
function run({ seconds, speed, stallNs = () => 0 }: Guest): Course {
  const startNs = 5e9;
  const policy = new ClockPolicy('host');
  const clock = new GuestClock(initialRate('host'));
  const slice = new SliceSize();
  policy.start(startNs, 0);
  let hostNs = startNs;
  let icount = 0;
  let entries = 0;
  let [driftMsMin, driftMsMax] = [0, 0];
  while (hostNs - startNs < seconds * SECOND_NS) {
    const nowNs = hostNs;
    const second = (nowNs - startNs) / SECOND_NS;
    slice.begin(nowNs, icount);
    icount += slice.instructions;
    hostNs += Math.round(slice.instructions * speed(second) + STEP_NS + stallNs(second));
    slice.ended(hostNs, icount);
    const rate = policy.busy(nowNs, icount, clock.nsAt(icount), clock.rate);
    if (rate !== null) {
      expect(rate).not.toBe(clock.rate);
      clock.adjust(icount, 0, rate);
    }
    if (second < 1) continue;
    if (rate !== null) entries++;
    const driftMs = (policy.wanted(nowNs) - clock.nsAt(icount)) / 1e6;
    driftMsMin = Math.min(driftMsMin, driftMs);
    driftMsMax = Math.max(driftMsMax, driftMs);
  }
  return { entries: entries / (seconds - 1), driftMsMin, driftMsMax };
}

/** A stall of `ns` once in each period, or once only. */
function stallEvery(periodSeconds: number, ns: number): (second: number) => number {
  let period = 0;
  return (second) => {
    const now = Math.floor(second / periodSeconds);
    if (now === period) return 0;
    period = now;
    return ns;
  };
}

describe('a busy guest', () => {
  test.each([0.5, 0.7, 1.3, 2, 10, 100])('of steady speed, %d ns an instruction, needs hardly any entries', (ns) => {
    const { entries, driftMsMin, driftMsMax } = run({ seconds: 6, speed: () => ns });
    expect(entries).toBeLessThan(3);
    expect(driftMsMin).toBeGreaterThan(-8);
    expect(driftMsMax).toBeLessThan(8);
  });

  test.each([1, 2, 3])('whose speed is noisy by 30 %% is followed with few entries (seed %d)', (seed) => {
    const random = chance(seed);
    const { entries, driftMsMin, driftMsMax } = run({ seconds: 6, speed: () => 1.3 * (0.7 + 0.6 * random()) });
    expect(entries).toBeLessThan(20);
    expect(driftMsMin).toBeGreaterThan(-12);
    expect(driftMsMax).toBeLessThan(12);
  });

  test.each([0.05, 0.2, 1, 5])('whose speed swings by 30 %% every %d s is followed', (period) => {
    const speed = (second: number): number => 1.3 * (1 + 0.3 * Math.sin((2 * Math.PI * second) / period));
    const { entries, driftMsMin, driftMsMax } = run({ seconds: 6, speed });
    expect(entries).toBeLessThan(30);
    expect(driftMsMin).toBeGreaterThan(-20);
    expect(driftMsMax).toBeLessThan(20);
  });

  test('that becomes ten times slower and faster again is caught within some slices', () => {
    const speed = (second: number): number => (Math.floor(second * 2) % 2 === 0 ? 1.3 : 13);
    const { entries, driftMsMin, driftMsMax } = run({ seconds: 6, speed });
    expect(entries).toBeLessThan(30);
    expect(driftMsMin).toBeGreaterThan(-60);
    expect(driftMsMax).toBeLessThan(60);
  });

  test('on a host that stalls makes up for each stall without overshooting', () => {
    const { entries, driftMsMin, driftMsMax } = run({ seconds: 6, speed: () => 1.3, stallNs: stallEvery(0.2, 30e6) });
    expect(entries).toBeLessThan(20);
    expect(driftMsMin).toBeGreaterThan(-8);
    expect(driftMsMax).toBeLessThan(40);
    const once = run({ seconds: 6, speed: () => 1.3, stallNs: stallEvery(3, 300e6) });
    expect(once.driftMsMin).toBeGreaterThan(-10);
    expect(once.driftMsMax).toBeLessThan(320);
  });

  test('slower than the slowest rate does not flood the log', () => {
    const ns = (RATE_MAX / 1024) * 1.5;
    expect(run({ seconds: 10, speed: () => ns }).entries).toBeLessThan(2);
  });
});

describe('a suspended host', () => {
  test('does not make a busy guest rush: its time goes on from where it was', () => {
    let gaps = 0;
    const stallNs = (second: number): number => {
      if (gaps > 0 || second < 3) return 0;
      gaps++;
      return 10 * SECOND_NS;
    };
    const { driftMsMin, driftMsMax, entries } = run({ seconds: 16, speed: () => 1.3, stallNs });
    expect(gaps).toBe(1);
    // The gap is seen once, as it is; what follows is as if it had not been.
    expect(driftMsMax).toBeLessThan(10);
    expect(driftMsMin).toBeGreaterThan(-10);
    expect(entries).toBeLessThan(3);
  });

  test('is told from a slow one by the size of the gap', () => {
    const policy = new ClockPolicy('host');
    policy.start(0, 0);
    policy.busy(GAP_NS_MAX, 1000, 0, 2048);
    expect(policy.wanted(GAP_NS_MAX)).toBe(GAP_NS_MAX);
    policy.busy(GAP_NS_MAX + 1, 1000, 0, 2048);
    expect(policy.wanted(GAP_NS_MAX + 1)).toBe(0);
  });

  test('does not let a halted guest rush through the ticks it missed', () => {
    const policy = new ClockPolicy('host');
    policy.start(0, 0);
    policy.woken(1_000_000 + GAP_NS_MAX, 1_000_000);
    expect(policy.hostTimeOf(2_000_000)).toBe(2_000_000);
    policy.woken(10 * SECOND_NS, 1_000_000);
    expect(policy.hostTimeOf(2_000_000)).toBe(10 * SECOND_NS + 1_000_000);
  });

  test('is not seen in a long sleep: the deadline is what counts', () => {
    const policy = new ClockPolicy('host');
    policy.start(0, 0);
    policy.woken(60 * SECOND_NS, 60 * SECOND_NS - 1000);
    expect(policy.wanted(60 * SECOND_NS)).toBe(60 * SECOND_NS);
  });
});

/** A guest that works off `work()` instructions after each tick and halts in between. Returns ticks and entries per second. */
function runTicking(tickNs: number, work: () => number, nsPerInstruction: number): { ticks: number; entries: number } {
  const seconds = 4;
  const policy = new ClockPolicy('host');
  const clock = new GuestClock(initialRate('host'));
  const slice = new SliceSize();
  policy.start(0, 0);
  let [hostNs, icount, pending, deadlineNs, ticks, entries] = [0, 0, 0, tickNs, 0, 0];
  const tick = (): void => {
    ticks++;
    deadlineNs += tickNs;
    pending += Math.round(work());
  };
  while (hostNs < seconds * SECOND_NS) {
    const nowNs = hostNs;
    slice.begin(nowNs, icount);
    const end = icount + slice.instructions;
    while (icount < end && pending > 0) {
      const next = Math.min(end, icount + pending, Math.max(icount, clock.icountAt(deadlineNs)));
      pending -= next - icount;
      hostNs += Math.round((next - icount) * nsPerInstruction);
      icount = next;
      if (clock.nsAt(icount) >= deadlineNs) tick();
    }
    hostNs += STEP_NS;
    slice.ended(hostNs, icount);
    if (pending > 0) {
      const rate = policy.busy(nowNs, icount, clock.nsAt(icount), clock.rate);
      if (rate === null) continue;
      entries++;
      clock.adjust(icount, 0, rate);
      continue;
    }
    policy.interrupted();
    hostNs = Math.max(hostNs, policy.hostTimeOf(deadlineNs) + STEP_NS);
    policy.woken(hostNs, deadlineNs);
    clock.adjust(icount, Math.max(0, deadlineNs - clock.nsAt(icount)), null);
    tick();
  }
  return { ticks: ticks / seconds, entries: entries / seconds };
}

describe('a guest that halts', () => {
  test.each([
    [1, 0.3],
    [1, 0.9],
    [10, 0.6],
    [10, 0.95],
    [54.9, 0.5],
  ])('between ticks of %d ms, busy for %d of the time, gets them all in host time', (tickMs, load) => {
    const perTick = (tickMs * 1e6 * load) / 1.3;
    const { ticks, entries } = runTicking(tickMs * 1e6, () => perTick, 1.3);
    expect(ticks * tickMs).toBeGreaterThan(975);
    expect(ticks * tickMs).toBeLessThan(1025);
    expect(entries).toBeLessThan(5);
  });

  test('and is sometimes overloaded is still followed with few entries', () => {
    const random = chance(3);
    const { ticks, entries } = runTicking(100e6, () => (100e6 * 1.6 * random()) / 1.3, 1.3);
    expect(ticks).toBeGreaterThan(9.5);
    expect(ticks).toBeLessThan(10.5);
    expect(entries).toBeLessThan(15);
  });
});

describe('the icount clock', () => {
  test('is one ns an instruction and never steered', () => {
    expect(initialRate('icount')).toBe(1024);
    const policy = new ClockPolicy('icount');
    policy.start(0, 0);
    for (let i = 1; i < 100; i++) expect(policy.busy(i * SECOND_NS, i * 1e6, i * 1e6, 1024)).toBeNull();
    policy.woken(1000 * SECOND_NS, 0);
    expect(policy.wanted(1000 * SECOND_NS)).toBe(1000 * SECOND_NS);
  });
});

describe('the policy', () => {
  test('must be started before it is asked', () => {
    const policy = new ClockPolicy('host');
    expect(() => policy.wanted(0)).toThrow(InvariantError);
    expect(() => policy.hostTimeOf(0)).toThrow(InvariantError);
    expect(() => policy.busy(0, 0, 0, 1024)).toThrow(InvariantError);
  });

  test('goes on from any guest time when a replica goes live', () => {
    const policy = new ClockPolicy('host');
    policy.start(7e9, 123);
    expect(policy.wanted(7e9)).toBe(123);
    expect(policy.hostTimeOf(1123)).toBe(7e9 + 1000);
  });

  test('lets a small drift be', () => {
    const policy = new ClockPolicy('host');
    policy.start(0, 0);
    for (let ms = 2; ms < 1000; ms += 2) {
      expect(policy.busy(ms * 1e6, ms * 1e6, ms * 1e6 - DRIFT_NS_MAX, 1024)).toBeNull();
    }
  });
});
