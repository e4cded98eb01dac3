/**
 * Guest time as a function of the instruction count.
 *
 *   ns(icount) = baseNs + floor((icount - baseIcount) * rate / 1024)
 *
 * Between two clock entries of the log all guest clocks (TSC, PIT, RTC) follow from this line alone, so
 * reading a clock costs no entry. Idle time is added by skip(); icount itself never contains it.
 *
 * Invariants: ns is monotonic in icount; rate >= 1; all values are safe integers, computed exactly.
 */
import { assert, DecodeError } from '../../emulator/errors.js';
import type { StateRecord } from '../../devices/state.js';
import { RATE_ONE_NS } from '../log/entry.js';

/** Slowest and fastest rate accepted, in ns per 1024 instructions (1/1024 ns to 1 us an instruction). */
export const RATE_MIN = 1;
export const RATE_MAX = 1024 * 1000;

export class GuestClock {
  #baseIcount = 0;
  #baseNs = 0;
  #rate: number;

  /** @param rate guest nanoseconds per 1024 instructions */
  constructor(rate: number) {
    this.#rate = rate;
    this.#checkRate(rate);
  }

  get baseIcount(): number {
    return this.#baseIcount;
  }
  get baseNs(): number {
    return this.#baseNs;
  }
  get rate(): number {
    return this.#rate;
  }

  /** Guest time in ns at `icount`, which must not lie before the last skip or rate change. */
  nsAt(icount: number): number {
    const elapsed = icount - this.#baseIcount;
    assert(elapsed >= 0, () => `guest clock asked about icount ${icount}, before its base ${this.#baseIcount}`);
    const whole = Math.floor(elapsed / RATE_ONE_NS);
    const rest = elapsed - whole * RATE_ONE_NS;
    return this.#baseNs + whole * this.#rate + Math.floor((rest * this.#rate) / RATE_ONE_NS);
  }

  /** The smallest icount at which guest time is at least `ns`; the base's icount for times already past. */
  icountAt(ns: number): number {
    const wanted = ns - this.#baseNs;
    if (wanted <= 0) return this.#baseIcount;
    const whole = Math.floor(wanted / this.#rate);
    const rest = wanted - whole * this.#rate;
    return this.#baseIcount + whole * RATE_ONE_NS + Math.ceil((rest * RATE_ONE_NS) / this.#rate);
  }

  /** At `icount` let guest time jump forward by `skipNs` and run at `rate` from there (null: unchanged). */
  adjust(icount: number, skipNs: number, rate: number | null): void {
    assert(skipNs >= 0, () => `guest time must not run backwards (${skipNs} ns)`);
    const now = this.nsAt(icount);
    this.#baseIcount = icount;
    this.#baseNs = now + skipNs;
    if (rate !== null) {
      this.#checkRate(rate);
      this.#rate = rate;
    }
    assert(Number.isSafeInteger(this.#baseNs), 'guest time left the range of safe integers');
  }

  save(): StateRecord {
    return { baseIcount: this.#baseIcount, baseNs: this.#baseNs, rate: this.#rate };
  }

  /** Take over saved fields. @throws DecodeError when one is out of range */
  restore(baseIcount: number, baseNs: number, rate: number): void {
    for (const value of [baseIcount, baseNs, rate]) {
      if (!Number.isSafeInteger(value) || value < 0) throw new DecodeError('bad-clock', 0, `clock field ${value}`);
    }
    if (rate < RATE_MIN || rate > RATE_MAX) throw new DecodeError('bad-clock', 0, `clock rate ${rate}`);
    this.#baseIcount = baseIcount;
    this.#baseNs = baseNs;
    this.#rate = rate;
  }

  #checkRate(rate: number): void {
    assert(
      Number.isSafeInteger(rate) && rate >= RATE_MIN && rate <= RATE_MAX,
      () => `clock rate ${rate} is out of range`,
    );
  }
}
