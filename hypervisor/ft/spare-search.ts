/**
 * Which spare a live replica without a backup asks to join. No clock and no I/O here: the caller lists the pool, performs what
 * step() says and tells how it ended.
 *
 *   alone: step() -> claim X -> the caller writes its address to X's key, if nobody changed it -> picked(X)
 *          step() -> wait         X is on its way
 *          step() -> skip X, why  X is gone, or did not come in time, or its join broke off: the next one
 *
 * Invariants: at most one spare is asked at a time; one that failed is not asked again for RETRY_MS unless it registered anew
 * under another name; the one that waits longest comes first.
 */
export interface Spare {
  readonly id: string;
  /** Address of the live replica it was asked to join; null: free. */
  readonly claim: string | null;
  /** Changes with each change of its entry. */
  readonly revision: string;
}

/** Of the live replica: no backup, one that is joining, or one that has joined (or the run is over). */
export type Need = 'alone' | 'joining' | 'none';

export type SpareStep =
  | { readonly kind: 'wait' }
  /** Nobody can be asked. */
  | { readonly kind: 'nobody' }
  | { readonly kind: 'claim'; readonly spare: Spare }
  | { readonly kind: 'skip'; readonly id: string; readonly why: string };

/** A spare that was asked connects within this time. */
export const COME_MS = 5000;
const RETRY_MS = 10_000;
const WAIT: SpareStep = { kind: 'wait' };

export class SpareSearch {
  #picked: { readonly id: string; readonly deadlineMs: number; joining: boolean } | null = null;
  readonly #failedMs = new Map<string, number>();

  /** @param spares the pool, who waits longest first; looked at only while alone */
  step(nowMs: number, need: Need, spares: readonly Spare[]): SpareStep {
    if (need === 'none') this.#picked = null;
    else if (need === 'joining' && this.#picked !== null) this.#picked.joining = true;
    if (need !== 'alone') return WAIT;
    if (this.#picked !== null) return this.#await(nowMs, spares);
    const spare = spares.find(({ id, claim }) => claim === null && !this.#failedLately(id, nowMs));
    return spare === undefined ? { kind: 'nobody' } : { kind: 'claim', spare };
  }

  /** The spare's entry has our address now. */
  picked(id: string, nowMs: number): void {
    this.#picked = { id, deadlineMs: nowMs + COME_MS, joining: false };
  }

  #await(nowMs: number, spares: readonly Spare[]): SpareStep {
    const { id, deadlineMs, joining } = this.#picked!;
    const entry = spares.find((spare) => spare.id === id);
    if (joining) return this.#skip(id, nowMs, 'its join broke off');
    if (entry === undefined) return this.#skip(id, nowMs, 'it is gone');
    if (entry.claim === null) return this.#skip(id, nowMs, 'it could not reach this replica');
    if (nowMs >= deadlineMs) return this.#skip(id, nowMs, `it did not come within ${COME_MS / 1000} s`);
    return WAIT;
  }

  #skip(id: string, nowMs: number, why: string): SpareStep {
    this.#picked = null;
    this.#failedMs.set(id, nowMs);
    return { kind: 'skip', id, why };
  }

  #failedLately(id: string, nowMs: number): boolean {
    const failedMs = this.#failedMs.get(id);
    return failedMs !== undefined && nowMs < failedMs + RETRY_MS;
  }
}
