/**
 * Goal: frames arrive whole and in order with and without a key; strangers, damaged frames and taken addresses are
 * refused without disturbing anyone else.
 * Method: real sockets on loopback with ephemeral ports and UNIX sockets in a fresh directory.
 */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect as connectRaw, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { ConfigError, ReplicaError } from '../../../emulator/errors.js';
import { TRANSPORT_FRAME_BYTES_MAX } from '../../../hypervisor/channel/framing.js';
import { connect, listen, type FrameConnection, type Listener } from '../../../hypervisor/channel/transport.js';

const LOOPBACK = 'tcp://127.0.0.1:0';
const KEY = new Uint8Array(randomBytes(32));
const OTHER_KEY = new Uint8Array(randomBytes(32));

let directory = '';
let listeners: Listener[] = [];
let refusals: string[] = [];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ft86-channel-'));
  listeners = [];
  refusals = [];
});
afterEach(async () => {
  await Promise.all(listeners.map((listener) => listener.close()));
  rmSync(directory, { recursive: true });
});

/** A listener that returns every frame. */
async function echoServer(address: string, key: Uint8Array | null): Promise<Listener> {
  return server(address, key, (connection) => {
    connection.onFrame = (frame) => connection.send(frame);
  });
}

async function server(
  address: string,
  key: Uint8Array | null,
  onConnection: (connection: FrameConnection) => void,
): Promise<Listener> {
  const listener = await listen({ address, key, onConnection, onRefused: (message) => refusals.push(message) });
  listeners.push(listener);
  return listener;
}

function collect(connection: FrameConnection, count: number): Promise<Buffer[]> {
  return new Promise((resolve, reject) => {
    const frames: Buffer[] = [];
    connection.onFrame = (frame) => {
      frames.push(Buffer.from(frame));
      if (frames.length === count) resolve(frames);
    };
    connection.onClose = (reason) => {
      reject(new Error(reason));
    };
  });
}

function closed(connection: FrameConnection): Promise<string> {
  return new Promise((resolve) => {
    connection.onClose = resolve;
    connection.onFrame ??= (): void => undefined;
  });
}

async function talks(address: string, key: Uint8Array | null): Promise<void> {
  const connection = await connect({ address, key, timeoutMs: 5000 });
  const answer = collect(connection, 1);
  connection.send(Buffer.from('hello'));
  expect((await answer)[0]?.toString()).toBe('hello');
  connection.close();
  await closed(connection);
}

describe.each([
  ['plain TCP', null, false],
  ['TCP with a key', KEY, false],
  ['a plain UNIX socket', null, true],
  ['a UNIX socket with a key', KEY, true],
] as const)('over %s', (_name, key, unix) => {
  const address = (): string => (unix ? `unix:${join(directory, 'socket')}` : LOOPBACK);

  test('frames of every size come back whole and in order, and are counted', async () => {
    const listener = await echoServer(address(), key);
    const connection = await connect({ address: listener.address, key, timeoutMs: 5000 });
    const sizes = [0, 1, 3, 4, 5, 2047, 2048, 2049, 65536, 1_000_000, 7, 3_000_000, 0];
    const frames = sizes.map((size) => randomBytes(size));
    const answer = collect(connection, frames.length);
    for (const frame of frames) connection.send(frame);
    const got = await answer;
    expect(got.map((frame, i) => frame.equals(frames[i] ?? Buffer.alloc(1)))).toEqual(frames.map(() => true));
    const bytes = sizes.reduce((sum, size) => sum + size + 4, 0);
    expect([connection.bytesSent, connection.bytesReceived]).toEqual([bytes, bytes]);
    connection.close();
  });

  test('a frame in two parts arrives as one, between others, and is counted as one', async () => {
    const listener = await echoServer(address(), key);
    const connection = await connect({ address: listener.address, key, timeoutMs: 5000 });
    const head = Buffer.from([4, 9]);
    const bodies = [0, 1, 60, 1514, 8190, 8191, 20_000, 300_000].map((size) => randomBytes(size));
    const answer = collect(connection, 2 * bodies.length);
    for (const body of bodies) {
      connection.sendParts(head, body);
      connection.send(body);
    }
    const expected = bodies.flatMap((body) => [Buffer.concat([head, body]), body]);
    expect((await answer).map((frame, i) => frame.equals(expected[i]!))).toEqual(expected.map(() => true));
    expect(connection.bytesSent).toBe(expected.reduce((sum, { length }) => sum + length + 4, 0));
    connection.close();
  });

  test('a reader that stops between two frames of one chunk gets the others when it goes on', async () => {
    const listener = await server(address(), key, (peer) => {
      for (let i = 0; i < 100; i++) peer.send(Buffer.from(String(i)));
      setTimeout(() => {
        for (let i = 100; i < 200; i++) peer.send(Buffer.from(String(i)));
      }, 20);
    });
    const connection = await connect({ address: listener.address, key, timeoutMs: 5000 });
    const got: string[] = [];
    const all = new Promise<void>((resolve) => {
      const take = (frame: Uint8Array): void => {
        got.push(Buffer.from(frame).toString());
        connection.onFrame = null;
        if (got.length === 200) resolve();
        else if (got.length % 7 === 0) setTimeout(() => (connection.onFrame = take), 2);
        else connection.onFrame = take;
      };
      connection.onFrame = take;
    });
    await all;
    expect(got).toEqual(Array.from({ length: 200 }, (_, i) => String(i)));
    connection.close();
  });

  test('what was sent before close arrives, and both ends hear of the close once', async () => {
    const reasons: string[] = [];
    let arrived: (frames: string[]) => void = () => undefined;
    const all = new Promise<string[]>((resolve) => (arrived = resolve));
    const listener = await server(address(), key, (peer) => {
      const frames: string[] = [];
      peer.onFrame = (frame) => frames.push(Buffer.from(frame).toString());
      peer.onClose = (reason) => {
        reasons.push(reason);
        arrived(frames);
      };
    });
    const connection = await connect({ address: listener.address, key, timeoutMs: 5000 });
    connection.send(Buffer.from('one'));
    connection.send(Buffer.from('two'));
    const own = closed(connection);
    connection.close();
    connection.close();
    expect(connection.send(Buffer.from('late'))).toBe(false);
    expect(await all).toEqual(['one', 'two']);
    expect(await own).toBe('closed here');
    expect(reasons).toEqual(['the other end closed the connection']);
  });
});

describe('flow control', () => {
  test('send reports a full buffer, onDrain reports when it has left, and a reader that stops holds the sender', async () => {
    let peer: FrameConnection | null = null;
    const listener = await server(LOOPBACK, null, (connection) => (peer = connection));
    const connection = await connect({
      address: listener.address,
      key: null,
      timeoutMs: 5000,
      highWaterBytes: 100_000,
    });
    const frame = new Uint8Array(64 * 1024);
    let sent = 0;
    for (let accepted = true; accepted && sent < 1000; sent++) {
      accepted = connection.send(frame);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(sent).toBeLessThan(1000);
    expect(connection.bufferedBytes).toBeGreaterThan(100_000);
    const drained = new Promise<void>((resolve) => (connection.onDrain = resolve));
    let received = 0;
    const reader = peer as FrameConnection | null;
    if (reader !== null) reader.onFrame = () => received++;
    await drained;
    while (received < sent) await new Promise((resolve) => setTimeout(resolve, 5));
    connection.close();
  });
});

describe('strangers', () => {
  test('another key is refused, reported once, and others go on', async () => {
    const listener = await echoServer(LOOPBACK, KEY);
    for (let i = 0; i < 2; i++) {
      const attempt = connect({ address: listener.address, key: OTHER_KEY, timeoutMs: 5000 });
      await expect(attempt).rejects.toThrow(ReplicaError);
      await expect(attempt).rejects.toThrow(/keys do not match/);
    }
    expect(refusals).toHaveLength(1);
    await talks(listener.address, KEY);
  });

  test('plain bytes to a listener with a key are refused', async () => {
    const listener = await echoServer(LOOPBACK, KEY);
    const connection = await connect({ address: listener.address, key: null, timeoutMs: 5000 });
    connection.send(Buffer.from('hello'));
    await closed(connection);
    expect(refusals).toHaveLength(1);
    await talks(listener.address, KEY);
  });

  test('a key against a listener without one ends with a clear error', async () => {
    const listener = await echoServer(LOOPBACK, null);
    await expect(connect({ address: listener.address, key: KEY, timeoutMs: 500 })).rejects.toThrow(
      /cannot connect to tcp:.*(no answer|without one|closed)/,
    );
    await talks(listener.address, null);
  });

  test('TLS without the key gets nowhere', async () => {
    const listener = await echoServer(LOOPBACK, KEY);
    const socket = connectTls({ host: '127.0.0.1', port: listener.port, rejectUnauthorized: false });
    await expect(
      new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject)),
    ).rejects.toThrow();
    await talks(listener.address, KEY);
  });

  test('a frame above the limit closes its own connection only', async () => {
    let reason = '';
    const listener = await server(LOOPBACK, null, (connection) => {
      connection.onFrame = (frame) => connection.send(frame);
      connection.onClose = (why) => (reason ||= why);
    });
    const bystander = await connect({ address: listener.address, key: null, timeoutMs: 5000 });
    const raw = connectRaw(listener.port, '127.0.0.1');
    const prefix = Buffer.alloc(4);
    prefix.writeUInt32LE(TRANSPORT_FRAME_BYTES_MAX + 1);
    raw.write(prefix);
    await new Promise((resolve) =>
      raw
        .on('error', () => undefined)
        .once('close', resolve)
        .resume(),
    );
    expect(reason).toMatch(/bad frame/);
    const answer = collect(bystander, 1);
    bystander.send(Buffer.from('still here'));
    expect((await answer)[0]?.toString()).toBe('still here');
    bystander.close();
  });
});

describe('addresses', () => {
  test('a foreign address without a key is a ConfigError on both sides', async () => {
    await expect(echoServer('tcp://0.0.0.0:0', null)).rejects.toThrow(ConfigError);
    await expect(connect({ address: 'tcp://192.0.2.1:1', key: null, timeoutMs: 100 })).rejects.toThrow(ConfigError);
    await echoServer('tcp://0.0.0.0:0', KEY);
  });

  test('a port in use is a ReplicaError that names it', async () => {
    const first = await echoServer(LOOPBACK, null);
    await expect(echoServer(first.address, null)).rejects.toThrow(ReplicaError);
    await expect(echoServer(first.address, null)).rejects.toThrow(`${first.address}: the address is in use`);
  });

  test('nobody there, and somebody who never answers, are clear errors', async () => {
    const listener = await echoServer(LOOPBACK, null);
    await listener.close();
    await expect(connect({ address: listener.address, key: null, timeoutMs: 1000 })).rejects.toThrow(/refused/);
    const mute = createServer((socket) => socket.resume()).listen(0, '127.0.0.1');
    await new Promise((resolve) => mute.once('listening', resolve));
    const address = `tcp://127.0.0.1:${(mute.address() as AddressInfo).port}`;
    await expect(connect({ address, key: KEY, timeoutMs: 200 })).rejects.toThrow(/no answer within 200 ms/);
    await new Promise((resolve) => mute.close(resolve));
  });

  test('a UNIX socket is private, goes away on close, and replaces only what a dead process left', async () => {
    const path = join(directory, 'socket');
    const listener = await echoServer(`unix:${path}`, null);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    await expect(echoServer(`unix:${path}`, null)).rejects.toThrow(/in use/);
    await talks(`unix:${path}`, null);
    await listener.close();
    expect(existsSync(path)).toBe(false);
    writeFileSync(path, 'a file');
    await expect(echoServer(`unix:${path}`, null)).rejects.toThrow(/in use/);
    await expect(connect({ address: `unix:${path}x`, key: null, timeoutMs: 500 })).rejects.toThrow(/no such socket/);
  });
});
