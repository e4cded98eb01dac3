/**
 * One side's heartbeats of one join, from its beginning until this side gives the other up. Owns no socket and no timer.
 *
 *   next() -> datagram ->      -> datagram -> receive(): is it a sign of the other side's life?
 *
 * Invariants: only a datagram of the other side, of this join and its epoch, newer than all before it, is a sign of life: one
 * that was recorded and is sent again is not, nor is our own that comes back. Once ended, nothing is sent and nothing counts:
 * the other side then hears silence, although this process lives.
 */
import { DecodeError } from '../../emulator/errors.js';
import {
  decodeHeartbeat,
  encodeHeartbeat,
  type Heartbeat,
  type HeartbeatKeys,
  type HeartbeatSender,
} from '../channel/heartbeat.js';

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
    const counter = ++this.counts.sent;
    return encodeHeartbeat({ sender: this.#sender, epoch: this.#epoch, counter }, this.#keys);
  }

  /** A datagram arrived. True: the other side lives. */
  receive(bytes: Uint8Array): boolean {
    if (this.#ended) return false;
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
    this.#newest = heartbeat.counter;
    this.counts.received++;
    return true;
  }

  /** This side gives the other up, or the run is over. */
  end(): void {
    this.#ended = true;
  }
}
