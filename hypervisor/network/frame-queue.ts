/**
 * Frames that wait for one port: a ring, because an array that loses its first element moves all others.
 *
 * Invariants: frames leave in the order in which they came; never more than `framesMax` wait; what has left is not held.
 */
export class FrameQueue {
  readonly #framesMax: number;
  /** As long as it ever had to be. */
  readonly #ring: (Uint8Array | null)[] = [];
  #first = 0;
  #length = 0;

  constructor(framesMax: number) {
    this.#framesMax = framesMax;
  }

  get length(): number {
    return this.#length;
  }

  /** False: there is no room for it. */
  push(frame: Uint8Array): boolean {
    if (this.#length === this.#framesMax) return false;
    const at = this.#first + this.#length++;
    this.#ring[at < this.#framesMax ? at : at - this.#framesMax] = frame;
    return true;
  }

  /** Take the oldest; null: none waits. */
  shift(): Uint8Array | null {
    if (this.#length === 0) {
      // Early in the ring its memory is in the processor's caches.
      this.#first = 0;
      return null;
    }
    const frame = this.#ring[this.#first] ?? null;
    this.#ring[this.#first] = null;
    this.#length--;
    if (++this.#first === this.#framesMax) this.#first = 0;
    return frame;
  }
}
