/**
 * The client of the guest bench-net (an edge: a UDP socket and timers): keeps a window of datagrams under way, either way, and
 * measures what arrives. The format is in images/bench-net.c.
 *
 *   receive   credit up to newest + WINDOW ->, <- data, and new credit when half of it is here
 *   send      data up to answered + WINDOW ->, <- answer for every 8th
 *
 * What is lost is not sent again: it only does not count. When nothing comes, the window is opened further.
 */
import { ReplicaError } from '../../emulator/errors.js';
import { parseIpv4, type Ipv4Address } from '../../hypervisor/network/ipv4.js';
import type { UdpTarget } from '../load/udp-client.js';
import { UdpSocket } from '../udp/udp-socket.js';

const MAGIC = 0x626e6574;
const HEADER_BYTES = 20;
const KIND = { hello: 0, credit: 1, data: 2, answer: 3 } as const;
/** The largest payload of a frame of 1514 bytes. */
const PAYLOAD_BYTES = 1472;
/** Covers what a pair holds until it is acknowledged, and no more than a card has buffers for. */
const WINDOW = 224;
const BATCH = 64;
const TICK_MS = 20;
const HELLO_MS = 100;
const RECEIVE_BUFFER_BYTES = 1 << 20;

interface Datagram {
  readonly kind: number;
  readonly run: number;
  readonly number: number;
  readonly count: number;
}

export interface MeasureTimes {
  readonly warmUpMs: number;
  readonly ms: number;
}

export class NetClient {
  readonly #socket: UdpSocket;
  readonly #ip: Ipv4Address;
  readonly #port: number;
  readonly #outgoing = new Uint8Array(PAYLOAD_BYTES);
  #run = 0;
  #flushes = false;
  #onDatagram: (datagram: Datagram) => void = () => undefined;

  constructor({ host, port }: UdpTarget) {
    this.#ip = parseIpv4('host', host);
    this.#port = port;
    const options = { ip: 0, port: 0, receiveBufferBytes: RECEIVE_BUFFER_BYTES, batch: BATCH };
    this.#socket = new UdpSocket(options, (bytes) => {
      const datagram = decode(bytes);
      if (datagram?.run === this.#run) this.#onDatagram(datagram);
    });
  }

  close(): void {
    this.#socket.close();
  }

  /** Wait for the guest. @throws ReplicaError when it does not answer */
  async greet(timeoutMs: number): Promise<void> {
    this.#run++;
    const greeted = { answered: false };
    this.#onDatagram = () => {
      greeted.answered = true;
    };
    for (let ms = 0; !greeted.answered; ms += HELLO_MS) {
      if (ms > timeoutMs) throw new ReplicaError(`bench-net does not answer for ${timeoutMs} ms`);
      this.#post(KIND.hello, 0, 0);
      this.#socket.flush();
      await delay(HELLO_MS);
    }
  }

  /** Bytes of payload a second that the guest sends. */
  async receive(times: MeasureTimes): Promise<number> {
    this.#run++;
    let [newest, allowed, arrived] = [0, 0, 0];
    const allow = (number: number): void => {
      allowed = number;
      this.#post(KIND.credit, allowed, PAYLOAD_BYTES);
      this.#socket.flush();
    };
    this.#onDatagram = ({ kind, number }) => {
      if (kind !== KIND.data) return;
      arrived++;
      newest = Math.max(newest, number + 1);
      if (newest >= allowed - WINDOW / 2) allow(newest + WINDOW);
    };
    allow(WINDOW);
    const bytes = await this.#measure(
      times,
      () => arrived,
      () => {
        allow(allowed + WINDOW);
      },
    );
    // The guest stops sending.
    this.#run++;
    this.#post(KIND.hello, 0, 0);
    this.#socket.flush();
    return bytes;
  }

  /** Bytes of payload a second that the guest receives. */
  async send(times: MeasureTimes): Promise<number> {
    this.#run++;
    let [sent, answered, counted] = [0, 0, 0];
    const post = (atOnce: boolean): void => {
      this.#post(KIND.data, sent++, atOnce ? 1 : 0, PAYLOAD_BYTES);
    };
    const fill = (): void => {
      while (sent < answered + WINDOW) post(false);
      this.#flushSoon();
    };
    this.#onDatagram = ({ kind, number, count }) => {
      if (kind !== KIND.answer) return;
      answered = Math.max(answered, number);
      counted = Math.max(counted, count);
      fill();
    };
    fill();
    return this.#measure(
      times,
      () => counted,
      () => {
        post(true);
        this.#socket.flush();
      },
    );
  }

  /** Bytes a second, from how far `count` goes; `stalled` is called when it stands still. */
  async #measure({ warmUpMs, ms }: MeasureTimes, count: () => number, stalled: () => void): Promise<number> {
    let seen = -1;
    const timer = setInterval(() => {
      if (count() === seen) stalled();
      seen = count();
    }, TICK_MS);
    try {
      await delay(warmUpMs);
      const [startMs, before] = [performance.now(), count()];
      await delay(ms);
      return ((count() - before) * PAYLOAD_BYTES) / ((performance.now() - startMs) / 1000);
    } finally {
      clearInterval(timer);
      this.#onDatagram = () => undefined;
    }
  }

  /** When all that came together is looked at: what it lets us send leaves together, too. */
  #flushSoon(): void {
    if (this.#flushes) return;
    this.#flushes = true;
    queueMicrotask(() => {
      this.#flushes = false;
      this.#socket.flush();
    });
  }

  #post(kind: number, number: number, count: number, bytes = HEADER_BYTES): void {
    const datagram = this.#outgoing.subarray(0, bytes);
    put(datagram, 0, MAGIC);
    put(datagram, 4, kind);
    put(datagram, 8, this.#run);
    put(datagram, 12, number);
    put(datagram, 16, count);
    // One that the host refuses is a lost one.
    this.#socket.post(datagram, this.#ip, this.#port);
  }
}

function decode(bytes: Uint8Array): Datagram | null {
  if (bytes.length < HEADER_BYTES || get(bytes, 0) !== MAGIC) return null;
  return { kind: get(bytes, 4), run: get(bytes, 8), number: get(bytes, 12), count: get(bytes, 16) };
}

/** Big-endian, and without a view: these are read and written for every datagram. */
function get(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}

function put(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
