/**
 * How many instructions a slice should have so that it takes about 2 ms of host time. It adapts to the speed
 * seen; where slices are cut has no effect on the guest.
 */

/** Host time that a slice should take. */
const SLICE_NS = 2_000_000;
/** How much of a slice may follow an output, in case there is another, before its entry leaves. */
const GATHERING_SHARE = 1 / 4;
const INSTRUCTIONS_MIN = 20_000;
const INSTRUCTIONS_MAX = 50_000_000;
/** Nothing is known yet, and firmware begins with slow accesses to devices. */
const INSTRUCTIONS_FIRST = 50_000;

export class SliceSize {
  #instructions = INSTRUCTIONS_FIRST;
  #start = { ns: 0, icount: 0 };

  get instructions(): number {
    return this.#instructions;
  }

  /** Instructions for which a slice goes on after an output. */
  get gathering(): number {
    return Math.ceil(this.#instructions * GATHERING_SHARE);
  }

  /** A slice begins at host time `nowNs`. */
  begin(nowNs: number, icount: number): void {
    this.#start = { ns: nowNs, icount };
  }

  /**
   * The slice that began last ended, also with a guest that sleeps now: what is done until the next begin() says nothing about the
   * guest's speed. One that ended early shows that the guest is fast, never that it is slow: much of its time was not the guest's.
   */
  ended(nowNs: number, icount: number): void {
    const { ns, icount: startIcount } = this.#start;
    if (nowNs <= ns) return;
    const done = icount - startIcount;
    const wanted = (done * SLICE_NS) / (nowNs - ns);
    if (done < this.#instructions / 2 && wanted < this.#instructions) return;
    const next = Math.min(this.#instructions * 1.5, Math.max(this.#instructions * 0.6, wanted));
    this.#instructions = Math.round(Math.min(INSTRUCTIONS_MAX, Math.max(INSTRUCTIONS_MIN, next)));
  }
}
