/**
 * Decides when a live replica changes the guest's clock. Only the replica that is live asks it; the
 * backup follows the clock entries that result.
 *
 *   busy guest   the rate is steered so that guest time follows host time (no jumps, so no timer
 *                deadline is ever passed unnoticed)
 *   halted guest time jumps to the next deadline once the host has got there, or to the host's time
 *                when an input arrives earlier
 *
 * Steering is by plan, so that a guest of steady speed needs hardly any entries: a rate is chosen that works
 * the drift off in SLEW_NS, the drift is then expected to shrink along a straight line, and the next entry
 * comes only when that line reaches zero (back to the plain speed) or the drift leaves it by DRIFT_NS_MAX.
 *
 * With `--clock icount` there is no host time at all: a fixed rate, and idle time is added at once.
 * Sans-io: the host's time is passed in, in ns.
 */
import { assert } from '../../emulator/errors.js';
import { RATE_ONE_NS } from '../log/entry.js';
import { RATE_MAX, RATE_MIN } from '../machine/guest-clock.js';

export type ClockMode = 'host' | 'icount';

/** Rate before anything was measured: 1 ns an instruction for `icount`, 2 ns for `host`. */
export function initialRate(mode: ClockMode): number {
  return mode === 'icount' ? RATE_ONE_NS : 2 * RATE_ONE_NS;
}

/** Drift between guest and host time, or distance from the plan, that calls for a clock entry. */
export const DRIFT_NS_MAX = 5_000_000;
/** A drift below this is as good as none. */
const DRIFT_NS_MIN = 500_000;
/** A gap longer than this was a suspended host, not a slow one: guest time does not try to catch up. */
export const GAP_NS_MAX = 500_000_000;
/** Time over which a drift is worked off. */
const SLEW_NS = 100_000_000;
/** A plan is given this long before it is changed, unless the drift runs away (DRIFT_NS_URGENT). */
const PLAN_NS_MIN = 40_000_000;
const DRIFT_NS_URGENT = 2 * DRIFT_NS_MAX;
/** Bounds of guest time's speed while it catches up or waits. */
const FACTOR_MIN = 0.25;
const FACTOR_MAX = 3;
/** Shortest busy stretch from which a speed is measured. */
const MEASURE_NS_MIN = 2_000_000;
/** Time over which measured speeds are averaged. */
const AVERAGE_NS = 30_000_000;
/** A speed this many times the average is another speed, not noise. */
const OTHER_SPEED = 1.5;

/** From host time `sinceNs` on, a drift of `driftNs` changes by `slope` ns per ns of host time. */
interface Plan {
  readonly sinceNs: number;
  readonly driftNs: number;
  readonly slope: number;
}

export class ClockPolicy {
  readonly mode: ClockMode;
  /** Host time minus guest time as it should be. */
  #originNs: number | null = null;
  /** Where the present slice began; null: the guest slept before it. */
  #sliceIcount: number | null = null;
  #measuredFrom: { readonly hostNs: number; readonly icount: number } | null = null;
  /** The last stretch was much slower than the average. */
  #slowBefore = false;
  /** Averaged host ns per 1024 instructions; 0 = not measured yet. */
  #speed = 0;
  #plan: Plan | null = null;

  constructor(mode: ClockMode) {
    this.mode = mode;
  }

  /** The guest starts, goes live or resumes with guest time `guestNs` at host time `hostNs`. */
  start(hostNs: number, guestNs: number): void {
    this.#originNs = hostNs - guestNs;
    this.interrupted();
  }

  /** What guest time should be at host time `hostNs`. */
  wanted(hostNs: number): number {
    return hostNs - this.#origin();
  }

  /** Host time at which guest time `guestNs` is due. */
  hostTimeOf(guestNs: number): number {
    return guestNs + this.#origin();
  }

  /**
   * The guest ran a slice from host time `hostNs` until `icount` without halting; guest time there is `guestNs`.
   * Returns the new rate when the clock must be steered, else null.
   */
  busy(hostNs: number, icount: number, guestNs: number, rate: number): number | null {
    if (this.mode === 'icount') return null;
    const drift = this.wanted(hostNs) - guestNs;
    if (drift > GAP_NS_MAX) {
      this.start(hostNs, guestNs);
      return null;
    }
    this.#measure(hostNs, icount);
    if (this.#speed === 0 || this.#goesToPlan(hostNs, drift)) return null;
    const factor = Math.min(FACTOR_MAX, Math.max(FACTOR_MIN, 1 + drift / SLEW_NS));
    const next = Math.min(RATE_MAX, Math.max(RATE_MIN, Math.round(this.#speed * factor)));
    this.#plan = { sinceNs: hostNs, driftNs: drift, slope: 1 - next / this.#speed };
    return next === rate ? null : next;
  }

  /**
   * The halted guest is woken at host time `hostNs` for a deadline at `guestNs`. When that is long past the host
   * was suspended, and guest time goes on from the deadline instead of rushing through all that were missed.
   */
  woken(hostNs: number, guestNs: number): void {
    if (this.mode === 'host' && this.wanted(hostNs) - guestNs > GAP_NS_MAX) this.start(hostNs, guestNs);
  }

  /** The guest halted or the monitor was away: what follows is not a measure of its speed. */
  interrupted(): void {
    this.#sliceIcount = null;
    this.#measuredFrom = null;
    this.#plan = null;
  }

  #origin(): number {
    assert(this.#originNs !== null, 'the clock policy is asked before it was started');
    return this.#originNs;
  }

  /** The drift is as planned and the plan has work left, or it is too early to change it. */
  #goesToPlan(hostNs: number, drift: number): boolean {
    const plan = this.#plan;
    if (plan === null) return Math.abs(drift) <= DRIFT_NS_MAX;
    const elapsedNs = hostNs - plan.sinceNs;
    const expected = plan.driftNs + plan.slope * elapsedNs;
    const correcting = Math.abs(plan.driftNs) > DRIFT_NS_MIN;
    const done = correcting && expected * plan.driftNs <= 0;
    const off = Math.abs(drift - (correcting ? expected : 0));
    if (!done && off <= DRIFT_NS_MAX) return true;
    return elapsedNs < PLAN_NS_MIN && off <= DRIFT_NS_URGENT;
  }

  /** The slice that begins at `hostNs` ends at `icount`; it began where the one before ended. */
  #measure(hostNs: number, icount: number): void {
    const began = this.#sliceIcount;
    this.#sliceIcount = icount;
    if (began === null) return;
    const from = this.#measuredFrom;
    if (from === null) {
      this.#measuredFrom = { hostNs, icount: began };
      return;
    }
    const elapsedNs = hostNs - from.hostNs;
    const instructions = began - from.icount;
    if (elapsedNs < MEASURE_NS_MIN || instructions < RATE_ONE_NS) return;
    this.#measuredFrom = { hostNs, icount: began };
    this.#average((elapsedNs * RATE_ONE_NS) / instructions, elapsedNs);
  }

  /** One slow stretch may be the host's doing; two in a row, or a fast one, are the guest's new speed. */
  #average(speed: number, elapsedNs: number): void {
    const slower = speed > this.#speed * OTHER_SPEED;
    const faster = speed * OTHER_SPEED < this.#speed;
    if (this.#speed === 0 || faster || (slower && this.#slowBefore)) this.#speed = speed;
    else if (!slower) this.#speed += (speed - this.#speed) * Math.min(1, elapsedNs / AVERAGE_NS);
    this.#slowBefore = slower;
  }
}
