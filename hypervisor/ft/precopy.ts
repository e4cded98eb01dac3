/**
 * Decides when a state transfer has copied enough of a running guest to stop it for the rest.
 *
 *   round 1: all of RAM ... round n: what the guest wrote during round n - 1 ... stop: what is left, and the CPU
 *
 * It stops when what is left takes at most STOP_MS_GOAL at the speed seen. A guest that writes as fast as its pages
 * travel would never get there, so after each round that brought little the guest rests for a growing share of its
 * time; after ROUNDS_MAX rounds the transfer stops the guest whatever is left.
 * Sans-io: durations are passed in, in ms.
 * Source: Clark et al. 2005, Live Migration of Virtual Machines, sections 4.2 (rounds) and 5.4 (rogue writers).
 */

/** The rest should be sent within this time. */
const STOP_MS_GOAL = 10;
/** So few pages are not worth another round. */
const PAGES_FEW = 64;
export const ROUNDS_MAX = 20;
/** A round that leaves more than this share of the one before it brought little. */
const SHRINK = 0.5;
const REST_SHARE_FIRST = 0.5;
const REST_SHARE_MAX = 16;

export class Precopy {
  #rounds = 0;
  #dirtyBefore = Infinity;
  #restShare = 0;

  /** Rounds copied so far. */
  get rounds(): number {
    return this.#rounds;
  }
  /** How long the guest should rest for each ms that it worked. */
  get restShare(): number {
    return this.#restShare;
  }

  /** A round of `sentPages` took `elapsedMs`; `dirtyPages` were written meanwhile. True: stop the guest and send them. */
  enough(sentPages: number, elapsedMs: number, dirtyPages: number): boolean {
    this.#rounds++;
    if (dirtyPages <= PAGES_FEW || this.#rounds >= ROUNDS_MAX) return true;
    // A short round says little about the speed of the way.
    const pagesPerMs = Math.max(1, sentPages) / Math.max(0.1, elapsedMs);
    if (this.#rounds > 1 && dirtyPages / pagesPerMs <= STOP_MS_GOAL) return true;
    if (dirtyPages > this.#dirtyBefore * SHRINK) {
      this.#restShare = Math.min(REST_SHARE_MAX, Math.max(REST_SHARE_FIRST, this.#restShare * 2));
    }
    this.#dirtyBefore = dirtyPages;
    return false;
  }
}
