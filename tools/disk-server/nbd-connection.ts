/**
 * Edge: one client of the disk server: its socket, its pending requests, its replies.
 *
 *   socket -> NbdServerSession -> requests (many at once) -> ExportFile -> replies -> socket
 *
 * Invariants: malformed input closes this connection only; what a connection holds is bounded: while too much is
 * pending, or not taken by the client, nothing more is read from its socket; a client that goes in order gets the
 * answers to everything it asked first.
 */
import type { Socket } from 'node:net';
import { TLSSocket, createSecureContext } from 'node:tls';
import { DecodeError } from '../../emulator/errors.js';
import { hostErrorCode, hostErrorMessage } from '../../hypervisor/backend/host-error.js';
import { serverTlsOptions } from '../../hypervisor/channel/preshared-key.js';
import type { Claim } from '../../hypervisor/nbd/claim-option.js';
import type { Ticket } from '../../hypervisor/nbd/fence.js';
import { NbdError } from '../../hypervisor/nbd/protocol.js';
import { NbdServerSession, type NbdRequest, type ServerEvent } from '../../hypervisor/nbd/server-session.js';
import type { DiskServerCounters } from './counters.js';
import type { EpochKeeper } from './epoch-keeper.js';
import type { ExportFile } from './export-file.js';

/** No further request is begun while this many, or this many bytes of them, are pending or not taken. */
const PENDING_MAX = 128;
const PENDING_BYTES_MAX = 16 << 20;
/** A client that has not chosen an export by then is dropped. */
const HANDSHAKE_MS_MAX = 10_000;
/** How long a connection that ends may take to get its last bytes out. */
const CLOSE_GRACE_MS = 1000;

export interface NbdHost {
  readonly exports: readonly ExportFile[];
  readonly key: Uint8Array | null;
  readonly counters: DiskServerCounters;
  readonly log: (message: string) => void;
  readonly epochs: EpochKeeper;
}

export class NbdConnection {
  /** Resolves when the socket is closed and nothing is pending. */
  readonly closed: Promise<void>;
  readonly #host: NbdHost;
  readonly #peer: string;
  readonly #session: NbdServerSession;
  readonly #handshakeTimer: NodeJS.Timeout;
  #socket: Socket;
  #pending = 0;
  #pendingBytes = 0;
  /** The replica whose requests come here; null: a client that is no replica. */
  #ticket: Ticket | null = null;
  #ending = false;
  #socketClosed = false;
  #resolveClosed: () => void = () => undefined;

  constructor(socket: Socket, peer: string, host: NbdHost) {
    this.#host = host;
    this.#peer = peer;
    this.#session = new NbdServerSession(host.exports, host.key === null ? 'none' : 'required');
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    this.#socket = socket;
    this.#handshakeTimer = setTimeout(() => {
      this.#malformed('no export was chosen in time');
    }, HANDSHAKE_MS_MAX);
    this.#attach(socket);
    this.#pump();
  }

  /** Finish what is pending, answer it, close. */
  end(): void {
    if (this.#ending) return;
    this.#ending = true;
    clearTimeout(this.#handshakeTimer);
    this.#endWhenIdle();
  }

  #attach(socket: Socket): void {
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => {
      if (this.#ending) return;
      this.#session.push(chunk);
      this.#pump();
    });
    // A broken connection is the client's affair; its requests are finished and the answers are lost.
    socket.on('error', () => undefined);
    socket.on('end', () => {
      this.end();
    });
    socket.on('close', () => {
      if (socket !== this.#socket) return;
      this.#ending = true;
      this.#socketClosed = true;
      clearTimeout(this.#handshakeTimer);
      this.#endWhenIdle();
    });
  }

  /** Take events while there is room for what they may be. */
  #pump(): void {
    try {
      while (!this.#ending) {
        if (this.#pending >= PENDING_MAX || this.#pendingBytes >= PENDING_BYTES_MAX) {
          this.#socket.pause();
          return;
        }
        const event = this.#session.next();
        if (event === null) break;
        this.#perform(event);
      }
      this.#socket.resume();
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.#malformed(error.message);
    }
  }

  #perform(event: ServerEvent): void {
    switch (event.kind) {
      case 'send':
        this.#sendAtOnce(event.bytes);
        return;
      case 'opened':
        clearTimeout(this.#handshakeTimer);
        this.#host.log(`${this.#peer}: opened ${this.#host.exports[event.export]!.name}`);
        this.#sendAtOnce(event.bytes);
        return;
      case 'start-tls':
        this.#socket.write(event.bytes);
        this.#startTls();
        return;
      case 'claim':
        void this.#claim(event.claim);
        return;
      case 'request':
        void this.#serve(event.request);
        return;
      case 'close':
        this.#socket.write(event.bytes);
        this.end();
    }
  }

  async #claim(claim: Claim): Promise<void> {
    const { pair, replicaId, slot } = claim;
    const ticket: Ticket = {
      ...{ pair, replicaId, slot },
      onVoid: () => {
        this.#host.log(`${this.#peer}: closed: ${pair}/${replicaId} is live elsewhere, or no longer`);
        this.#abort();
      },
    };
    const answer = await this.#host.epochs.decide(claim, ticket);
    this.#host.log(`${this.#peer}: ${pair}/${replicaId}: ${claim.operation} ${claim.epoch}: ${answer.verdict}`);
    if (claim.operation === 'attach' && answer.verdict === 'granted') {
      if (this.#ticket !== null) this.#host.epochs.fence.detach(this.#ticket);
      this.#ticket = ticket;
      if (this.#ending) this.#host.epochs.fence.detach(ticket);
    }
    if (this.#ending) return;
    this.#sendAtOnce(this.#session.claimed(answer));
    this.#pump();
  }

  async #serve(request: NbdRequest): Promise<void> {
    const { counters, exports, epochs, log } = this.#host;
    const bytes = request.op === 'read' || request.op === 'write' ? request.bytes : 0;
    this.#pending++;
    this.#pendingBytes += bytes;
    const file = exports[request.export]!;
    let data: Uint8Array | undefined;
    let error = 0;
    const ticket = this.#ticket;
    try {
      if (ticket === null || epochs.fence.enter(ticket)) {
        try {
          data = await file.perform(request);
        } finally {
          if (ticket !== null) epochs.fence.leave(ticket);
        }
      } else {
        counters.fenced++;
        error = NbdError.shutdown;
      }
    } catch (cause) {
      counters.errors++;
      log(`${this.#peer}: ${file.name}: ${request.op} at ${request.offset} failed: ${hostErrorMessage(cause)}`);
      error = nbdError(cause);
    }
    counters.requests[request.op]++;
    if (request.op === 'read') counters.bytesRead += request.bytes;
    else if (request.op === 'write') counters.bytesWritten += request.bytes;
    this.#send(this.#session.answer(request, error, data), bytes);
  }

  /** Send an answer that is pending, and when it has left give back the room that it took. */
  #send(buffers: readonly Uint8Array[], bytes: number): void {
    const left = (): void => {
      this.#pending--;
      this.#pendingBytes -= bytes;
      if (this.#ending) this.#endWhenIdle();
    };
    if (!this.#socket.writable) {
      this.#ending = true;
      left();
      return;
    }
    this.#socket.cork();
    for (const buffer of buffers.slice(0, -1)) this.#socket.write(buffer);
    this.#socket.write(buffers.at(-1)!, () => {
      left();
      this.#pump();
    });
    process.nextTick(() => {
      this.#socket.uncork();
    });
  }

  /** An answer to a client that asks and does not listen takes room, too. */
  #sendAtOnce(bytes: Uint8Array): void {
    this.#pending++;
    this.#send([bytes], 0);
  }

  #startTls(): void {
    const plain = this.#socket;
    const { key } = this.#host;
    plain.removeAllListeners('data').removeAllListeners('end').removeAllListeners('close');
    const { minVersion, maxVersion, ciphers, pskCallback } = serverTlsOptions(key!);
    const options = { minVersion, maxVersion, ciphers };
    const secure = new TLSSocket(plain, {
      isServer: true,
      secureContext: createSecureContext(options),
      ...{ pskCallback },
    });
    plain.on('close', () => secure.destroy());
    let secured = false;
    secure.once('secure', () => (secured = true));
    secure.once('error', () => {
      if (!secured) this.#malformed('no TLS with the same key');
    });
    this.#attach(secure);
  }

  #malformed(reason: string): void {
    this.#host.counters.malformed++;
    this.#host.log(`${this.#peer}: closed: ${reason}`);
    this.#abort();
  }

  /** Close at once; what is being performed is finished, and its answers are lost. */
  #abort(): void {
    this.#ending = true;
    clearTimeout(this.#handshakeTimer);
    this.#socket.destroy();
  }

  #endWhenIdle(): void {
    if (this.#pending > 0 && !this.#socketClosed) return;
    if (this.#socketClosed) {
      if (this.#ticket !== null) this.#host.epochs.fence.detach(this.#ticket);
      if (this.#pending === 0) this.#resolveClosed();
      return;
    }
    const socket = this.#socket;
    socket.end();
    // Keep reading, or the other end's FIN is never seen.
    socket.resume();
    const timer = setTimeout(() => socket.destroy(), CLOSE_GRACE_MS);
    socket.once('close', () => {
      clearTimeout(timer);
    });
  }
}

function nbdError(error: unknown): number {
  const code = hostErrorCode(error);
  if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG') return NbdError.noSpace;
  return code === 'EPERM' || code === 'EROFS' ? NbdError.perm : NbdError.io;
}
