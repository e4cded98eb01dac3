/**
 * Goal: a client gets every file byte for byte, also over a network that loses, doubles and delays; one that misbehaves
 * gets an error or nothing, and disturbs no other transfer; files are closed.
 * Method: a small client against the server with the time passed in; a seeded lossy network; hand-made packets.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { TftpServer, type TftpFile } from '../../../hypervisor/network/tftp-server.js';
import { decodeTftp, encodeTftp, type TftpPacket } from '../../../hypervisor/network/tftp.js';
import type { UdpAddress } from '../../../hypervisor/network/virtual-host.js';

interface Sent {
  readonly fromPort: number;
  readonly to: UdpAddress;
  readonly packet: TftpPacket;
}

function pattern(bytes: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, i) => (i * 7) ^ (i >> 8) ^ (i >> 16));
}

class World {
  readonly server: TftpServer;
  readonly sent: Sent[] = [];
  nowMs = 0;
  open = 0;
  /** Files get shorter by that many bytes after they were opened. */
  lostBytes = 0;

  constructor(files: Readonly<Record<string, number>> = { file: 1000 }) {
    this.server = new TftpServer({
      open: (name) => (name === 'secret' ? 'refused' : name in files ? this.#file(files[name]!) : 'not-found'),
      send: (fromPort, to, payload) => this.sent.push({ fromPort, to, packet: decodeTftp(payload)! }),
    });
  }

  #file(bytes: number): TftpFile {
    const content = pattern(bytes);
    this.open++;
    return {
      bytes,
      read: (offset, length) => content.subarray(0, bytes - this.lostBytes).subarray(offset, offset + length),
      close: () => this.open--,
    };
  }

  put(client: number, toPort: number, packet: TftpPacket | Uint8Array): boolean {
    const bytes = packet instanceof Uint8Array ? packet : encodeTftp(packet);
    return this.server.receive(0x0a560080, client, toPort, bytes, this.nowMs);
  }

  ask(client: number, name: string, options: Readonly<Record<string, string>> = {}, mode = 'octet'): void {
    this.put(client, 69, { kind: 'read', name, mode, options: new Map(Object.entries(options)) });
  }

  ack(client: number, toPort: number, block: number): void {
    this.put(client, toPort, { kind: 'ack', block });
  }

  /** The one packet sent since the last call. */
  one(): Sent {
    expect(this.sent).toHaveLength(1);
    return this.sent.pop()!;
  }

  wait(ms: number): void {
    const end = this.nowMs + ms;
    while (this.nowMs < end) {
      this.nowMs += 50;
      this.server.tick(this.nowMs);
    }
  }
}

/** Fetch a file with a well-behaved client; `lose` decides about each packet, in both directions. */
function fetch(world: World, name: string, options: Record<string, string>, lose: () => boolean): Uint8Array {
  const client = 2000;
  const got: Uint8Array[] = [];
  let blockBytes = 512;
  let expected = 1;
  world.ask(client, name, options);
  for (let rounds = 0; rounds < 100_000; rounds++) {
    if (world.sent.length === 0) world.wait(50);
    for (const { fromPort, packet } of world.sent.splice(0)) {
      if (lose()) continue;
      if (packet.kind === 'error') throw new Error(packet.text);
      if (packet.kind === 'options') {
        blockBytes = Number(packet.options.get('blksize') ?? 512);
        if (!lose()) world.ack(client, fromPort, 0);
      }
      if (packet.kind !== 'data') continue;
      if (packet.block === (expected & 0xffff)) {
        got.push(packet.data);
        expected++;
      }
      if (!lose()) world.ack(client, fromPort, packet.block);
      const last = got.at(-1);
      if (last !== undefined && last.length < blockBytes && world.server.active === 0) return concat(got);
    }
  }
  throw new Error('the transfer does not end');
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

const never = (): boolean => false;

describe('a TFTP server', () => {
  test.each([0, 1, 511, 512, 513, 1024, 5000])('serves a file of %i bytes', (bytes) => {
    const world = new World({ file: bytes });
    expect(fetch(world, 'file', {}, never)).toEqual(pattern(bytes));
    expect([world.open, world.server.counters]).toEqual([0, expect.objectContaining({ completed: 1, bytes })]);
  });

  test('takes larger blocks, tells the size, and says only what it takes', () => {
    const world = new World({ file: 3000 });
    world.ask(1, 'file', { blksize: '1432', tsize: '0', timeout: '3', windowsize: '8', multicast: '' });
    const { packet, fromPort } = world.one();
    expect(packet).toEqual({
      kind: 'options',
      options: new Map(Object.entries({ blksize: '1432', tsize: '3000', timeout: '3' })),
    });
    world.ack(1, fromPort, 0);
    expect((world.one().packet as { data: Uint8Array }).data).toHaveLength(1432);
    world.wait(2950);
    expect(world.sent).toHaveLength(0);
    world.wait(50);
    expect(world.sent).toHaveLength(1);
    expect(fetch(new World({ file: 3000 }), 'file', { blksize: '8' }, never)).toEqual(pattern(3000));
  });

  test.each([
    ['blksize', '65464', '1468'],
    ['blksize', '7', null],
    ['blksize', '65465', null],
    ['blksize', '1e3', null],
    ['blksize', '-8', null],
    ['timeout', '0', null],
    ['timeout', '255', '255'],
    ['timeout', '256', null],
    ['tsize', 'x', null],
    ['tsize', '99999999999', null],
  ])('answers to %s=%s with %s', (name, asked, taken) => {
    const world = new World();
    world.ask(1, 'file', { [name]: asked });
    const { packet } = world.one();
    if (taken === null) expect(packet.kind).toBe('data');
    else expect(packet).toEqual({ kind: 'options', options: new Map([[name, taken]]) });
  });

  test('block numbers go on with 0 after 65535', () => {
    const bytes = 8 * 65_600 + 3;
    expect(fetch(new World({ file: bytes }), 'file', { blksize: '8' }, never)).toEqual(pattern(bytes));
  });

  test('a network that loses a third of all packets changes nothing', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1 }), fc.nat(3000), fc.boolean(), (seed, bytes, larger) => {
        let state = seed;
        const lose = (): boolean => {
          state = (Math.imul(state, 1103515245) + 12345) >>> 0;
          return (state >>> 16) % 3 === 0;
        };
        const world = new World({ file: bytes });
        try {
          expect(fetch(world, 'file', larger ? { blksize: '1000' } : {}, lose)).toEqual(pattern(bytes));
        } catch (error) {
          // Eight tries in a row may all be lost.
          if (world.server.counters.timedOut === 0) throw error;
        }
        expect(world.open).toBe(0);
      }),
      { numRuns: 30 },
    );
  }, 20_000);

  test('repeats the last packet each second, and gives up after eight times', () => {
    const world = new World();
    world.ask(1, 'file');
    expect(world.one().packet).toMatchObject({ kind: 'data', block: 1 });
    for (let i = 0; i < 8; i++) {
      world.wait(1000);
      expect(world.one().packet).toMatchObject({ kind: 'data', block: 1 });
    }
    world.wait(1000);
    expect([world.sent.length, world.open, world.server.active]).toEqual([0, 0, 0]);
    expect(world.server.counters).toMatchObject({ timedOut: 1, retransmissions: 8, completed: 0 });
  });

  test('an ack that comes twice or out of order sends nothing', () => {
    const world = new World();
    world.ask(1, 'file');
    const { fromPort } = world.one();
    world.ack(1, fromPort, 1);
    expect(world.one().packet).toMatchObject({ block: 2 });
    for (const block of [1, 0, 3, 65535]) world.ack(1, fromPort, block);
    expect(world.sent).toHaveLength(0);
    world.ack(1, fromPort, 2);
    world.ack(1, fromPort, 2);
    expect([world.sent.length, world.open]).toEqual([0, 0]);
    expect(world.server.counters).toMatchObject({ completed: 1, ignored: 1 });
  });

  test.each<readonly [string, (world: World) => void, number]>([
    ['an unknown file', (world) => world.ask(1, 'missing'), 1],
    ['a file that is not allowed', (world) => world.ask(1, 'secret'), 2],
    ['another mode', (world) => world.ask(1, 'file', {}, 'netascii'), 4],
    ['to write', (world) => world.put(1, 69, { kind: 'write', name: 'x', mode: 'octet', options: new Map() }), 2],
  ])('refuses %s with an error from its own port', (_, ask, code) => {
    const world = new World();
    ask(world);
    expect(world.one()).toMatchObject({ fromPort: 69, to: { port: 1 }, packet: { kind: 'error', code } });
    expect([world.server.counters.refused, world.open]).toEqual([1, 0]);
  });

  test('tells a stranger so and goes on with the client', () => {
    const world = new World();
    world.ask(1, 'file');
    const { fromPort } = world.one();
    world.ack(2, fromPort, 1);
    expect(world.one()).toMatchObject({ fromPort, to: { port: 2 }, packet: { kind: 'error', code: 5 } });
    world.ack(1, fromPort, 1);
    expect(world.one()).toMatchObject({ to: { port: 1 }, packet: { kind: 'data', block: 2 } });
  });

  test('a request repeated before the answer came gets the same answer from the same port', () => {
    const world = new World();
    for (let i = 0; i < 3; i++) world.ask(1, 'file', { tsize: '0' });
    const answers = world.sent.splice(0);
    expect(answers.map(({ packet }) => packet.kind)).toEqual(['options', 'options', 'options']);
    expect(new Set(answers.map(({ fromPort }) => fromPort)).size).toBe(1);
    world.ack(1, answers[0]!.fromPort, 0);
    expect(world.one().packet).toMatchObject({ kind: 'data', block: 1 });
    expect(world.server.counters).toMatchObject({ requests: 1, retransmissions: 2 });
    // Another file, another client, or the same after an ack: a transfer of its own.
    world.ask(1, 'file');
    world.ask(2, 'file', { tsize: '0' });
    world.ask(1, 'file', { tsize: '0' });
    expect(new Set(world.sent.map(({ fromPort }) => fromPort)).size).toBe(3);
    expect([world.server.active, world.open]).toEqual([4, 4]);
  });

  test('a client that gives up ends its transfer, and only that', () => {
    const world = new World();
    for (const client of [1, 2, 3]) world.ask(client, 'file');
    const [first] = world.sent.splice(0).map(({ fromPort }) => fromPort);
    world.put(1, first!, { kind: 'error', code: 0, text: 'enough' });
    expect([world.sent.length, world.open, world.server.active]).toEqual([0, 2, 2]);
    expect(world.server.counters.aborted).toBe(1);
    world.server.close();
    expect([world.open, world.server.active]).toEqual([0, 0]);
  });

  test('a file that gets shorter meanwhile is an error, not a short file', () => {
    const world = new World();
    world.ask(1, 'file');
    const { fromPort } = world.one();
    world.lostBytes = 1;
    world.ack(1, fromPort, 1);
    expect(world.one().packet).toMatchObject({ kind: 'error', code: 0 });
    expect(world.open).toBe(0);
  });

  test('has 64 transfers at a time', () => {
    const world = new World();
    for (let client = 1; client <= 65; client++) world.ask(client, 'file');
    expect(world.sent.map(({ packet }) => packet.kind).filter((kind) => kind === 'error')).toHaveLength(1);
    expect(new Set(world.sent.slice(0, 64).map(({ fromPort }) => fromPort)).size).toBe(64);
    world.wait(9000);
    expect(world.open).toBe(0);
  });

  test('leaves other ports alone, and random packets never throw', () => {
    const world = new World();
    expect(world.put(1, 68, { kind: 'ack', block: 0 })).toBe(false);
    expect(world.put(1, 49152, { kind: 'ack', block: 0 })).toBe(false);
    world.ask(1, 'file');
    const port = world.one().fromPort;
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.constantFrom(69, port, port + 1), (bytes, toPort) => {
        world.put(1, toPort, bytes);
        world.put(2, toPort, Uint8Array.from([0, 1 + ((bytes[0] ?? 0) % 6), ...bytes]));
      }),
    );
    expect(world.server.counters.ignored).toBeGreaterThan(0);
    world.server.close();
    expect(world.open).toBe(0);
  });
});
