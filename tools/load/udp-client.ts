/**
 * One UDP client with one request in flight (an edge: socket and timers).
 *
 *   exchange(request) -> send -> no answer for 50 ms -> send again -> 100 ms -> 200 ms -> 400 ms -> 400 ms ...
 *
 * Invariant: a datagram that does not answer the request in flight is ignored.
 *
 * Most requests are answered long before they would be repeated, so their time is only noted, and one timer looks at it when
 * it was due for some earlier request.
 */
import { parseIpv4, type Ipv4Address } from '../../hypervisor/network/ipv4.js';
import { UdpSocket } from '../udp/udp-socket.js';

const RETRY_MS_MIN = 50;
const RETRY_MS_MAX = 400;

export interface UdpTarget {
  /** An IPv4 address. */
  readonly host: string;
  readonly port: number;
}

interface InFlight {
  readonly request: Uint8Array;
  readonly accept: (datagram: Uint8Array) => boolean;
  readonly resolve: (attempts: number | null) => void;
  attempts: number;
  retryMs: number;
  dueMs: number;
}

export class UdpClient {
  readonly #socket: UdpSocket;
  readonly #ip: Ipv4Address;
  readonly #port: number;
  #inFlight: InFlight | null = null;
  #timer: NodeJS.Timeout | null = null;
  #closed = false;

  /** Bind a socket of its own, so that the guest sees a client of its own. @throws ReplicaError */
  constructor({ host, port }: UdpTarget) {
    this.#ip = parseIpv4('--to', host);
    this.#port = port;
    this.#socket = new UdpSocket({ ip: 0, port: 0, receiveBufferBytes: 0, batch: 1 }, (datagram) => {
      const current = this.#inFlight;
      if (current?.accept(datagram) === true) this.#finish(current, current.attempts);
    });
  }

  /** Why the host refused the newest datagram that it refused; such a one is sent again like a lost one. */
  get sendError(): string | null {
    return this.#socket.lastError;
  }

  /**
   * Send `request` until `accept` takes a datagram as its answer; the datagram is valid during the call only.
   * @returns how many datagrams that took; null when the client was closed before
   */
  exchange(request: Uint8Array, accept: (datagram: Uint8Array) => boolean): Promise<number | null> {
    if (this.#closed) return Promise.resolve(null);
    return new Promise((resolve) => {
      const dueMs = performance.now() + RETRY_MS_MIN;
      this.#inFlight = { request, accept, resolve, attempts: 1, retryMs: RETRY_MS_MIN, dueMs };
      this.#timer ??= setTimeout(this.#look, RETRY_MS_MIN);
      this.#socket.post(request, this.#ip, this.#port);
    });
  }

  /** Give up: a pending exchange ends with null. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.#inFlight !== null) this.#finish(this.#inFlight, null);
    this.#socket.close();
  }

  /** Repeat what is due, and look again when something may be due next. */
  readonly #look = (): void => {
    const current = this.#inFlight;
    this.#timer = null;
    if (current === null) return;
    const nowMs = performance.now();
    if (nowMs >= current.dueMs) {
      current.attempts++;
      current.retryMs = Math.min(current.retryMs * 2, RETRY_MS_MAX);
      current.dueMs = nowMs + current.retryMs;
      this.#socket.post(current.request, this.#ip, this.#port);
    }
    // Never longer than a new request's time, which may start meanwhile.
    this.#timer = setTimeout(this.#look, Math.min(current.dueMs - nowMs, RETRY_MS_MIN));
  };

  #finish(inFlight: InFlight, attempts: number | null): void {
    this.#inFlight = null;
    inFlight.resolve(attempts);
  }
}
