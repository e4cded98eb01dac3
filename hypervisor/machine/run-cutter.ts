/**
 * Cuts runs into odd pieces and throws translations away in between, for tests: no guest can notice.
 *
 * The pieces are a function of the seed alone, so a difference that shows up can be shown again.
 */
import { assert } from '../../emulator/errors.js';
import type { Vcpu } from '../../emulator/vcpu.js';

/** Mostly short runs, some long: both ends of what a monitor does. */
const SHORT_MAX = 5_000;
const LONG_MAX = 3_000_000;
const LONG_IN = 4;
const FLUSH_TLB_IN = 8;
const FLUSH_TRANSLATIONS_IN = 400;

export class RunCutter {
  #state: number;

  /** @param seed a 32-bit number */
  constructor(seed: number) {
    assert(Number.isInteger(seed) && seed >= 0 && seed <= 0xffffffff, `seed ${seed}`);
    this.#state = seed;
  }

  /** Where a run from `icount` must stop at the latest. */
  limit(icount: number): number {
    return icount + 1 + this.#below(this.#below(LONG_IN) === 0 ? LONG_MAX : SHORT_MAX);
  }

  /** Between two runs. */
  between(vcpu: Pick<Vcpu, 'flushTlb' | 'flushTranslations'>): void {
    if (this.#below(FLUSH_TLB_IN) === 0) vcpu.flushTlb();
    if (this.#below(FLUSH_TRANSLATIONS_IN) === 0) vcpu.flushTranslations();
  }

  /** 0 to count - 1: a counter, mixed by the finaliser of MurmurHash3 (Appleby, 2011). */
  #below(count: number): number {
    this.#state = (this.#state + 0x9e3779b9) >>> 0;
    let x = this.#state;
    x = Math.imul(x ^ (x >>> 16), 0x85ebca6b) >>> 0;
    x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35) >>> 0;
    return ((x ^ (x >>> 16)) >>> 0) % count;
  }
}
