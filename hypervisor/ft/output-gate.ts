/**
 * The Output Rule: an output leaves only when the backup has acknowledged the log entry of that output
 * operation. The guest never waits; only the output does.
 *
 *   hold(seq, release) ... acknowledged(seq) -> release() of everything held with an entry <= seq
 *   open()             the replica is alone: everything held leaves, later outputs pass at once
 *   fence              behind the gate, for disk writes: read-fence.ts
 *
 * Invariants: outputs leave in the order in which they were held; none leaves twice.
 * Source: Scales et al. 2010, section 2.2.
 */
import { assert } from '../../emulator/errors.js';
import { ENTRY_BYTES } from './flow-control.js';
import { ReadFence } from './read-fence.js';

interface Held {
  readonly seq: number;
  readonly heldAtMs: number;
  readonly bytes: number;
  readonly release: () => void;
}

export class OutputGate {
  readonly fence = new ReadFence();
  #queue: Held[] = [];
  #head = 0;
  #acked = -1;
  #open: boolean;
  #released = 0;
  #heldBytes = 0;
  readonly #heldMs: (ms: number) => void;

  /** @param open true while there is no backup; @param heldMs told how long each output was held */
  constructor(open: boolean, heldMs: (ms: number) => void = () => undefined) {
    this.#open = open;
    this.#heldMs = heldMs;
  }

  get held(): number {
    return this.#queue.length - this.#head;
  }
  /** Memory of what is held. */
  get heldBytes(): number {
    return this.#heldBytes + this.held * ENTRY_BYTES;
  }
  get released(): number {
    return this.#released;
  }
  get isOpen(): boolean {
    return this.#open;
  }

  /** Hold an output of `bytes` until entry `seq` is acknowledged; `release` performs it. */
  hold(seq: number, nowMs: number, release: () => void, bytes = 0): void {
    if (this.#open || seq <= this.#acked) {
      assert(this.held === 0, 'an output would overtake one that is held');
      this.#released++;
      this.#heldMs(0);
      release();
      return;
    }
    this.#heldBytes += bytes;
    this.#queue.push({ seq, heldAtMs: nowMs, release, bytes });
  }

  /** The backup holds every entry up to and including `seq`. */
  acknowledged(seq: number, nowMs: number): void {
    if (seq <= this.#acked) return;
    this.#acked = seq;
    for (;;) {
      const next = this.#queue[this.#head];
      if (next === undefined || next.seq > seq) break;
      this.#leave(next, nowMs);
    }
    if (this.#head > 1024 || this.held === 0) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
  }

  /** Go live alone: what is held leaves now, in order. */
  open(nowMs: number): void {
    this.#open = true;
    this.fence.open();
    for (let next = this.#queue[this.#head]; next !== undefined; next = this.#queue[this.#head]) {
      this.#leave(next, nowMs);
    }
    this.#queue = [];
    this.#head = 0;
  }

  /** A backup has joined: outputs after this wait for it. */
  close(acked: number): void {
    assert(this.held === 0, 'the gate closes only when it holds nothing');
    this.#open = false;
    this.#acked = acked;
  }

  #leave(held: Held, nowMs: number): void {
    this.#head++;
    this.#heldBytes -= held.bytes;
    this.#released++;
    this.#heldMs(nowMs - held.heldAtMs);
    held.release();
  }
}
