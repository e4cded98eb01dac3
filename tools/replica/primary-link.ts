/**
 * Edge: a live replica's side of the logging channel to one backup, from the moment its state is sent.
 *
 *   log frames, heartbeats ->      <- acknowledgements, the backup's end or divergence
 *   the connection breaks -> what is not acknowledged is kept -> resume() on another one -> it is sent again
 *
 * The state itself counts as the entry before the log's first: until it is acknowledged, the backup owes an answer.
 */
import { timingSafeEqual } from 'node:crypto';
import { giveBack } from '../../emulator/byte-pool.js';
import type { FrameConnection } from '../../hypervisor/channel/transport.js';
import { decodeMessage, encodeMessage, LOG_HEAD, type End, type Message } from '../../hypervisor/channel/messages.js';
import { DecodeError } from '../../emulator/errors.js';
import type { Resume } from '../../hypervisor/channel/resume-messages.js';
import { FailureDetector } from '../../hypervisor/ft/failure-detector.js';
import { LagGovernor } from '../../hypervisor/ft/lag-governor.js';
import { StallWatch } from '../../hypervisor/ft/stall-watch.js';
import { Unacknowledged, type SentMessage } from '../../hypervisor/ft/unacknowledged.js';
import { hostMs } from './host-time.js';
import { Samples } from './result.js';

const NO_HEAD = new Uint8Array(0);
/** What was said so short ago serves as a heartbeat. */
const SAID_MS_MAX = 12;

export interface PrimaryLinkOptions {
  readonly detectMs: number;
  readonly lagMs: number;
  readonly firstSeq: number;
  /** Of the join, in hexadecimal; null: a connection that closes is the backup's end. */
  readonly secret: string | null;
  readonly replicaId: string;
}

export interface PrimaryLinkHooks {
  /** The backup holds the log up to `seq` and has executed it up to `executedSeq`. */
  acknowledged(seq: number, executedSeq: number): void;
  /** The backup can reach disks and arbiter. */
  diskThere(): void;
  /** The backup reached the log's end. */
  ended(end: End): void;
  /** The connection is gone, and the backup may come back on another one. */
  broken(reason: string): void;
  /** The backup closed the channel, or its process ended. */
  closed(): void;
  /** The backup found a difference and stopped. */
  diverged(what: string): void;
}

export class PrimaryLink {
  #connection: FrameConnection | null = null;
  readonly #options: PrimaryLinkOptions;
  readonly #hooks: PrimaryLinkHooks;
  readonly #unacknowledged: Unacknowledged;
  readonly #stall: StallWatch;
  readonly #detector: FailureDetector;
  readonly #governor: LagGovernor;
  #ackedSeq: number;
  #lastSeq: number;
  #closed = false;
  #ended = false;
  #yielded = false;
  #brokenMs = 0;
  /** When the newest frame of the log was sent. */
  #saidMs = -Infinity;
  /** What the backup was told last over the present connection. */
  #toldReleased = -1;
  /** Execution lag as the backup measures it. */
  readonly lag = new Samples();
  lagMs = 0;

  constructor(connection: FrameConnection, options: PrimaryLinkOptions, hooks: PrimaryLinkHooks) {
    this.#options = options;
    this.#hooks = hooks;
    this.#stall = new StallWatch(options.detectMs);
    this.#unacknowledged = new Unacknowledged(options.firstSeq, giveBack);
    this.#detector = new FailureDetector({ timeoutMs: options.detectMs }, hostMs());
    this.#governor = new LagGovernor(options.lagMs);
    this.#lastSeq = options.firstSeq - 1;
    this.#ackedSeq = this.#lastSeq - 1;
    this.#detector.expectsAck(hostMs());
    this.#listen(connection);
  }

  /** Nothing carries the channel, and it is not given up: the backup may come back. */
  get broken(): boolean {
    return this.#connection === null && !this.#closed && !this.#yielded;
  }

  get ackedSeq(): number {
    return this.#ackedSeq;
  }

  sendLog(frame: Uint8Array, lastSeq: number): void {
    if (this.#closed) return;
    const now = hostMs();
    this.#lastSeq = lastSeq;
    this.#saidMs = now;
    this.#detector.expectsAck(now);
    this.#governor.sent(lastSeq, now);
    this.#send([{ head: LOG_HEAD, body: frame }], lastSeq);
  }

  /** Send the frames of a checkpoint, which counts as entry `seq`. */
  sendCheckpoint(frames: readonly Uint8Array[], seq: number): void {
    if (this.#closed) return;
    this.#lastSeq = seq;
    this.#detector.expectsAck(hostMs());
    this.#send(
      frames.map((body) => ({ head: NO_HEAD, body })),
      seq,
    );
  }

  /**
   * Go on over another connection, which has said that it is the backup. Returns how many ms the channel was broken (0: the
   * old connection seemed whole), or why not.
   */
  resume(connection: FrameConnection, { replicaId, secret, nextSeq }: Resume): number | string {
    const own = this.#options;
    if (this.#closed || this.#ended || this.#yielded) return 'this backup was given up';
    if (own.secret === null || replicaId !== own.replicaId || !sameSecret(secret, own.secret)) return 'not this backup';
    const rest = this.#unacknowledged.after(nextSeq);
    if (rest === null) return `the log does not go on at entry ${nextSeq}`;
    const now = hostMs();
    const brokenMs = this.#connection === null ? now - this.#brokenMs : 0;
    this.#drop();
    this.#listen(connection);
    connection.send(encodeMessage({ type: 'resumed' }));
    for (const { head, body } of rest) connection.sendParts(head, body);
    this.#holds(nextSeq - 1, now);
    return brokenMs;
  }

  /** Can the backup reach the disks that this replica cannot? Answered by hooks.diskThere(), or not. */
  askForDisk(): void {
    if (!this.#closed) this.#connection?.send(encodeMessage({ type: 'disk-away' }));
  }

  /** Let the backup go live. It is not given up before it has been silent for the time-out, so it contends first. */
  yield(): void {
    if (this.#closed || this.#yielded) return;
    this.#yielded = true;
    this.#connection?.send(encodeMessage({ type: 'yield' }));
  }

  /** Say that this side lives, unless the log does, and what of the console has left. */
  heartbeat(consoleReleased: number): void {
    const said = hostMs() - this.#saidMs < Math.min(SAID_MS_MAX, this.#options.detectMs / 16);
    if (this.#closed || (said && consoleReleased === this.#toldReleased)) return;
    this.#toldReleased = consoleReleased;
    this.#connection?.send(encodeMessage({ type: 'heartbeat', consoleReleased }));
  }

  /** The backup lives, as another way than the channel has shown. */
  heard(): void {
    this.#detector.heard(hostMs());
    if (!this.#stalled()) return;
    // This process itself may have been stopped: what lies unread in the socket is carried.
    setImmediate(() => {
      if (!this.#stalled()) return;
      // The backup may hear this side and not know that it is not heard.
      this.#drop();
      this.#lost('it carries nothing from the backup');
    });
  }

  #stalled(): boolean {
    const connection = this.#connection;
    if (connection === null || this.#closed || this.#ended || this.#options.secret === null) return false;
    // Until it has taken the state a backup says nothing over the channel, and could not resume.
    if (this.#ackedSeq < this.#options.firstSeq - 1) return false;
    return this.#stall.stalled(connection.bytesReceived, hostMs());
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
    this.#connection?.send(encodeMessage({ type: 'bye', reason }));
    this.#connection?.close();
  }

  #listen(connection: FrameConnection): void {
    this.#connection = connection;
    this.#toldReleased = -1;
    this.#stall.begin(connection.bytesReceived, hostMs());
    connection.onFrame = (bytes) => {
      this.#receive(bytes);
    };
    connection.onClose = (reason) => {
      this.#lost(reason);
    };
  }

  /** The connection is closed. */
  #lost(reason: string): void {
    if (this.#closed) return;
    if (this.#yielded) {
      this.#connection = null;
      return;
    }
    if (this.#options.secret === null || this.#ended) {
      this.#hooks.closed();
      return;
    }
    this.#connection = null;
    this.#brokenMs = hostMs();
    // A channel that is not there is an answer that is owed, whatever is heard beside it.
    this.#detector.expectsAck(this.#brokenMs);
    this.#hooks.broken(reason);
  }

  /** Hear nothing more of the connection there is. */
  #drop(): void {
    this.#connection?.abandon();
    this.#connection = null;
  }

  #send(messages: readonly SentMessage[], lastSeq: number): void {
    if (this.#options.secret !== null) this.#unacknowledged.sent(messages, lastSeq);
    for (const { head, body } of messages) this.#connection?.sendParts(head, body);
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
    else if (message.type === 'end') {
      this.#ended = true;
      this.#hooks.ended(message.end);
    } else if (message.type === 'disk-there') this.#hooks.diskThere();
    else if (message.type === 'diverged') this.#hooks.diverged(message.what);
  }

  #ack(ack: Extract<Message, { type: 'ack' }>): void {
    // An acknowledgement of what was never sent would let outputs leave too early.
    if (ack.receivedSeq > this.#lastSeq || ack.executedSeq > ack.receivedSeq) {
      this.close(`acknowledgement of entry ${ack.receivedSeq}, sent only up to ${this.#lastSeq}`);
      return;
    }
    this.#holds(ack.receivedSeq, hostMs());
    this.#governor.executed(ack.executedSeq);
    this.lagMs = ack.lagMs;
    this.lag.add(ack.lagMs);
    this.#hooks.acknowledged(ack.receivedSeq, ack.executedSeq);
  }

  /** The backup says that it holds every entry up to `seq`. */
  #holds(seq: number, now: number): void {
    // A word that confirms nothing new is a heartbeat: entries may be lost on their way to the backup.
    if (seq <= this.#ackedSeq && this.#ackedSeq < this.#lastSeq) return;
    this.#ackedSeq = Math.max(this.#ackedSeq, seq);
    this.#unacknowledged.acknowledged(this.#ackedSeq);
    this.#detector.acknowledged(now, this.#ackedSeq < this.#lastSeq);
  }
}

function sameSecret(given: string, own: string): boolean {
  return timingSafeEqual(Buffer.from(given, 'hex'), Buffer.from(own, 'hex'));
}
