/**
 * The client of the guest bench-net (an edge: a UDP socket and timers): keeps a window of datagrams under way, either way, and
 * measures what arrives. The format is in images/bench-net.c.
 *
 *   receive   credit up to newest + WINDOW ->, <- data, and new credit when half of it is here
 *   send      data up to answered + WINDOW ->, <- answer for every 8th
 *
 * What is lost is not sent again: it only does not count. When nothing comes, the window is opened further.
 */
import { createSocket, type Socket } from 'node:dgram';
import { ReplicaError } from '../../emulator/errors.js';
import type { UdpTarget } from '../load/udp-client.js';

const MAGIC = 0x626e6574;
const HEADER_BYTES = 20;
const KIND = { hello: 0, credit: 1, data: 2, answer: 3 } as const;
/** The largest payload of a frame of 1514 bytes. */
const PAYLOAD_BYTES = 1472;
const WINDOW = 64;
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
  readonly #socket: Socket;
  readonly #target: UdpTarget;
  #run = 0;
  #onDatagram: (datagram: Datagram) => void = () => undefined;

  private constructor(socket: Socket, target: UdpTarget) {
    this.#socket = socket;
    this.#target = target;
    socket.on('message', (bytes) => {
      const datagram = decode(bytes);
      if (datagram?.run === this.#run) this.#onDatagram(datagram);
    });
  }

  static open(target: UdpTarget): Promise<NetClient> {
    const socket = createSocket({ type: 'udp4', recvBufferSize: RECEIVE_BUFFER_BYTES });
    return new Promise((resolve, reject) => {
      socket.once('error', reject);
      socket.bind(0, () => {
        resolve(new NetClient(socket, target));
      });
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
    return bytes;
  }

  /** Bytes of payload a second that the guest receives. */
  async send(times: MeasureTimes): Promise<number> {
    this.#run++;
    let [sent, answered, counted] = [0, 0, 0];
    const post = (atOnce: boolean): void => {
      this.#post(KIND.data, sent++, atOnce ? 1 : 0, PAYLOAD_BYTES);
    };
    this.#onDatagram = ({ kind, number, count }) => {
      if (kind !== KIND.answer) return;
      answered = Math.max(answered, number);
      counted = Math.max(counted, count);
      while (sent < answered + WINDOW) post(false);
    };
    while (sent < WINDOW) post(false);
    return this.#measure(
      times,
      () => counted,
      () => {
        post(true);
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

  #post(kind: number, number: number, count: number, bytes = HEADER_BYTES): void {
    const datagram = Buffer.alloc(bytes);
    [MAGIC, kind, this.#run, number, count].forEach((word, i) => datagram.writeUInt32BE(word, 4 * i));
    // One that the host refuses is a lost one.
    this.#socket.send(datagram, this.#target.port, this.#target.host, () => undefined);
  }
}

function decode(bytes: Buffer): Datagram | null {
  if (bytes.length < HEADER_BYTES || bytes.readUInt32BE(0) !== MAGIC) return null;
  const [kind, run, number, count] = [4, 8, 12, 16].map((at) => bytes.readUInt32BE(at)) as [
    number,
    number,
    number,
    number,
  ];
  return { kind, run, number, count };
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
