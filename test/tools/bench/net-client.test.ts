/** Goal: the client of bench-net counts what arrives, both ways, keeps its window, and goes on when datagrams are lost.
 *  Method: a model of the guest on a UDP socket that counts in its own way, and loses some of what comes and goes. */
import { describe, expect, test } from '@jest/globals';
import { createSocket } from 'node:dgram';
import { NetClient } from '../../../tools/bench/net-client.js';

const TIMES = { warmUpMs: 50, ms: 400 };
const WINDOW = 224;
const PAYLOAD_BYTES = 1472;

interface Model {
  readonly port: number;
  /** Data out or in, those that were lost left out, and the largest number of one kind in a row without an answer. */
  readonly counts: { sent: number; received: number; unansweredMax: number };
  close(): void;
}

/** images/bench-net.c on a socket; every `loseEach`th datagram is lost either way. */
function modelGuest(loseEach: number): Promise<Model> {
  const socket = createSocket('udp4');
  const counts = { sent: 0, received: 0, unansweredMax: 0 };
  let [run, sent, allowed, received, newest, unanswered, passed] = [0, 0, 0, 0, 0, 0, 0];
  const lost = (): boolean => ++passed % loseEach === 0;
  socket.on('message', (bytes, { port, address }) => {
    if (lost()) return;
    const [kind, itsRun, number, count] = [4, 8, 12, 16].map((at) => bytes.readUInt32BE(at)) as [
      number,
      number,
      number,
      number,
    ];
    const send = (words: number[], length: number): void => {
      const datagram = Buffer.alloc(length);
      [0x626e6574, ...words].forEach((word, i) => datagram.writeUInt32BE(word, 4 * i));
      if (!lost()) socket.send(datagram, port, address);
    };
    if (itsRun !== run) [run, sent, allowed, received, newest, unanswered] = [itsRun, 0, 0, 0, 0, 0];
    if (kind === 1) {
      counts.unansweredMax = Math.max(counts.unansweredMax, number - sent);
      for (allowed = number; sent < allowed; counts.sent++) send([2, run, sent++, 0], count);
    } else if (kind === 2) {
      received++;
      counts.received++;
      newest = Math.max(newest, number + 1);
      if (++unanswered >= 8 || count === 1) unanswered = 0;
    }
    if (kind === 0 || (kind === 2 && unanswered === 0)) send([3, run, newest, received], 20);
  });
  return new Promise((resolve) => {
    socket.bind(0, '127.0.0.1', () => {
      resolve({ port: socket.address().port, counts, close: () => socket.close() });
    });
  });
}

describe.each([Infinity, 7])('a guest that loses every %s. datagram', (loseEach) => {
  test.each(['receive', 'send'] as const)('%s', async (way) => {
    const guest = await modelGuest(loseEach);
    const client = new NetClient({ host: '127.0.0.1', port: guest.port });
    try {
      await client.greet(10_000);
      const startMs = performance.now();
      const bytes = await client[way](TIMES);
      const seconds = (performance.now() - startMs) / 1000;
      expect(bytes).toBeGreaterThan(WINDOW * PAYLOAD_BYTES);
      const counted = way === 'receive' ? guest.counts.sent : guest.counts.received;
      // What the client measured in its time is less than what the guest saw in all.
      expect((bytes * TIMES.ms) / 1000 / PAYLOAD_BYTES).toBeLessThanOrEqual(counted);
      expect(counted / seconds).toBeGreaterThan(100);
      if (loseEach === Infinity) expect(guest.counts.unansweredMax).toBeLessThanOrEqual(2 * WINDOW);
    } finally {
      client.close();
      guest.close();
    }
  });
});

test('a guest that is not there is told by name', async () => {
  const client = new NetClient({ host: '127.0.0.1', port: 9 });
  await expect(client.greet(200)).rejects.toThrow('bench-net does not answer for 200 ms');
  client.close();
});
