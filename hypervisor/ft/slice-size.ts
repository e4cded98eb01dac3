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
  #start: { readonly ns: number; readonly icount: number } | null = null;
  #slept = false;

  get instructions(): number {
    return this.#instructions;
  }

  /** Instructions for which a slice goes on after an output. */
  get gathering(): number {
    return Math.ceil(this.#instructions * GATHERING_SHARE);
  }

  /** A slice begins at host time `nowNs`. If nobody said when the one before it ended, that was now, at `icount`. */
  begin(nowNs: number, icount: number): void {
    if (!this.#slept) this.#measure(nowNs, icount);
    this.#slept = false;
    this.#start = { ns: nowNs, icount };
  }

  /** The slice that began last ended: what is done between slices says nothing about the guest's speed. */
  ended(nowNs: number, icount: number): void {
    this.#measure(nowNs, icount);
    this.#start = null;
  }

  /** The guest sleeps: the time until the next begin() says nothing about its speed. */
  interrupted(): void {
    this.#slept = true;
  }

  /** A slice that ended early shows that the guest is fast, never that it is slow: much of its time was not the guest's. */
  #measure(nowNs: number, icount: number): void {
    const start = this.#start;
    if (start === null || nowNs <= start.ns) return;
    const done = icount - start.icount;
    const wanted = (done * SLICE_NS) / (nowNs - start.ns);
    if (done < this.#instructions / 2 && wanted < this.#instructions) return;
    const next = Math.min(this.#instructions * 1.5, Math.max(this.#instructions * 0.6, wanted));
    this.#instructions = Math.round(Math.min(INSTRUCTIONS_MAX, Math.max(INSTRUCTIONS_MIN, next)));
  }
}
