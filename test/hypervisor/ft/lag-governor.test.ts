/**
 * Goal: a primary is slowed smoothly until its backup keeps up, never swings, never stands still, and is let go when
 * the lag is gone.
 * Method: forecasts set up by hand for the shape of the answer; a small simulation of a primary, a wire and a backup
 * of another speed for the behaviour of the loop.
 */
import { describe, expect, test } from '@jest/globals';
import { LagGovernor } from '../../../hypervisor/ft/lag-governor.js';

const LAG_MS_MAX = 200;
const SLICE_MS = 2;
const WIRE_MS = 1;

/** A governor whose primary has done `backlogMs` of work that a backup of its own speed has not. */
function behind(backlogMs: number): LagGovernor {
  const governor = new LagGovernor(LAG_MS_MAX);
  governor.sent(0, 0);
  // One piece of work in no time: the backup's speed cannot be measured, so it counts as the primary's.
  governor.restMs(backlogMs, 0);
  return governor;
}

/** Rest for each ms of work, averaged over 10 ms of it: exact to a tenth, the rest that may still be saved up. */
function restShare(backlogMs: number): number {
  const governor = behind(backlogMs);
  let restMs = 0;
  for (let i = 0; i < 100; i++) restMs += governor.restMs(0.1, 0);
  return restMs / 10;
}

interface Frame {
  readonly seq: number;
  readonly sentMs: number;
  readonly workedMs: number;
}
interface Sample {
  readonly ms: number;
  readonly lagMs: number;
  /** Share of the time since 100 ms ago that the primary worked. */
  readonly pace: number;
}

/**
 * A primary that always has work, and a backup that does `speed(ms)` of its work per ms.
 * @param round how the host's timers round a rest
 * @param sliceMs work that goes into one frame: a quiet guest's marks are some ms apart
 */
function simulate(
  untilMs: number,
  speed: (ms: number) => number,
  round = (ms: number): number => ms,
  sliceMs = SLICE_MS,
): Sample[] {
  const governor = new LagGovernor(LAG_MS_MAX);
  const samples: Sample[] = [];
  const paces: { ms: number; workedMs: number }[] = [];
  const queue: Frame[] = [];
  const reports: { seq: number; atMs: number }[] = [];
  let now = 0;
  let workedMs = 0;
  let backupMs = 0;
  let executedMs = 0;
  for (let seq = 0; now < untilMs; seq++) {
    now += sliceMs;
    workedMs += sliceMs;
    governor.sent(seq, now);
    queue.push({ seq, sentMs: now, workedMs });
    for (let next = queue[0]; next !== undefined; next = queue[0]) {
      const from = Math.max(backupMs, next.sentMs + WIRE_MS);
      const until = from + (next.workedMs - executedMs) / speed(from);
      if (until > now) break;
      backupMs = until;
      executedMs = next.workedMs;
      queue.shift();
      reports.push({ seq: next.seq, atMs: until + WIRE_MS });
    }
    for (let next = reports[0]; next !== undefined && next.atMs <= now; next = reports[0]) {
      governor.executed(next.seq);
      reports.shift();
    }
    now += round(governor.restMs(sliceMs, now));
    paces.push({ ms: now, workedMs });
    while ((paces[0]?.ms ?? now) < now - 100) paces.shift();
    const first = paces[0] as { ms: number; workedMs: number };
    const pace = now === first.ms ? 1 : (workedMs - first.workedMs) / (now - first.ms);
    samples.push({ ms: now, lagMs: governor.lagMs(now), pace });
  }
  return samples;
}

function range(samples: readonly Sample[], field: 'lagMs' | 'pace'): { min: number; max: number } {
  const values = samples.map((sample) => sample[field]);
  return { min: Math.min(...values), max: Math.max(...values) };
}

const after = (samples: readonly Sample[], ms: number): Sample[] => samples.filter((sample) => sample.ms >= ms);

/** Node's timers: whole ms, at least one. */
const timers = (ms: number): number => (ms === 0 ? 0 : Math.max(1, Math.trunc(ms)));

describe('the lag', () => {
  test('is the age of the oldest frame that is not executed', () => {
    const governor = new LagGovernor(LAG_MS_MAX);
    expect(governor.lagMs(50)).toBe(0);
    governor.sent(3, 100);
    governor.sent(5, 120);
    governor.executed(2);
    expect(governor.lagMs(150)).toBe(50);
    governor.executed(4);
    expect(governor.lagMs(150)).toBe(30);
    governor.executed(5);
    expect(governor.lagMs(150)).toBe(0);
  });

  test('is right over thousands of frames', () => {
    const governor = new LagGovernor(LAG_MS_MAX);
    for (let seq = 0; seq < 5000; seq++) governor.sent(seq, seq);
    for (let seq = 0; seq < 4999; seq += 7) {
      governor.executed(seq);
      expect(governor.lagMs(5000)).toBe(5000 - (seq + 1));
    }
  });
});

describe('the rest', () => {
  test('is none without frames, and none below half the limit', () => {
    expect(new LagGovernor(LAG_MS_MAX).restMs(1000, 1000)).toBe(0);
    for (let backlogMs = 0; backlogMs <= 90; backlogMs += 5) expect(restShare(backlogMs)).toBe(0);
  });

  test('grows smoothly with the lag, from nothing, without steps', () => {
    let before = 0;
    for (let backlogMs = 90; backlogMs <= 400; backlogMs++) {
      const share = restShare(backlogMs);
      expect(share).toBeGreaterThanOrEqual(before - 0.1);
      expect(share).toBeLessThan(before + 0.25);
      before = share;
    }
    expect(restShare(200)).toBeGreaterThan(2);
    expect(restShare(400)).toBeGreaterThan(20);
  });

  test('has a bound: a primary never stands still because of lag', () => {
    expect(restShare(1e9)).toBeCloseTo(32, 6);
  });

  test('is never shorter than a timer can do, and small ones are saved up, not lost', () => {
    const governor = behind(120);
    let restMs = 0;
    for (let i = 0; i < 1000; i++) {
      const rest = governor.restMs(0.01, 0);
      expect(rest === 0 || rest >= 1).toBe(true);
      restMs += rest;
    }
    // 10 ms of work at an excess of 0.10 to 0.15 of the limit.
    expect(restMs).toBeGreaterThan(2.5);
    expect(restMs).toBeLessThan(5.5);
  });

  test('that is still owed is forgotten once the backup has caught up', () => {
    const governor = behind(120);
    expect(governor.restMs(2, 0)).toBe(0);
    governor.sent(1, 0);
    governor.executed(1);
    expect(governor.restMs(0, 0)).toBe(0);
    governor.sent(2, 0);
    const fresh = new LagGovernor(LAG_MS_MAX);
    fresh.sent(0, 0);
    expect(governor.restMs(130, 0)).toBe(fresh.restMs(130, 0));
  });

  test('is long enough as soon as the backup has little left to do', () => {
    const governor = behind(150);
    expect(governor.enough).toBe(false);
    governor.sent(1, 0);
    governor.executed(0);
    expect(governor.enough).toBe(false);
    governor.executed(1);
    expect(governor.enough).toBe(true);
    expect(behind(LAG_MS_MAX / 4 - 1).enough).toBe(true);
    expect(behind(LAG_MS_MAX / 4).enough).toBe(false);
  });

  test('ends when the backup is gone', () => {
    const governor = behind(500);
    governor.clear();
    expect(governor.restMs(100, 1000)).toBe(0);
    expect(governor.lagMs(1000)).toBe(0);
    governor.sent(1, 1000);
    expect(governor.restMs(2, 1002)).toBe(0);
  });
});

describe.each([
  ['exact', (ms: number): number => ms],
  ['in whole ms', timers],
])('with rests that are %s', (_, round) => {
  test('a backup as fast as the primary costs nothing', () => {
    const samples = simulate(3000, () => 1.05, round);
    expect(range(samples, 'pace').min).toBe(1);
  });

  test.each([0.9, 0.8, 0.5, 0.25])('a backup at %d of the speed sets the pace, without swinging', (speed) => {
    const settled = after(
      simulate(6000, () => speed, round),
      2500,
    );
    const lag = range(settled, 'lagMs');
    const pace = range(settled, 'pace');
    expect(lag.max).toBeLessThan(LAG_MS_MAX * 1.05);
    expect(lag.max - lag.min).toBeLessThan(LAG_MS_MAX / 8);
    expect(pace.min).toBeGreaterThan(speed * 0.85);
    expect(pace.max).toBeLessThan(speed * 1.15);
  });

  test('the first answer to a backup at half speed does not overshoot either', () => {
    const samples = simulate(6000, () => 0.5, round);
    expect(range(samples, 'lagMs').max).toBeLessThan(LAG_MS_MAX);
    expect(range(after(samples, 200), 'pace').min).toBeGreaterThan(0.35);
  });

  test('even a backup at a tenth of the speed is never left behind for good', () => {
    const settled = after(
      simulate(12_000, () => 0.1, round),
      6000,
    );
    expect(range(settled, 'lagMs').max).toBeLessThan(LAG_MS_MAX * 2);
  });

  test('trusts a backup again that was slow at first and is as fast as its primary now', () => {
    const free = after(
      simulate(9000, (ms) => (ms < 300 ? 0.3 : 1), round, 40),
      7000,
    );
    expect(range(free, 'pace').min).toBeGreaterThan(0.8);
  });

  test('lets go once the backup is fast again', () => {
    const samples = simulate(6000, (ms) => (ms < 2000 ? 0.5 : 2), round);
    const free = after(samples, 2700);
    expect(range(free, 'lagMs').max).toBeLessThan(10);
    expect(range(free, 'pace').min).toBe(1);
  });
});
