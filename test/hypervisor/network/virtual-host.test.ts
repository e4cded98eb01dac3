/**
 * Goal: the virtual host answers ARP and ping, exchanges UDP, and ignores everything else without throwing.
 * Method: two hosts on one wire with the time passed in; hand-made frames; random and truncated frames.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { decodeArp, encodeArp } from '../../../hypervisor/network/arp.js';
import {
  BROADCAST_MAC,
  ETHERTYPE_ARP,
  ETHERTYPE_IPV4,
  buildFrame,
  etherType,
} from '../../../hypervisor/network/ethernet.js';
import { PROTOCOL_UDP, encodeIpv4, encodeUdp, parseIpv4, type IcmpEcho } from '../../../hypervisor/network/ipv4.js';
import { VirtualHost } from '../../../hypervisor/network/virtual-host.js';

const MAC_A = Uint8Array.of(2, 0, 0, 0, 0, 1);
const MAC_B = Uint8Array.of(2, 0, 0, 0, 0, 2);
const A = parseIpv4('', '10.86.0.1');
const B = parseIpv4('', '10.86.0.2');
const ZERO_MAC = new Uint8Array(6);

class Station {
  readonly host: VirtualHost;
  readonly sent: Uint8Array[] = [];
  readonly udp: string[] = [];
  readonly echoes: IcmpEcho[] = [];

  constructor(mac: Uint8Array, ip: number) {
    this.host = new VirtualHost({
      mac,
      ip,
      prefixBits: 24,
      transmit: (frame) => this.sent.push(frame),
      onUdp: (from, fromPort, toPort, payload) =>
        this.udp.push(`${from.toString(16)}:${fromPort} -> ${toPort} ${Buffer.from(payload).toString()}`),
      onEchoReply: (_from, echo) => this.echoes.push(echo),
    });
  }
}

/** Carry frames between two stations until both are quiet. */
function settle(a: Station, b: Station, nowMs: number): void {
  while (a.sent.length + b.sent.length > 0) {
    for (const frame of a.sent.splice(0)) b.host.receive(frame, nowMs);
    for (const frame of b.sent.splice(0)) a.host.receive(frame, nowMs);
  }
}

describe('VirtualHost', () => {
  test('finds its peer by ARP once and exchanges UDP both ways', () => {
    const [a, b] = [new Station(MAC_A, A), new Station(MAC_B, B)];
    a.host.sendUdp(5000, { ip: B, port: 7 }, Buffer.from('one'), 0);
    expect(etherType(a.sent[0]!)).toBe(ETHERTYPE_ARP);
    settle(a, b, 0);
    a.host.sendUdp(5000, { ip: B, port: 7 }, Buffer.from('two'), 1);
    expect(a.sent.map(etherType)).toEqual([ETHERTYPE_IPV4]);
    b.host.sendUdp(7, { ip: A, port: 5000 }, Buffer.from('back'), 1);
    settle(a, b, 1);
    expect(b.udp).toEqual(['a560001:5000 -> 7 one', 'a560001:5000 -> 7 two']);
    expect(a.udp).toEqual(['a560002:7 -> 5000 back']);
  });

  test('sends to a known MAC at once, to one without an address or to all', () => {
    const [a, b] = [new Station(MAC_A, A), new Station(MAC_B, B)];
    expect(a.host.sendUdpDirect(67, { ip: B, port: 68 }, MAC_B, Buffer.from('one'))).toBe(true);
    expect(a.host.sendUdpDirect(67, { ip: 0xffffffff, port: 68 }, BROADCAST_MAC, Buffer.from('all'))).toBe(true);
    expect(a.host.sendUdpDirect(67, { ip: B, port: 68 }, MAC_B, new Uint8Array(1473))).toBe(false);
    expect(a.sent.map(etherType)).toEqual([ETHERTYPE_IPV4, ETHERTYPE_IPV4]);
    settle(a, b, 0);
    expect(b.udp).toEqual(['a560001:67 -> 68 one', 'a560001:67 -> 68 all']);
  });

  test('answers pings and gets answers to its own', () => {
    const [a, b] = [new Station(MAC_A, A), new Station(MAC_B, B)];
    expect(a.host.ping(B, 11, 22, Buffer.from('data'), 0)).toBe(true);
    settle(a, b, 0);
    expect(a.echoes.map(({ kind, identifier, sequence }) => [kind, identifier, sequence])).toEqual([['reply', 11, 22]]);
    expect(Buffer.from(a.echoes[0]!.data).toString()).toBe('data');
  });

  test('repeats its ARP request while datagrams wait, and drops them after a second', () => {
    const a = new Station(MAC_A, A);
    a.host.sendUdp(1, { ip: B, port: 2 }, Buffer.from('x'), 0);
    for (let now = 50; now <= 3000; now += 50) a.host.tick(now);
    expect(a.sent).toHaveLength(11);
    expect(a.host.counters.unanswered).toBe(1);
  });

  test('a gratuitous announcement of an address asked for lets the waiting datagrams go', () => {
    const a = new Station(MAC_A, A);
    a.host.sendUdp(1, { ip: B, port: 2 }, Buffer.from('x'), 0);
    a.sent.length = 0;
    const packet = { operation: 'request', senderMac: MAC_B, senderIp: B, targetMac: ZERO_MAC, targetIp: B } as const;
    a.host.receive(buildFrame(BROADCAST_MAC, MAC_B, ETHERTYPE_ARP, encodeArp(packet)), 10);
    expect(a.sent.map(etherType)).toEqual([ETHERTYPE_IPV4]);
    expect([...a.sent[0]!.subarray(0, 6)]).toEqual([...MAC_B]);
  });

  test('answers an ARP request for its address only, also a probe', () => {
    const a = new Station(MAC_A, A);
    const ask = (senderIp: number, targetIp: number): void => {
      const packet = { operation: 'request', senderMac: MAC_B, senderIp, targetMac: ZERO_MAC, targetIp } as const;
      a.host.receive(buildFrame(BROADCAST_MAC, MAC_B, ETHERTYPE_ARP, encodeArp(packet)), 0);
    };
    ask(B, A + 5);
    expect(a.sent).toHaveLength(0);
    ask(B, A);
    const reply = decodeArp(a.sent[0]!.subarray(14))!;
    expect([reply.operation, reply.senderIp, reply.targetIp]).toEqual(['reply', A, B]);
    expect([[...reply.senderMac], [...reply.targetMac]]).toEqual([[...MAC_A], [...MAC_B]]);
    ask(0, A);
    expect(a.sent).toHaveLength(2);
  });

  test('tells a guest that looks for an IPv6 router that there is none', () => {
    const a = new Station(MAC_A, A);
    const unspecified = Array<number>(16).fill(0);
    const header = [0x60, 0, 0, 0, 0, 8, 58, 255, ...unspecified, 0xff, 2, ...Array<number>(13).fill(0), 2];
    const frame = buildFrame(
      BROADCAST_MAC,
      MAC_B,
      0x86dd,
      Uint8Array.from([...header, 133, 0, 0x7b, 0xb8, 0, 0, 0, 0]),
    );
    a.host.receive(frame, 0);
    expect(a.sent.map(etherType)).toEqual([0x86dd]);
    expect([a.sent[0]![14 + 40], a.host.counters.ignored]).toEqual([134, 0]);
  });

  test('asks again after a minute while still using what it knows', () => {
    const [a, b] = [new Station(MAC_A, A), new Station(MAC_B, B)];
    a.host.sendUdp(1, { ip: B, port: 2 }, Buffer.from('x'), 0);
    settle(a, b, 0);
    a.host.sendUdp(1, { ip: B, port: 2 }, Buffer.from('y'), 61_000);
    expect(a.sent.map(etherType)).toEqual([ETHERTYPE_ARP, ETHERTYPE_IPV4]);
    settle(a, b, 61_000);
    expect(b.udp).toHaveLength(2);
  });

  test('takes broadcasts, ignores datagrams for others, and refuses payloads that need fragments', () => {
    const a = new Station(MAC_A, A);
    const deliver = (destination: number): void => {
      const udp = encodeUdp(B, destination, { sourcePort: 1, destinationPort: 2, payload: Buffer.from('x') });
      const packet = encodeIpv4({ source: B, destination, protocol: PROTOCOL_UDP, payload: udp }, 0);
      a.host.receive(buildFrame(BROADCAST_MAC, MAC_B, ETHERTYPE_IPV4, packet), 0);
    };
    deliver(0xffffffff);
    deliver(parseIpv4('', '10.86.0.255'));
    deliver(parseIpv4('', '10.86.1.255'));
    deliver(parseIpv4('', '10.86.0.77'));
    expect(a.udp).toHaveLength(2);
    expect(a.host.counters.ignored).toBe(2);
    expect(a.host.sendUdp(1, { ip: B, port: 2 }, new Uint8Array(1472), 0)).toBe(true);
    expect(a.host.sendUdp(1, { ip: B, port: 2 }, new Uint8Array(1473), 0)).toBe(false);
    expect(a.host.ping(B, 1, 1, new Uint8Array(1473), 0)).toBe(false);
    expect(a.host.counters.oversize).toBe(2);
  });

  test('random frames, truncated frames and damaged frames never throw', () => {
    const random = fc.uint8Array({ maxLength: 200 });
    fc.assert(
      fc.property(random, fc.constantFrom(ETHERTYPE_ARP, ETHERTYPE_IPV4, 0x86dd, 0x8035), (payload, type) => {
        const a = new Station(MAC_A, A);
        a.host.receive(buildFrame(MAC_A, MAC_B, type, payload), 0);
        a.host.receive(payload, 0);
      }),
    );
    const [a, b] = [new Station(MAC_A, A), new Station(MAC_B, B)];
    b.host.sendUdp(9, { ip: A, port: 9 }, Buffer.from('complete'), 0);
    settle(b, a, 0);
    b.host.sendUdp(9, { ip: A, port: 9 }, Buffer.from('truncated, longer than padding'), 0);
    const frame = b.sent[0]!;
    for (let length = 0; length < frame.length; length++) a.host.receive(frame.subarray(0, length), 0);
    expect(a.udp).toHaveLength(1);
    a.host.receive(frame, 0);
    expect(a.udp).toHaveLength(2);
  });

  test('the cache is bounded against senders without number', () => {
    const a = new Station(MAC_A, A);
    for (let i = 0; i < 2000; i++) a.host.sendUdp(1, { ip: 0x0a570000 + i, port: 2 }, Buffer.from('x'), i);
    expect(a.host.counters.unanswered).toBe(2000 - 256);
  });
});
