/**
 * Goal: each client has its own virtual port, answers find their client, and the table is bounded and ages.
 * Method: clients with made-up addresses and the time passed in.
 */
import { describe, expect, test } from '@jest/globals';
import { UdpNat } from '../../../hypervisor/network/udp-nat.js';

const client = (port: number, forward = 0): { forward: number; address: string; port: number } => ({
  forward,
  address: '127.0.0.1',
  port,
});

describe('UdpNat', () => {
  test('a client keeps its port; clients, and one client on two forwards, have different ones', () => {
    const nat = new UdpNat();
    const ports = [client(1), client(2), client(1, 1)].map((each) => nat.portOf(each, 0));
    expect(new Set(ports).size).toBe(3);
    expect(nat.portOf(client(1), 5)).toBe(ports[0]);
    expect(nat.clientOf(ports[2]!)).toEqual(client(1, 1));
    expect(nat.clientOf(1)).toBeNull();
  });

  test('when full, the client heard longest ago gives way', () => {
    const nat = new UdpNat({ clientsMax: 2 });
    const first = nat.portOf(client(1), 0);
    const second = nat.portOf(client(2), 1);
    nat.portOf(client(1), 2);
    const third = nat.portOf(client(3), 3);
    expect(nat.clients).toBe(2);
    expect(nat.clientOf(second)).toBeNull();
    expect([nat.clientOf(first)?.port, nat.clientOf(third)?.port]).toEqual([1, 3]);
  });

  test('idle clients are forgotten when a new one comes', () => {
    const nat = new UdpNat({ ageMs: 100 });
    const old = nat.portOf(client(1), 0);
    nat.portOf(client(2), 50);
    nat.portOf(client(3), 101);
    expect(nat.clientOf(old)).toBeNull();
    expect(nat.clients).toBe(2);
  });

  test('ports go round without ever being given to two clients', () => {
    const nat = new UdpNat({ clientsMax: 16 });
    for (let i = 0; i < 40_000; i++) {
      const port = nat.portOf(client(i), i);
      expect(nat.clientOf(port)?.port === i && port >= 49152 && port <= 65535).toBe(true);
    }
    expect(nat.clients).toBe(16);
  });
});
