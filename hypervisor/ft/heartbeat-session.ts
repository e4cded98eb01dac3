/**
 * One side's heartbeats of one join, from its beginning until this side gives the other up. Owns no socket and no timer.
 *
 *   next() -> datagram ->      -> datagram -> receive(): is it a sign of the other side's life?
 *
 * Invariants: only a datagram of the other side, of this join and its epoch, newer than all before it, is a sign of life: one
 * that was recorded and is sent again is not, nor is our own that comes back. Once ended, nothing is sent and nothing counts:
 * the other side then hears silence, although this process lives.
 *
 * Datagrams are made AHEAD at a time, those to be sent and those to be expected: a MAC costs 0.1 ms where a guest has had the processor's
 * caches, 5 us behind another one.
 */
import { timingSafeEqual } from 'node:crypto';
import { DecodeError } from '../../emulator/errors.js';
import {
  decodeHeartbeat,
  encodeHeartbeat,
  HEARTBEAT_SENDERS,
  type Heartbeat,
  type HeartbeatKeys,
  type HeartbeatSender,
} from '../channel/heartbeat.js';

/** Counters that datagrams are made for at a time. */
const AHEAD = 32;

export interface HeartbeatCounts {
  sent: number;
  /** Signs of life. */
  received: number;
  /** Datagrams that are no heartbeat of this version. */
  malformed: number;
  /** Heartbeats of another session, secret, epoch or sender. */
  foreign: number;
  /** Heartbeats no newer than one that came before: repeated, or overtaken on their way. */
  stale: number;
}

export class HeartbeatSession {
  readonly counts: HeartbeatCounts = { sent: 0, received: 0, malformed: 0, foreign: 0, stale: 0 };
  readonly #keys: HeartbeatKeys;
  readonly #sender: HeartbeatSender;
  readonly #epoch: number;
  #newest = 0;
  #ended = false;
  /** Of ours, those to be sent next, the last one first. */
  #ours: Uint8Array[] = [];
  /** Of the other side's, those that follow `#theirsFrom`. */
  #theirs: Uint8Array[] = [];
  #theirsFrom = 0;

  constructor(options: { readonly keys: HeartbeatKeys; readonly sender: HeartbeatSender; readonly epoch: number }) {
    this.#keys = options.keys;
    this.#sender = options.sender;
    this.#epoch = options.epoch;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** The next datagram to send; null once ended. */
  next(): Uint8Array | null {
    if (this.#ended) return null;
    if (this.#ours.length === 0) this.#ours = this.#make(this.#sender, this.counts.sent).reverse();
    this.counts.sent++;
    return this.#ours.pop() ?? null;
  }

  /** A datagram arrived. True: the other side lives. */
  receive(bytes: Uint8Array): boolean {
    if (this.#ended) return false;
    const expected = this.#theirs[this.#newest - this.#theirsFrom];
    if (expected?.length === bytes.length && timingSafeEqual(expected, bytes)) return this.#heard(this.#newest + 1);
    let heartbeat: Heartbeat;
    try {
      heartbeat = decodeHeartbeat(bytes, this.#keys);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.counts[error.code === 'not-ours' ? 'foreign' : 'malformed']++;
      return false;
    }
    if (heartbeat.sender === this.#sender || heartbeat.epoch !== this.#epoch) {
      this.counts.foreign++;
      return false;
    }
    if (heartbeat.counter <= this.#newest) {
      this.counts.stale++;
      return false;
    }
    return this.#heard(heartbeat.counter);
  }

  #heard(counter: number): true {
    this.#newest = counter;
    this.counts.received++;
    if (this.#theirs[counter - this.#theirsFrom] !== undefined) return true;
    const other = HEARTBEAT_SENDERS.find((sender) => sender !== this.#sender) as HeartbeatSender;
    this.#theirs = this.#make(other, counter);
    this.#theirsFrom = counter;
    return true;
  }

  /** The datagrams of `sender` that follow its n-th. */
  #make(sender: HeartbeatSender, n: number): Uint8Array[] {
    const made = (i: number): Uint8Array =>
      encodeHeartbeat({ sender, epoch: this.#epoch, counter: n + 1 + i }, this.#keys);
    return Array.from({ length: AHEAD }, (_, i) => made(i));
  }

  /** This side gives the other up, or the run is over. */
  end(): void {
    this.#ended = true;
  }
}
