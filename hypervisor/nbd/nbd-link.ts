/**
 * Edge: one connection to an NBD server: connects, negotiates, carries requests until it breaks.
 *
 * Invariants: a request's `done` is called at most once, with the server's answer; when the link breaks, onClosed is called
 * once and no `done` any more.
 */
import type { Socket } from 'node:net';
import { assert, DecodeError, ReplicaError } from '../../emulator/errors.js';
import { formatAddress } from '../channel/address.js';
import { connectSocket, secureSocket } from '../channel/connect-socket.js';
import { describeSocketError } from '../channel/socket-error.js';
import { NbdClientSession, type ClientEvent, type ClientGoal } from './client-session.js';
import type { NbdUri } from './uri.js';

export interface LinkOptions extends Omit<ClientGoal, 'tls'> {
  readonly uri: NbdUri;
  /** For nbds. */
  readonly key: Uint8Array | null;
  /** For the whole negotiation. */
  readonly timeoutMs: number;
}

type Opened = Pick<Extract<ClientEvent, { kind: 'opened' }>, 'bytes' | 'flags'>;
export type Claimed = Extract<ClientEvent, { kind: 'claimed' }>['answer'];
type Done = (error: number, data: Uint8Array) => void;

export class NbdLink {
  /** Told why the link is gone. Set it before anything else happens. */
  onClosed: ((reason: string) => void) | null = null;
  readonly #session: NbdClientSession;
  readonly #options: LinkOptions;
  readonly #done = new Map<number, Done>();
  readonly #claimOnly: boolean;
  #socket: Socket;
  #closed = false;
  #cookie = 0;
  #claimed: Claimed | null = null;
  #opened: Opened | null = null;
  #ready: (() => void) | null = null;
  #failed: ((error: Error) => void) | null = null;

  private constructor(socket: Socket, options: LinkOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#claimOnly = options.export === null;
    this.#session = new NbdClientSession({ export: options.export, claim: options.claim, tls: options.uri.tls });
  }

  /** @throws ReplicaError when the server cannot be reached in time, or will not have us */
  static async connect(options: LinkOptions): Promise<NbdLink> {
    const where = formatAddress(options.uri.address);
    let link: NbdLink | null = null;
    let timer: NodeJS.Timeout | undefined;
    try {
      const made = new NbdLink(await connectSocket(options.uri.address, options.timeoutMs), options);
      link = made;
      const negotiated = new Promise<void>((resolve, reject) => {
        made.#ready = resolve;
        made.#failed = reject;
        timer = setTimeout(() => {
          reject(new Error(`no answer within ${options.timeoutMs} ms`));
        }, options.timeoutMs);
        made.#listen();
      });
      await negotiated;
      return made;
    } catch (cause) {
      link?.close();
      const reason = describeSocketError(cause as NodeJS.ErrnoException);
      throw new ReplicaError(`NBD server ${where}: ${reason}`, { cause });
    } finally {
      clearTimeout(timer);
    }
  }

  /** The answer to the claim; null: none was asked. */
  get claimed(): Claimed | null {
    return this.#claimed;
  }

  /** The export's size and flags. */
  get opened(): Opened {
    assert(this.#opened !== null, 'an export was opened');
    return this.#opened;
  }

  request(op: 'read' | 'write' | 'flush', offset: number, bytes: number, data: Uint8Array, done: Done): void {
    if (this.#closed) return;
    const cookie = this.#cookie++;
    this.#done.set(cookie, done);
    const header = this.#session.request(op, cookie, offset, bytes);
    this.#socket.write(data.length === 0 ? header : Buffer.concat([header, data]));
  }

  /** Close in order: what was sent is performed, its answers are lost. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#socket.writable) this.#socket.end(this.#session.disconnect());
    const socket = this.#socket;
    socket.resume();
    setTimeout(() => socket.destroy(), this.#options.timeoutMs).unref();
  }

  /** Whether an answer is owed. */
  get waiting(): boolean {
    return this.#done.size > 0;
  }

  /** Bytes that the host has taken or brought: grows as long as the connection carries anything. */
  get moved(): number {
    const { bytesRead, bytesWritten, writableLength } = this.#socket;
    return bytesRead + bytesWritten - writableLength;
  }

  /** Break the link, as if the network had: onClosed is told why. */
  giveUp(reason: string): void {
    this.#over(reason);
  }

  /** Close at once. */
  destroy(): void {
    this.#closed = true;
    this.#socket.destroy();
  }

  #listen(): void {
    const socket = this.#socket;
    socket.on('data', (chunk: Buffer) => {
      if (this.#closed) return;
      this.#session.push(chunk);
      this.#pump();
    });
    socket.on('error', (error) => {
      this.#over(describeSocketError(error));
    });
    socket.on('close', () => {
      if (socket === this.#socket) this.#over('the server closed the connection');
    });
  }

  #pump(): void {
    try {
      for (let event; (event = this.#session.next()) !== null;) this.#perform(event);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.#over(error.message);
    }
  }

  #perform(event: ClientEvent): void {
    switch (event.kind) {
      case 'send':
        this.#socket.write(event.bytes);
        return;
      case 'start-tls':
        void this.#startTls();
        return;
      case 'claimed':
        this.#claimed = event.answer;
        if (this.#claimOnly) this.#ready?.();
        return;
      case 'opened':
        this.#opened = event;
        this.#ready?.();
        return;
      case 'refused':
        this.#over(event.reason);
        return;
      case 'reply': {
        const done = this.#done.get(event.cookie);
        this.#done.delete(event.cookie);
        done?.(event.error, event.data);
      }
    }
  }

  async #startTls(): Promise<void> {
    const { key, timeoutMs } = this.#options;
    if (key === null) {
      this.#over('nbds needs --key');
      return;
    }
    const plain = this.#socket;
    plain.removeAllListeners('data').removeAllListeners('close').removeAllListeners('error');
    try {
      this.#socket = await secureSocket(plain, key, timeoutMs);
    } catch (error) {
      this.#over(describeSocketError(error as NodeJS.ErrnoException));
      return;
    }
    this.#listen();
    this.#session.secured();
    this.#pump();
  }

  #over(reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.destroy();
    this.#failed?.(new Error(reason));
    this.onClosed?.(reason);
  }
}
