/**
 * When a live replica hands over to its backup because it cannot reach its disks: its guest's requests have waited for long, and
 * the backup has said twice, some time apart, that it can reach them. In between, a server that was only restarted is back.
 *
 *   step() -> ask ... there() ... step() -> ask ... there() -> yield
 *
 * Sans-io: time, in ms, is passed in.
 */

/** Requests that have waited for less are no reason: a connection takes up to 3 s to be made when packets are lost. */
export const AWAY_MS = 4000;
const ASK_MS = 500;

export class HandOver {
  #askedMs = -Infinity;
  #thereMs: number | null = null;

  /** Whether to ask the backup now. `awayMs`: how long requests have waited; 0: none does. */
  asks(awayMs: number, nowMs: number): boolean {
    if (awayMs < AWAY_MS) this.#thereMs = null;
    if (awayMs < AWAY_MS || nowMs - this.#askedMs < ASK_MS) return false;
    this.#askedMs = nowMs;
    return true;
  }

  /** The backup reaches the disks. Whether to hand over now. */
  there(awayMs: number, nowMs: number): boolean {
    if (awayMs < AWAY_MS) return false;
    this.#thereMs ??= nowMs;
    return nowMs - this.#thereMs >= ASK_MS / 2;
  }
}
