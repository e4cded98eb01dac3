/**
 * Calls a live replica's step again and again: at once while the guest runs, later while it sleeps, and at once
 * when something wakes it. An error in a step ends the loop.
 */

/** Shorter pauses than this are not worth a timer. */
const TIMER_MS_MIN = 0.3;

export class RunLoop {
  readonly #step: () => number | null;
  readonly #fail: (error: unknown) => void;
  #timer: NodeJS.Timeout | null = null;
  #immediate: NodeJS.Immediate | null = null;
  #on = false;

  /**
   * @param step runs one slice and returns the ms until the next one; null: only when woken
   * @param fail called once when a step throws
   */
  constructor(step: () => number | null, fail: (error: unknown) => void) {
    this.#step = step;
    this.#fail = fail;
  }

  start(): void {
    this.#on = true;
    this.#schedule(0);
  }

  /** Step soon, whatever the last pause was. */
  wake(): void {
    if (!this.#on || this.#immediate !== null) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#schedule(0);
  }

  stop(): void {
    this.#on = false;
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.#immediate !== null) clearImmediate(this.#immediate);
    this.#timer = null;
    this.#immediate = null;
  }

  #run(): void {
    this.#timer = null;
    this.#immediate = null;
    try {
      this.#schedule(this.#step());
    } catch (error) {
      this.stop();
      this.#fail(error);
    }
  }

  #schedule(ms: number | null): void {
    if (!this.#on || ms === null || this.#immediate !== null || this.#timer !== null) return;
    const run = (): void => {
      this.#run();
    };
    if (ms < TIMER_MS_MIN) this.#immediate = setImmediate(run);
    else this.#timer = setTimeout(run, ms);
  }
}
