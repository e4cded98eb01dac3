/**
 * Goal: real programs talk to a guest through the switch; a take-over moves the guest without a lost operation and
 * shuts the old replica out; strangers and broken ports disturb nobody; ports survive a restart of the switch.
 * Method: a switch in this process with real TCP, UNIX and UDP sockets; guests are network stacks on SwitchPorts.
 */
import { afterEach, describe, expect, test } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { mkdtempSync, openSync, closeSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError, ReplicaError } from '../../../emulator/errors.js';
import { connect, type FrameConnection } from '../../../hypervisor/channel/transport.js';
import { parseIpv4 } from '../../../hypervisor/network/ipv4.js';
import {
  PORT_PROTOCOL,
  decodePortMessage,
  encodePortMessage,
  type PortHello,
  type PortMessage,
} from '../../../hypervisor/network/port-protocol.js';
import { runLoad } from '../../../tools/load/load-run.js';
import { parseLoad } from '../../../tools/load/load-spec.js';
import { runSwitch } from '../../../tools/switch/switch-process.js';
import { ModelService } from '../load/model-service.js';
import { Guest, GUEST_IP, startSwitch, until, type GuestOptions, type RunningSwitch } from './test-network.js';

const guests: Guest[] = [];
const switches: RunningSwitch[] = [];
afterEach(async () => {
  for (const guest of guests.splice(0)) guest.port.close();
  await Promise.all(switches.splice(0).map((each) => each.stop()));
});

async function network(...args: Parameters<typeof startSwitch>): Promise<RunningSwitch> {
  const running = await startSwitch(...args);
  switches.push(running);
  return running;
}

async function plugIn(options: GuestOptions): Promise<Guest> {
  const guest = await Guest.plugIn(options);
  guests.push(guest);
  return guest;
}

const forward = (guestPort: number, hostPort = 0): string => `host:udp=${hostPort}:${GUEST_IP}:${guestPort}`;
const HELLO: PortHello = { version: PORT_PROTOCOL, role: 'host', nic: 0, pair: 'raw', replicaId: 'r', epoch: 0 };

/** A hand-driven port; `greet` sends its hello. */
async function rawPort(
  address: string,
  hello: PortHello | null,
): Promise<{ connection: FrameConnection; got: PortMessage[] }> {
  const connection = await connect({ address, key: null, timeoutMs: 5000 });
  const got: PortMessage[] = [];
  connection.onFrame = (bytes) => got.push(decodePortMessage(bytes));
  if (hello !== null) connection.send(encodePortMessage({ type: 'hello', hello }));
  return { connection, got };
}

function closed(connection: FrameConnection): Promise<string> {
  return new Promise((resolve) => (connection.onClose = resolve));
}

describe('a switch with a virtual host', () => {
  test.each(['kv:ops=200,clients=4', 'echo:ops=100,clients=2', 'counter:ops=100,clients=3'])(
    'carries %s between real sockets and a guest',
    async (text) => {
      const spec = parseLoad(text);
      const running = await network({ uplinks: [forward(7)] });
      const service = new ModelService(spec.kind);
      await plugIn({ address: running.address, answer: (datagram) => service.answer(datagram) });
      const result = await runLoad(spec, running.ready.forwards[0]!, {});
      expect(result).toMatchObject({ acked: spec.operations, lost: 0, duplicated: 0, completed: true });
    },
  );

  test('each client of a forward is a client of its own to the guest', async () => {
    const running = await network({ uplinks: [forward(7)] });
    const guest = await plugIn({ address: running.address, answer: (datagram) => datagram });
    const replies = await Promise.all(
      ['one', 'two', 'three'].map((text) => {
        const socket = createSocket('udp4');
        socket.send(text, running.ready.forwards[0]!.port, '127.0.0.1');
        return new Promise<string>((resolve) =>
          socket.once('message', (reply) => {
            socket.close();
            resolve(reply.toString());
          }),
        );
      }),
    );
    expect(replies).toEqual(['one', 'two', 'three']);
    expect(new Set(guest.sourcePorts).size).toBe(3);
  });

  test('answers a ping of the guest', async () => {
    const running = await network({ uplinks: ['host'] });
    const guest = await plugIn({ address: running.address });
    guest.host.ping(parseIpv4('', '10.86.0.1'), 1, 1, Buffer.from('ping'), 0);
    await until('an echo', () => guest.echoes === 1);
  });

  test('says what it bound and, at the end, what it did', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'ft86-switch-'));
    const path = join(directory, 'socket');
    const readyFd = openSync(join(directory, 'ready'), 'w');
    const listen = ['tcp://127.0.0.1:0', `unix:${path}`];
    const running = await network({ listen, uplinks: [forward(7)], readyFd });
    closeSync(readyFd);
    expect(running.ready.listen).toEqual([expect.stringMatching(/^tcp:\/\/127\.0\.0\.1:[1-9]/), `unix:${path}`]);
    expect(running.ready.forwards).toEqual([
      { protocol: 'udp', host: '127.0.0.1', port: expect.any(Number), guestIp: GUEST_IP, guestPort: 7 },
    ]);
    expect(JSON.parse(readFileSync(join(directory, 'ready'), 'utf8'))).toEqual(running.ready);
    await plugIn({ address: `unix:${path}`, answer: (datagram) => datagram });
    await runLoad(parseLoad('echo:ops=10,clients=1'), running.ready.forwards[0]!, {});
    const result = await running.stop();
    expect(result).toMatchObject({ stop: 'stopped', ports: { ports: 1, refused: 0, stale: 0 } });
    expect(result.ports.received).toBeGreaterThanOrEqual(11);
    expect(result.uplinks).toEqual([expect.objectContaining({ kind: 'host', clients: 1, unclaimed: 0, oversize: 0 })]);
    rmSync(directory, { recursive: true });
  });
});

describe('a take-over', () => {
  test('moves the guest without losing an operation, and shuts the old replica out', async () => {
    const running = await network({ uplinks: [forward(8086)] });
    // What lockstep gives: both replicas hold the same state.
    const service = new ModelService('kv');
    const answer = (datagram: Uint8Array): Uint8Array | null => service.answer(datagram);
    let paused = false;
    const old = await plugIn({
      ...{ address: running.address, replicaId: 'a', epoch: 1 },
      answer: (datagram) => (paused ? null : answer(datagram)),
    });
    let takeOver: Promise<Guest> | null = null;
    const onProgress = (acked: number): void => {
      if (acked !== 100) return;
      paused = true;
      takeOver = plugIn({ address: running.address, replicaId: 'b', epoch: 2, answer });
    };
    const result = await runLoad(parseLoad('kv:ops=400,clients=4'), running.ready.forwards[0]!, { onProgress });
    expect(result).toMatchObject({ acked: 400, lost: 0, duplicated: 0 });
    expect((await takeOver!).sourcePorts.length).toBeGreaterThan(290);
    // The old replica wakes up and goes on as if it were live.
    await until('the gratuitous frame', () => running.lines.some((line) => line.includes('is here in epoch 2')));
    old.host.ping(parseIpv4('', '10.86.0.1'), 1, 1, Buffer.from('stale'), 0);
    old.port.announce();
    await until('a refusal', () => running.lines.some((line) => line.includes('refused to announce')));
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(old.echoes).toBe(0);
    expect((await takeOver!).echoes).toBe(0);
    expect((await running.stop()).ports.stale).toBeGreaterThan(0);
  });

  test('a port raises its own epoch by announcing', async () => {
    const running = await network({ uplinks: ['host'] });
    const a = await plugIn({ address: running.address, replicaId: 'a', epoch: 1 });
    const b = await plugIn({ address: running.address, replicaId: 'b', epoch: 1, announce: false });
    b.port.announce(2);
    await until('b', () => running.lines.some((line) => line.includes('in epoch 2')));
    for (const guest of [a, b]) guest.host.ping(parseIpv4('', '10.86.0.1'), 1, 1, Buffer.from('x'), 0);
    await until('an echo', () => b.echoes === 1);
    expect(a.echoes).toBe(0);
  });
});

describe('ports', () => {
  test('come back by themselves when the switch restarts; frames in between are dropped', async () => {
    const first = await network({ uplinks: [forward(7)] });
    const guest = await plugIn({ address: first.address, answer: (datagram) => datagram });
    await first.stop();
    await until('the cable is out', () => !guest.port.connected);
    expect(guest.port.send(new Uint8Array(60))).toBe(false);
    expect(guest.port.counters.dropped).toBe(1);
    const second = await network({ listen: [first.address], uplinks: [forward(7)] });
    await until('the cable is in', () => guest.port.connected);
    expect(guest.port.counters.reconnections).toBe(1);
    await until('announced again', () => second.lines.some((line) => line.includes('is here in epoch 1')));
    const result = await runLoad(parseLoad('echo:ops=5,clients=1'), second.ready.forwards[0]!, {});
    expect(result.acked).toBe(5);
  });

  test('a closed port stays closed', async () => {
    const running = await network();
    const guest = await plugIn({ address: running.address });
    guest.port.close();
    await until('unplugged', () => running.lines.some((line) => line.includes('unplugged')));
    expect(guest.port.send(new Uint8Array(60))).toBe(false);
    await new Promise((resolve) => setTimeout(resolve, 120));
    expect(running.lines.filter((line) => line.includes('plugged in'))).toHaveLength(1);
  });

  test('a switch that is not there is a clear error at first', async () => {
    const running = await startSwitch();
    await running.stop();
    await expect(plugIn({ address: running.address })).rejects.toThrow(ReplicaError);
    await expect(plugIn({ address: running.address })).rejects.toThrow(running.address);
  });

  test('need the same key', async () => {
    const key = new Uint8Array(randomBytes(32));
    const running = await network({ key, uplinks: ['host'] });
    await expect(plugIn({ address: running.address, key: new Uint8Array(randomBytes(32)) })).rejects.toThrow(/keys/);
    await expect(plugIn({ address: running.address })).rejects.toThrow(ReplicaError);
    const guest = await plugIn({ address: running.address, key });
    guest.host.ping(parseIpv4('', '10.86.0.1'), 1, 1, Buffer.from('x'), 0);
    await until('an echo', () => guest.echoes === 1);
  });

  test('a collector gets counters and no packets', async () => {
    const running = await network();
    const host = await rawPort(running.address, HELLO);
    const collector = await rawPort(running.address, { ...HELLO, role: 'collector' });
    await until('both are welcome', () => host.got.length + collector.got.length === 2);
    host.connection.send(encodePortMessage({ type: 'packet', nic: 0, frame: new Uint8Array(60).fill(2) }));
    host.connection.send(encodePortMessage({ type: 'count' }));
    collector.connection.send(encodePortMessage({ type: 'count' }));
    await until('counters', () => host.got.length + collector.got.length === 4);
    const zero = { received: 0, sent: 0, dropped: 0, stale: 0 };
    expect(host.got[1]).toEqual({ type: 'counters', counters: { ...zero, received: 1 } });
    expect(collector.got[1]).toEqual({ type: 'counters', counters: zero });
  });

  const STRANGE: readonly (readonly [string, PortHello | null, Uint8Array])[] = [
    ['garbage before hello', null, Buffer.from('GET / HTTP/1.1')],
    ['a packet before hello', null, encodePortMessage({ type: 'packet', nic: 0, frame: new Uint8Array(60) })],
    ['a second hello', HELLO, encodePortMessage({ type: 'hello', hello: HELLO })],
    ['garbage', HELLO, Buffer.of(4, 0, 1, 2, 3)],
    ['a packet of another nic', HELLO, encodePortMessage({ type: 'packet', nic: 1, frame: new Uint8Array(60) })],
    ['an announcement of a host', HELLO, encodePortMessage({ type: 'announce', epoch: 1, mac: new Uint8Array(6) })],
    [
      'a packet of a collector',
      { ...HELLO, role: 'collector' },
      encodePortMessage({ type: 'packet', nic: 0, frame: new Uint8Array(60) }),
    ],
  ];

  test.each(STRANGE)('%s closes that connection and no other', async (_name, hello, bytes) => {
    const running = await network({ uplinks: [forward(7)] });
    await plugIn({ address: running.address, answer: (datagram) => datagram });
    const { connection } = await rawPort(running.address, hello);
    const gone = closed(connection);
    connection.send(bytes);
    await gone;
    const result = await runLoad(parseLoad('echo:ops=3,clients=1'), running.ready.forwards[0]!, {});
    expect(result.acked).toBe(3);
  });

  test('another version of the protocol is refused by its number', async () => {
    const running = await network();
    const { connection, got } = await rawPort(running.address, { ...HELLO, version: 77 });
    await closed(connection);
    expect(got).toEqual([{ type: 'refused', reason: expect.stringContaining('port protocol 77') }]);
  });

  test('one that does not read loses its own frames only', async () => {
    const running = await network();
    const [sender, reader] = [await rawPort(running.address, HELLO), await rawPort(running.address, HELLO)];
    const stuck = await rawPort(running.address, HELLO);
    await until('all are welcome', () => [sender, reader, stuck].every(({ got }) => got.length === 1));
    stuck.connection.onFrame = null;
    const frame = new Uint8Array(1500).fill(2).fill(0xff, 0, 6);
    let sent = 0;
    for (let round = 0; round < 60; round++) {
      for (let i = 0; i < 100; i++, sent++)
        sender.connection.send(encodePortMessage({ type: 'packet', nic: 0, frame }));
      await until('the reader keeps up', () => reader.got.length === sent + 1);
    }
    stuck.connection.close();
    expect((await running.stop()).ports.dropped).toBeGreaterThan(0);
  });
});

describe('what cannot be bound', () => {
  const run = (options: Partial<Parameters<typeof runSwitch>[0]>): Promise<unknown> =>
    runSwitch({ listen: ['tcp://127.0.0.1:0'], key: null, uplinks: [], ...options }, AbortSignal.timeout(100));

  test('is named: a TCP port and a UDP port in use', async () => {
    const running = await network({ uplinks: [forward(7)] });
    await expect(run({ listen: [running.address] })).rejects.toThrow(`cannot listen on ${running.address}`);
    const { port } = running.ready.forwards[0]!;
    await expect(run({ uplinks: [forward(7, port)] })).rejects.toThrow(ReplicaError);
    await expect(run({ uplinks: [forward(7, port)] })).rejects.toThrow(`127.0.0.1:${port}`);
  });

  test('is the user’s mistake: no address, a foreign address without a key, an unknown uplink', async () => {
    await expect(run({ listen: [] })).rejects.toThrow(ConfigError);
    await expect(run({ listen: ['tcp://0.0.0.0:0'] })).rejects.toThrow(/--listen tcp:\/\/0.0.0.0:0: without --key/);
    await expect(run({ uplinks: ['bridge:x'] })).rejects.toThrow(ConfigError);
    await run({});
  });
});
