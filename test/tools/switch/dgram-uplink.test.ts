/**
 * Goal: what comes from the other end of a dgram uplink reaches the switch's ports and the other way round; others' datagrams
 * and what is no frame are dropped and counted; an address that is taken is named.
 * Method: a switch in this process; the other end is a UDP socket with a network stack behind it, as QEMU is.
 */
import { afterEach, describe, expect, test } from '@jest/globals';
import { createSocket, type Socket } from 'node:dgram';
import { parseIpv4 } from '../../../hypervisor/network/ipv4.js';
import { VirtualHost } from '../../../hypervisor/network/virtual-host.js';
import { GUEST_IP, Guest, startSwitch, until, type RunningSwitch } from './test-network.js';

const OTHER_IP = '10.86.0.3';
const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const each of cleanUp.splice(0).reverse()) await each();
});

async function bound(): Promise<{ socket: Socket; port: number }> {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  return { socket, port: socket.address().port };
}

async function freePort(): Promise<number> {
  const { socket, port } = await bound();
  await new Promise<void>((resolve) => socket.close(resolve));
  return port;
}

interface Network {
  readonly each: RunningSwitch;
  readonly other: VirtualHost;
  /** What the guest answered the other station. */
  readonly answers: readonly string[];
  readonly end: Socket;
  readonly port: number;
}

/** A switch with a guest, and a station at the other end of its uplink. */
async function network(): Promise<Network> {
  const { socket: end, port: remote } = await bound();
  cleanUp.push(() => end.close());
  const port = await freePort();
  const each = await startSwitch({ uplinks: [`dgram:127.0.0.1:${port},127.0.0.1:${remote}`] });
  cleanUp.push(() => each.stop());
  const guest = await Guest.plugIn({ address: each.address, answer: (datagram) => datagram.slice().reverse() });
  cleanUp.push(() => {
    guest.port.close();
  });
  const answers: string[] = [];
  const other = new VirtualHost({
    ...{ mac: Uint8Array.of(0x52, 0x54, 0, 0, 0, 3), ip: parseIpv4('ip', OTHER_IP), prefixBits: 24 },
    transmit: (frame) => {
      end.send(frame, port, '127.0.0.1');
    },
    onUdp: (_from, _fromPort, _toPort, payload) => answers.push(Buffer.from(payload).toString()),
  });
  end.on('message', (frame) => {
    other.receive(frame, performance.now());
  });
  return { each, other, answers, end, port };
}

describe('uplink dgram', () => {
  test('is a cable to the other end; strangers and what is no frame stay out', async () => {
    const { each, other, answers, end, port } = await network();
    const guest = { ip: parseIpv4('ip', GUEST_IP), port: 7 };
    for (const text of ['abc', 'def']) other.sendUdp(9, guest, Buffer.from(text), performance.now());
    await until('both replies', () => answers.length === 2);
    expect(answers).toEqual(['cba', 'fed']);

    end.send(Buffer.alloc(13), port, '127.0.0.1');
    end.send(Buffer.alloc(1519), port, '127.0.0.1');
    const { socket: stranger } = await bound();
    cleanUp.push(() => stranger.close());
    stranger.send(Buffer.alloc(60), port, '127.0.0.1');
    other.sendUdp(9, guest, Buffer.from('ghi'), performance.now());
    await until('the reply after them', () => answers.length === 3);
    const result = await each.stop();
    expect(result.uplinks).toEqual([
      expect.objectContaining({ kind: 'dgram', strangers: 1, unfit: 2, socketErrors: 0, dropped: 0 }),
    ]);
  });

  test('loses frames while nobody is at the other end, and works when somebody is', async () => {
    const [local, remote] = [await freePort(), await freePort()];
    const each = await startSwitch({ uplinks: [`dgram:127.0.0.1:${local},127.0.0.1:${remote}`] });
    cleanUp.push(() => each.stop());
    const guest = await Guest.plugIn({ address: each.address });
    cleanUp.push(() => {
      guest.port.close();
    });
    const frame = Buffer.alloc(60, 0xff);
    frame[6] = 0x52;
    for (let i = 0; i < 200; i++) guest.port.send(frame);
    const end = createSocket('udp4');
    cleanUp.push(() => end.close());
    let heard = 0;
    end.on('message', () => heard++);
    end.bind(remote, '127.0.0.1');
    await until('a frame', () => {
      guest.port.send(frame);
      return heard > 0;
    });
  });

  test('an address that is taken is named', async () => {
    const { socket, port } = await bound();
    cleanUp.push(() => socket.close());
    await expect(startSwitch({ uplinks: [`dgram:127.0.0.1:${port},127.0.0.1:9`] })).rejects.toThrow(
      `cannot listen on udp 127.0.0.1:${port} (--uplink): the address is in use`,
    );
  });
});
