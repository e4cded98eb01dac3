/**
 * Goal: each client has its own virtual port, answers find their client, and the table is bounded and ages.
 * Method: clients with made-up addresses and the time passed in.
 */
import { describe, expect, test } from '@jest/globals';
import { parseIpv4 } from '../../../hypervisor/network/ipv4.js';
import { UdpNat, type NatClient } from '../../../hypervisor/network/udp-nat.js';

const ADDRESS = parseIpv4('', '127.0.0.1');
const client = (port: number, forward = 0): NatClient => ({ forward, address: ADDRESS, port });
const portOf = (nat: UdpNat, { forward, address, port }: NatClient, nowMs: number): number =>
  nat.portOf(forward, address, port, nowMs);

describe('UdpNat', () => {
  test('a client keeps its port; clients, and one client on two forwards, have different ones', () => {
    const nat = new UdpNat();
    const ports = [client(1), client(2), client(1, 1)].map((each) => portOf(nat, each, 0));
    expect(new Set(ports).size).toBe(3);
    expect(portOf(nat, client(1), 5)).toBe(ports[0]);
    expect(nat.clientOf(ports[2]!)).toEqual(client(1, 1));
    expect(nat.clientOf(1)).toBeNull();
  });

  test('clients with the same port at different addresses are different, the last address included', () => {
    const nat = new UdpNat();
    const clients = [0, 1, ADDRESS, 0xffffffff].map((address) => ({ forward: 0, address, port: 65535 }));
    const ports = clients.map((each) => portOf(nat, each, 0));
    expect(ports.map((port) => nat.clientOf(port))).toEqual(clients);
  });

  test('a client that is forgotten on one forward keeps its port on another', () => {
    const nat = new UdpNat({ ageMs: 100 });
    const old = portOf(nat, client(1, 0), 0);
    const kept = portOf(nat, client(1, 1), 90);
    portOf(nat, client(2), 150);
    expect([nat.clientOf(old), portOf(nat, client(1, 1), 160)]).toEqual([null, kept]);
    expect(portOf(nat, client(1, 0), 170)).not.toBe(old);
  });

  test('when full, the client heard longest ago gives way', () => {
    const nat = new UdpNat({ clientsMax: 2 });
    const first = portOf(nat, client(1), 0);
    const second = portOf(nat, client(2), 1);
    portOf(nat, client(1), 2);
    const third = portOf(nat, client(3), 3);
    expect(nat.clients).toBe(2);
    expect(nat.clientOf(second)).toBeNull();
    expect([nat.clientOf(first)?.port, nat.clientOf(third)?.port]).toEqual([1, 3]);
  });

  test('idle clients are forgotten when a new one comes', () => {
    const nat = new UdpNat({ ageMs: 100 });
    const old = portOf(nat, client(1), 0);
    portOf(nat, client(2), 50);
    portOf(nat, client(3), 101);
    expect(nat.clientOf(old)).toBeNull();
    expect(nat.clients).toBe(2);
  });

  test('ports go round without ever being given to two clients', () => {
    const nat = new UdpNat({ clientsMax: 16 });
    for (let i = 0; i < 40_000; i++) {
      const port = portOf(nat, client(i), i);
      expect(nat.clientOf(port)?.port === i && port >= 49152 && port <= 65535).toBe(true);
    }
    expect(nat.clients).toBe(16);
  });
});
