/**
 * Calls a replica's step again and again: at once while the guest runs, later while it sleeps, and at once
 * when something wakes it. An error in a step ends the loop.
 *
 * A timer that is set stays set when something else comes first, and serves what wants it later: a step too early is harmless,
 * and a guest that sleeps between packets would set one and take it back for each.
 */
import { hostMs } from './host-time.js';

/** Shorter pauses than this are not worth a timer. */
const TIMER_MS_MIN = 0.3;

export class RunLoop {
  readonly #step: () => number | null;
  readonly #fail: (error: unknown) => void;
  #timer: NodeJS.Timeout | null = null;
  /** When the timer fires. */
  #dueMs = 0;
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
    if (this.#on && this.#immediate === null) this.#immediate = setImmediate(this.#woken);
  }

  stop(): void {
    this.#on = false;
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.#immediate !== null) clearImmediate(this.#immediate);
    this.#timer = null;
    this.#immediate = null;
  }

  readonly #woken = (): void => {
    this.#immediate = null;
    this.#run();
  };

  #run(): void {
    try {
      this.#schedule(this.#step());
    } catch (error) {
      this.stop();
      this.#fail(error);
    }
  }

  #schedule(ms: number | null): void {
    if (!this.#on || ms === null || this.#immediate !== null) return;
    if (ms < TIMER_MS_MIN) {
      this.#immediate = setImmediate(this.#woken);
      return;
    }
    const dueMs = hostMs() + ms;
    if (this.#timer !== null) {
      if (this.#dueMs <= dueMs) return;
      clearTimeout(this.#timer);
    }
    this.#dueMs = dueMs;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#run();
    }, ms);
  }
}
