/**
 * Edge: a live replica's side of the logging channel to one backup, from the moment its state is sent.
 *
 *   log frames, heartbeats ->      <- acknowledgements, the backup's end or divergence
 *
 * The state itself counts as the entry before the log's first: until it is acknowledged, the backup owes an answer.
 */
import type { FrameConnection } from '../../hypervisor/channel/transport.js';
import { decodeMessage, encodeMessage, type End, type Message } from '../../hypervisor/channel/messages.js';
import { DecodeError } from '../../emulator/errors.js';
import { FailureDetector } from '../../hypervisor/ft/failure-detector.js';
import { LagGovernor } from '../../hypervisor/ft/lag-governor.js';
import { hostMs } from './host-time.js';
import { Samples } from './result.js';

export interface PrimaryLinkHooks {
  /** The backup holds the log up to `seq` and has executed it up to `executedSeq`. */
  acknowledged(seq: number, executedSeq: number): void;
  /** The backup reached the log's end. */
  ended(end: End): void;
  /** The backup closed the channel, or its process ended. */
  closed(): void;
  /** The backup found a difference and stopped. */
  diverged(what: string): void;
}

export class PrimaryLink {
  readonly #connection: FrameConnection;
  readonly #hooks: PrimaryLinkHooks;
  readonly #detector: FailureDetector;
  readonly #governor: LagGovernor;
  #ackedSeq: number;
  #lastSeq: number;
  #closed = false;
  /** Execution lag as the backup measures it. */
  readonly lag = new Samples();
  lagMs = 0;

  constructor(
    connection: FrameConnection,
    options: { readonly detectMs: number; readonly lagMs: number; readonly firstSeq: number },
    hooks: PrimaryLinkHooks,
  ) {
    this.#connection = connection;
    this.#hooks = hooks;
    this.#detector = new FailureDetector({ timeoutMs: options.detectMs }, hostMs());
    this.#governor = new LagGovernor(options.lagMs);
    this.#lastSeq = options.firstSeq - 1;
    this.#ackedSeq = this.#lastSeq - 1;
    this.#detector.expectsAck(hostMs());
    connection.onFrame = (bytes) => {
      this.#receive(bytes);
    };
    connection.onClose = () => {
      if (!this.#closed) hooks.closed();
    };
  }

  get ackedSeq(): number {
    return this.#ackedSeq;
  }

  sendLog(frame: Uint8Array, lastSeq: number): void {
    if (this.#closed) return;
    const now = hostMs();
    this.#lastSeq = lastSeq;
    this.#detector.expectsAck(now);
    this.#governor.sent(lastSeq, now);
    this.#connection.send(encodeMessage({ type: 'log', frame }));
  }

  /** Send the frames of a checkpoint, which counts as entry `seq`. */
  sendCheckpoint(frames: readonly Uint8Array[], seq: number): void {
    if (this.#closed) return;
    this.#lastSeq = seq;
    this.#detector.expectsAck(hostMs());
    for (const frame of frames) this.#connection.send(frame);
  }

  heartbeat(consoleReleased: number): void {
    if (!this.#closed) this.#connection.send(encodeMessage({ type: 'heartbeat', consoleReleased }));
  }

  /** The backup lives, as another way than the channel has shown. */
  heard(): void {
    this.#detector.heard(hostMs());
  }

  /** How long to rest after `workedMs` so that the backup keeps up. */
  restMs(workedMs: number): number {
    return this.#closed ? 0 : this.#governor.restMs(workedMs, hostMs());
  }

  /** A rest that is under way is long enough. */
  get rested(): boolean {
    return this.#closed || this.#governor.enough;
  }

  /** The backup has been silent for too long. */
  suspects(): boolean {
    return this.#detector.suspects(hostMs());
  }

  close(reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#connection.send(encodeMessage({ type: 'bye', reason }));
    this.#connection.close();
  }

  #receive(bytes: Uint8Array): void {
    if (this.#closed) return;
    let message: Message;
    try {
      message = decodeMessage(bytes);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.close(error.message);
      return;
    }
    this.#detector.heard(hostMs());
    if (message.type === 'ack') this.#ack(message);
    else if (message.type === 'end') this.#hooks.ended(message.end);
    else if (message.type === 'diverged') this.#hooks.diverged(message.what);
  }

  #ack(ack: Extract<Message, { type: 'ack' }>): void {
    // An acknowledgement of what was never sent would let outputs leave too early.
    if (ack.receivedSeq > this.#lastSeq || ack.executedSeq > ack.receivedSeq) {
      this.close(`acknowledgement of entry ${ack.receivedSeq}, sent only up to ${this.#lastSeq}`);
      return;
    }
    // One that confirms nothing new is a heartbeat: entries may be lost on their way to the backup.
    if (ack.receivedSeq > this.#ackedSeq) {
      this.#ackedSeq = ack.receivedSeq;
      this.#detector.acknowledged(hostMs(), this.#ackedSeq < this.#lastSeq);
    }
    this.#governor.executed(ack.executedSeq);
    this.lagMs = ack.lagMs;
    this.lag.add(ack.lagMs);
    this.#hooks.acknowledged(ack.receivedSeq, ack.executedSeq);
  }
}
