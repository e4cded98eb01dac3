/**
 * Goal: a guest on a running switch gets an address by DHCP from the virtual host, unless that is off, and files by TFTP.
 * Method: a switch in this process; the guest is a network stack without an address on a real port.
 */
import { afterEach, describe, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError } from '../../../emulator/errors.js';
import { decodeDhcp, encodeDhcp } from '../../../hypervisor/network/dhcp.js';
import { BROADCAST_MAC } from '../../../hypervisor/network/ethernet.js';
import { BROADCAST_IPV4, parseIpv4 } from '../../../hypervisor/network/ipv4.js';
import { decodeTftp, encodeTftp } from '../../../hypervisor/network/tftp.js';
import { Guest, GUEST_MAC, startSwitch, until, type RunningSwitch } from './test-network.js';

const HOST = parseIpv4('', '10.86.0.1');
const guests: Guest[] = [];
const switches: RunningSwitch[] = [];
afterEach(async () => {
  for (const guest of guests.splice(0)) guest.port.close();
  await Promise.all(switches.splice(0).map((each) => each.stop()));
});

/** A switch with this uplink and a guest on it that keeps the datagrams it gets. */
async function guestOn(
  uplink: string,
  ip: string,
): Promise<{ running: RunningSwitch; guest: Guest; got: Uint8Array[] }> {
  const running = await startSwitch({ uplinks: [uplink] });
  switches.push(running);
  const got: Uint8Array[] = [];
  const guest = await Guest.plugIn({
    ...{ address: running.address, ip },
    answer: (datagram) => {
      got.push(datagram.slice());
      return null;
    },
  });
  guests.push(guest);
  return { running, guest, got };
}

const DISCOVER = encodeDhcp({
  ...{ op: 'request', type: 'discover', transaction: 1, seconds: 0, broadcast: true, bootFile: '' },
  ...{ clientIp: 0, yourIp: 0, nextServerIp: 0, relayIp: 0, clientMac: GUEST_MAC, options: new Map() },
});

describe('a guest without an address', () => {
  const discover = (guest: Guest): void => {
    guest.host.sendUdpDirect(68, { ip: BROADCAST_IPV4, port: 67 }, BROADCAST_MAC, DISCOVER);
  };

  test('is offered one', async () => {
    const { running, guest, got } = await guestOn('host', '0.0.0.0');
    discover(guest);
    await until('an offer', () => got.length === 1);
    expect(decodeDhcp(got[0]!)).toMatchObject({ type: 'offer', yourIp: parseIpv4('', '10.86.0.128') });
    const { uplinks } = await running.stop();
    expect(uplinks).toEqual([expect.objectContaining({ unclaimed: 0, dhcp: expect.objectContaining({ offers: 1 }) })]);
  });

  test('is offered none where DHCP is off', async () => {
    const { running, guest, got } = await guestOn('host:dhcp=off', '10.86.0.9');
    discover(guest);
    guest.host.ping(HOST, 1, 1, Buffer.from('after it'), performance.now());
    await until('the answer to what came after', () => guest.echoes === 1);
    expect(got).toEqual([]);
    const { uplinks } = await running.stop();
    expect(uplinks).toEqual([expect.objectContaining({ unclaimed: 1, dhcp: null })]);
  });
});

describe('a guest that boots from the network', () => {
  test('is told the file and gets it', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'ft86-tftp-'));
    writeFileSync(join(folder, 'start.ipxe'), '#!ipxe\n');
    const { running, guest, got } = await guestOn(`host:tftp=${folder},bootfile=start.ipxe`, '10.86.0.9');
    guest.host.sendUdpDirect(68, { ip: BROADCAST_IPV4, port: 67 }, BROADCAST_MAC, DISCOVER);
    await until('an offer', () => got.length === 1);
    expect(decodeDhcp(got[0]!)).toMatchObject({ nextServerIp: HOST, bootFile: 'start.ipxe' });
    const read = encodeTftp({ kind: 'read', name: 'start.ipxe', mode: 'octet', options: new Map() });
    guest.host.sendUdp(2000, { ip: HOST, port: 69 }, read, performance.now());
    await until('a block', () => got.length === 2);
    expect(decodeTftp(got[1]!)).toEqual({ kind: 'data', block: 1, data: new Uint8Array(Buffer.from('#!ipxe\n')) });
    const { uplinks } = await running.stop();
    expect(uplinks).toEqual([expect.objectContaining({ tftp: expect.objectContaining({ requests: 1, bytes: 7 }) })]);
    rmSync(folder, { recursive: true });
  });

  test('needs a directory that is there', async () => {
    await expect(startSwitch({ uplinks: ['host:tftp=/nowhere'] })).rejects.toThrow(ConfigError);
  });
});
