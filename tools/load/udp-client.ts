/**
 * One UDP client with one request in flight (an edge: socket and timers).
 *
 *   exchange(request) -> send -> no answer for 50 ms -> send again -> 100 ms -> 200 ms -> 400 ms -> 400 ms ...
 *
 * Invariant: a datagram that does not answer the request in flight is ignored.
 */
import { createSocket, type Socket } from 'node:dgram';

const RETRY_MS_MIN = 50;
const RETRY_MS_MAX = 400;

export interface UdpTarget {
  readonly host: string;
  readonly port: number;
}

interface InFlight {
  readonly accept: (datagram: Uint8Array) => boolean;
  readonly finish: (answered: boolean) => void;
  attempts: number;
  timer: NodeJS.Timeout;
}

export class UdpClient {
  readonly #socket: Socket;
  readonly #target: UdpTarget;
  #inFlight: InFlight | null = null;
  #closed = false;
  #sendError: string | null = null;

  private constructor(socket: Socket, target: UdpTarget) {
    this.#socket = socket;
    this.#target = target;
    socket.on('message', (datagram) => {
      const current = this.#inFlight;
      if (current?.accept(datagram) === true) this.#finish(current, true);
    });
  }

  /** Bind a socket of its own, so that the guest sees a client of its own. */
  static open(target: UdpTarget): Promise<UdpClient> {
    const socket = createSocket('udp4');
    return new Promise((resolve, reject) => {
      socket.once('error', reject);
      socket.bind(0, () => {
        socket.off('error', reject);
        resolve(new UdpClient(socket, target));
      });
    });
  }

  /** Why the host refused the newest datagram that it refused; such a one is sent again like a lost one. */
  get sendError(): string | null {
    return this.#sendError;
  }

  /**
   * Send `request` until `accept` takes a datagram as its answer.
   * @returns how many datagrams that took; null when the client was closed before
   */
  exchange(request: Uint8Array, accept: (datagram: Uint8Array) => boolean): Promise<number | null> {
    if (this.#closed) return Promise.resolve(null);
    return new Promise((resolve) => {
      const inFlight: InFlight = {
        accept,
        finish: (answered) => {
          resolve(answered ? inFlight.attempts : null);
        },
        attempts: 0,
        timer: setTimeout(() => undefined, 0),
      };
      this.#inFlight = inFlight;
      this.#send(inFlight, request, RETRY_MS_MIN);
    });
  }

  /** Give up: a pending exchange ends with null. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#inFlight !== null) this.#finish(this.#inFlight, false);
    this.#socket.close();
  }

  #send(inFlight: InFlight, request: Uint8Array, retryMs: number): void {
    inFlight.attempts++;
    this.#socket.send(request, this.#target.port, this.#target.host, (error) => {
      if (error !== null) this.#sendError = error.message;
    });
    inFlight.timer = setTimeout(() => {
      this.#send(inFlight, request, Math.min(retryMs * 2, RETRY_MS_MAX));
    }, retryMs);
  }

  #finish(inFlight: InFlight, answered: boolean): void {
    clearTimeout(inFlight.timer);
    this.#inFlight = null;
    inFlight.finish(answered);
  }
}
