/**
 * Frames over one connected socket (an edge: sockets and timers).
 *
 *   send(frame) -> Outbox: [u32 length][frame] ... until the end of this turn -> socket
 *   socket -> FrameSplitter -> onFrame(frame)
 *
 * Invariants: frames arrive whole, in order, once, or the connection is closed; a bad frame closes its own
 * connection and nothing else; nothing is read from the socket before onFrame is set; onClose is called
 * exactly once.
 */
import type { Socket } from 'node:net';
import { DecodeError } from '../../emulator/errors.js';
import type { SocketReads } from './connect-socket.js';
import { FrameSplitter, LENGTH_PREFIX_BYTES } from './framing.js';
import { Outbox } from './outbox.js';
import { describeSocketError } from './socket-error.js';

/** send() reports false while more than this waits for the socket. */
const HIGH_WATER_BYTES = 1 << 20;
const NO_HEAD = new Uint8Array(0);
/** How long a closing connection may take to get its last bytes out. */
const CLOSE_GRACE_MS = 1000;

type FrameHandler = (frame: Uint8Array) => void;
type CloseHandler = (reason: string) => void;

/** One end of an established connection. */
export class FrameConnection {
  /** Called when everything that made send() return false has left. */
  onDrain: (() => void) | null = null;
  /** The other end's address, for messages. */
  readonly peer: string;
  readonly #socket: Socket;
  readonly #highWaterBytes: number;
  readonly #splitter = new FrameSplitter();
  readonly #outbox: Outbox;
  readonly #reads: SocketReads | null;
  #onFrame: FrameHandler | null = null;
  #onClose: CloseHandler | null = null;
  #closeReason: string | null = null;
  #ended = false;
  #flushes = false;
  #bytesSent = 0;
  #bytesReceived = 0;

  /** Take over a connected socket that nobody reads; `reads`: it was connected with these. */
  constructor(socket: Socket, peer: string, highWaterBytes = HIGH_WATER_BYTES, reads: SocketReads | null = null) {
    this.#socket = socket;
    this.peer = peer;
    this.#highWaterBytes = highWaterBytes;
    this.#outbox = new Outbox(socket);
    this.#reads = reads;
    if (reads !== null) {
      reads.onBytes = (bytes) => {
        this.#receive(reads.memory.subarray(0, bytes), true);
        this.#splitter.keep();
      };
    }
    socket.on('drain', () => this.onDrain?.());
    socket.on('end', () => (this.#closeReason ??= 'the other end closed the connection'));
    socket.on('error', (error: NodeJS.ErrnoException) => (this.#closeReason ??= describeSocketError(error)));
    socket.on('close', () => {
      this.#finished();
    });
  }

  /** The other end's IP address; null for a UNIX socket. */
  get remoteHost(): string | null {
    return this.#socket.remoteAddress ?? null;
  }

  /** Frames sent, with their length prefixes, before encryption. */
  get bytesSent(): number {
    return this.#bytesSent;
  }

  get bytesReceived(): number {
    return this.#bytesReceived;
  }

  /** Bytes that wait for the socket. */
  get bufferedBytes(): number {
    return this.#socket.writableLength + this.#outbox.bytes;
  }

  /** Whether frames are still accepted: not closed by either end. */
  get open(): boolean {
    return !this.#ended && this.#socket.writable;
  }

  get onFrame(): FrameHandler | null {
    return this.#onFrame;
  }

  /** Set who gets the frames. Null stops reading, so that the sender is held back. */
  set onFrame(handler: FrameHandler | null) {
    const first = this.#onFrame === null;
    this.#onFrame = handler;
    if (handler === null) {
      this.#socket.pause();
    } else if (first) {
      if (this.#reads === null && this.#socket.listenerCount('data') === 0) {
        this.#socket.on('data', (chunk: Buffer) => this.#receive(chunk, false));
      }
      this.#socket.resume();
      queueMicrotask(() => {
        this.#deliver();
      });
    }
  }

  get onClose(): CloseHandler | null {
    return this.#onClose;
  }

  /** Set who is told that the connection is gone; told soon if it is gone already. */
  set onClose(handler: CloseHandler | null) {
    this.#onClose = handler;
    if (this.#socket.closed && handler !== null) {
      queueMicrotask(() => {
        handler(this.#closeReason ?? 'closed');
      });
    }
  }

  /** Close it and hear nothing more of it. */
  abandon(): void {
    this.onClose = null;
    this.onFrame = () => undefined;
    this.close();
  }

  /**
   * Send one frame of at most 16 MiB, which must not change afterwards. Everything sent in one turn of the
   * event loop leaves in as few packets as possible; flush() does not wait for the turn's end.
   * @returns false when more than the high-water mark waits (onDrain tells when it has left), or when the
   * connection is closed and the frame is lost
   */
  send(frame: Uint8Array): boolean {
    return this.sendParts(NO_HEAD, frame);
  }

  /** The same for a frame in two parts, of which the first is small: what frames have in common need not be put in front of each. */
  sendParts(head: Uint8Array, frame: Uint8Array): boolean {
    if (this.#ended) return false;
    if (!this.#flushes) {
      // Asked once in a turn: a stream takes its time to answer.
      if (!this.#socket.writable) return false;
      this.#flushes = true;
      process.nextTick(this.#flushed);
    }
    this.#outbox.add(head, frame);
    this.#bytesSent += LENGTH_PREFIX_BYTES + head.length + frame.length;
    return this.bufferedBytes <= this.#highWaterBytes;
  }

  /** Hand everything sent so far to the host now: for a caller about to compute for a while. */
  flush(): void {
    this.#outbox.flush();
  }

  /** Send what is pending, then close. No frame is delivered any more. */
  close(reason = 'closed here'): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#closeReason ??= reason;
    this.flush();
    this.#socket.end();
    // Keep reading, or the other end's FIN is never seen.
    this.#socket.resume();
    const timer = setTimeout(() => this.#socket.destroy(), CLOSE_GRACE_MS);
    timer.unref();
    this.#socket.once('close', () => {
      clearTimeout(timer);
    });
  }

  readonly #flushed = (): void => {
    this.#flushes = false;
    this.flush();
  };

  #receive(chunk: Uint8Array, lent: boolean): void {
    if (this.#ended) return;
    this.#bytesReceived += chunk.length;
    this.#splitter.push(chunk, lent);
    this.#deliver();
  }

  #deliver(): void {
    try {
      while (!this.#ended && this.#onFrame !== null) {
        const frame = this.#splitter.next();
        if (frame === null) return;
        this.#onFrame(frame);
      }
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.#ended = true;
      this.#closeReason = `bad frame: ${error.message}`;
      this.#socket.destroy();
    }
  }

  #finished(): void {
    this.#ended = true;
    this.#closeReason ??= 'closed';
    this.#onClose?.(this.#closeReason);
  }
}
