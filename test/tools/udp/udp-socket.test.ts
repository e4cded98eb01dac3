/**
 * Goal: datagrams come and go whole, in order, with the other side's address, many at a time; what does not fit a slot is cut
 * and says so; what the system refuses is lost and counted; a closed socket calls nobody.
 * Method: our socket against Node's on loopback.
 */
import { afterEach, describe, expect, test } from '@jest/globals';
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { InvariantError, ReplicaError } from '../../../emulator/errors.js';
import { parseIpv4 } from '../../../hypervisor/network/ipv4.js';
import { UdpSocket, type DatagramHandler } from '../../../tools/udp/udp-socket.js';
import { until } from '../switch/test-network.js';

const LOOPBACK = parseIpv4('', '127.0.0.1');
const cleanUp: (() => unknown)[] = [];
afterEach(() => {
  for (const each of cleanUp.splice(0)) each();
});

interface Got {
  readonly payload: Uint8Array;
  readonly ip: number;
  readonly port: number;
}

function ours(batch = 1, port = 0, ip = LOOPBACK): { socket: UdpSocket; got: Got[] } {
  const got: Got[] = [];
  const take: DatagramHandler = (payload, from, fromPort) => {
    got.push({ payload: payload.slice(), ip: from, port: fromPort });
  };
  const socket = new UdpSocket({ ip, port, receiveBufferBytes: 1 << 20, batch }, take);
  cleanUp.push(() => {
    socket.close();
  });
  return { socket, got };
}

async function theirs(): Promise<{ socket: Socket; port: number; got: { bytes: Buffer; from: RemoteInfo }[] }> {
  const socket = createSocket({ type: 'udp4', recvBufferSize: 1 << 20 });
  const got: { bytes: Buffer; from: RemoteInfo }[] = [];
  socket.on('message', (bytes, from) => got.push({ bytes, from }));
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  cleanUp.push(() => socket.close());
  return { socket, port: socket.address().port, got };
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const numbered = (count: number, bytes: number): Buffer[] =>
  Array.from({ length: count }, (_, i) => Buffer.alloc(bytes + (i % 3), i));

describe('a UDP socket', () => {
  test.each([1, 3, 64])('sends in order, %s at a time', async (batch) => {
    const { socket } = ours(batch);
    const other = await theirs();
    const datagrams = numbered(100, 1000);
    for (const bytes of datagrams) socket.post(bytes, LOOPBACK, other.port);
    socket.flush();
    socket.flush();
    await until('it came', () => other.got.length === datagrams.length);
    expect(other.got.map(({ bytes }) => hex(bytes))).toEqual(datagrams.map(hex));
    expect(other.got[0]?.from).toMatchObject({ address: '127.0.0.1', port: socket.port });
    expect([socket.errors, socket.lastError]).toEqual([0, null]);
  });

  test.each([
    ['of one length', [1472, 1472, 1472, 1472]],
    ['with a shorter last one, and one behind it', [900, 900, 300, 900, 900]],
    ['with longer and empty ones between', [10, 20, 0, 0, 20, 20, 5, 0]],
    ['of more bytes than one message of the system may have', Array.from({ length: 64 }, () => 2048)],
  ])('keeps apart what goes to one peer in one batch: datagrams %s', async (_, lengths) => {
    const { socket } = ours(64);
    const other = await theirs();
    const datagrams = lengths.map((length, i) => Buffer.alloc(length, i + 1));
    for (const bytes of datagrams) socket.post(bytes, LOOPBACK, other.port);
    socket.flush();
    await until('they came', () => other.got.length === datagrams.length);
    expect(other.got.map(({ bytes }) => hex(bytes))).toEqual(datagrams.map(hex));
    expect(socket.errors).toBe(0);
  });

  test('posts to several peers in one batch', async () => {
    const { socket } = ours(8);
    const [a, b] = [await theirs(), await theirs()];
    for (const bytes of numbered(8, 5)) socket.post(bytes, LOOPBACK, bytes[0]! % 2 === 0 ? a.port : b.port);
    await until('it came', () => a.got.length === 4 && b.got.length === 4);
    expect(a.got.map(({ bytes }) => bytes[0])).toEqual([0, 2, 4, 6]);
    expect(b.got.map(({ bytes }) => bytes[0])).toEqual([1, 3, 5, 7]);
  });

  test('receives more than fits one read, with whom it comes from', async () => {
    const { socket, got } = ours();
    const other = await theirs();
    const datagrams = numbered(200, 1400);
    for (const bytes of datagrams) other.socket.send(bytes, socket.port, '127.0.0.1');
    await until('it came', () => got.length === datagrams.length);
    expect(got.map(({ payload }) => hex(payload))).toEqual(datagrams.map(hex));
    expect(new Set(got.map(({ ip, port }) => `${ip} ${port}`))).toEqual(new Set([`${LOOPBACK} ${other.port}`]));
  });

  test.each([
    ['one long run', Array.from({ length: 64 }, () => 1472)],
    ['shorter last ones', [900, 900, 300, 900, 900, 900, 1]],
    ['empty ones between', [0, 20, 20, 0, 0, 20, 5, 0]],
    ['more messages than one read takes', Array.from({ length: 64 }, (_, i) => 100 + i)],
  ])('hands out one by one what came together: %s', async (_, lengths) => {
    const { socket, got } = ours(64);
    const sender = ours(64).socket;
    const datagrams = lengths.map((length, i) => Buffer.alloc(length, i + 1));
    for (const bytes of datagrams) sender.post(bytes, LOOPBACK, socket.port);
    sender.flush();
    await until('they came', () => got.length === datagrams.length);
    expect(got.map(({ payload }) => hex(payload))).toEqual(datagrams.map(hex));
    expect(new Set(got.map(({ ip, port }) => `${ip} ${port}`))).toEqual(new Set([`${LOOPBACK} ${sender.port}`]));
  });

  test('takes an empty datagram, and cuts one that is longer than a slot', async () => {
    const { socket, got } = ours();
    const other = await theirs();
    const long = Buffer.from(Array.from({ length: 9000 }, (_, i) => i % 251));
    for (const bytes of [Buffer.alloc(0), long, Buffer.from('z')]) other.socket.send(bytes, socket.port, '127.0.0.1');
    await until('it came', () => got.length === 3);
    expect(got.map(({ payload }) => Buffer.from(payload))).toEqual([
      Buffer.alloc(0),
      long.subarray(0, 2048),
      Buffer.from('z'),
    ]);
  });

  test('goes on after a datagram that the system refuses, and says why', async () => {
    const { socket } = ours(3, 0, LOOPBACK);
    const other = await theirs();
    socket.post(Buffer.from('a'), LOOPBACK, other.port);
    // A socket of the loopback interface has no way to another network.
    socket.post(Buffer.from('b'), parseIpv4('', '203.0.113.9'), 9);
    socket.post(Buffer.from('c'), LOOPBACK, other.port);
    await until('it came', () => other.got.length === 2);
    expect(other.got.map(({ bytes }) => bytes.toString())).toEqual(['a', 'c']);
    expect(socket.errors).toBe(1);
    expect(socket.lastError).toMatch(/^E[A-Z]+: /);
  });

  test('refuses a payload that fits no slot', () => {
    expect(() => {
      ours().socket.post(new Uint8Array(2049), LOOPBACK, 9);
    }).toThrow(InvariantError);
  });

  test('a port in use and an address of another machine are named', () => {
    const { port } = ours().socket;
    expect(() => ours(1, port)).toThrow(
      new ReplicaError(`cannot listen on udp 127.0.0.1:${port}: the address is in use`),
    );
    expect(() => ours(1, 0, parseIpv4('', '203.0.113.9'))).toThrow(
      /203\.0\.113\.9:0: this machine has no such address/,
    );
  });

  test('calls nobody and sends nothing once it is closed, also from within its own call', async () => {
    const other = await theirs();
    let calls = 0;
    const socket: UdpSocket = new UdpSocket({ ip: LOOPBACK, port: 0, receiveBufferBytes: 0, batch: 2 }, () => {
      calls++;
      socket.close();
    });
    const sender = ours(3).socket;
    for (let i = 0; i < 3; i++) sender.post(Buffer.from('x'), LOOPBACK, socket.port);
    await until('it came', () => calls > 0);
    socket.post(Buffer.from('y'), LOOPBACK, other.port);
    socket.flush();
    socket.close();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect([calls, other.got.length, socket.errors]).toEqual([1, 0, 0]);
  });
});
