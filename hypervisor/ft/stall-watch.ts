/**
 * Finds out that a connection carries nothing although its other end lives: TCP waits for longer and longer before it sends again
 * what was lost, a new connection need not. Both ends send something many times within the limit.
 *
 *   a sign of life beside the connection -> stalled(bytes received so far)
 *
 * Sans-io: time, in ms, is passed in.
 */

/** No more than this, and half of the time-out at most: there must be time left for a new connection. */
const STALLED_MS_MAX = 150;

export class StallWatch {
  readonly #stalledMs: number;
  #bytes = 0;
  #movedMs = 0;

  constructor(detectMs: number) {
    this.#stalledMs = Math.min(STALLED_MS_MAX, detectMs / 2);
  }

  /** A connection that has brought `bytes` so far is looked at from now on. */
  begin(bytes: number, nowMs: number): void {
    this.#bytes = bytes;
    this.#movedMs = nowMs;
  }

  /** When, as far as is known, the connection brought something for the last time. `bytes`: what it has brought so far. */
  movedMs(bytes: number, nowMs: number): number {
    if (bytes !== this.#bytes) this.begin(bytes, nowMs);
    return this.#movedMs;
  }

  stalled(bytes: number, nowMs: number): boolean {
    return nowMs - this.movedMs(bytes, nowMs) > this.#stalledMs;
  }
}
