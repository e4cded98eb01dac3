/**
 * Goal: frames go where their destination was heard, else everywhere but back; announcements move a MAC at once;
 * nothing grows without bound.
 * Method: hand-made frames between numbered ports with the time passed in; a property for the flooding rule.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { BROADCAST_MAC, buildFrame } from '../../../hypervisor/network/ethernet.js';
import { LearningBridge, type BridgeOptions, type PortId } from '../../../hypervisor/network/learning-bridge.js';

const mac = (n: number): Uint8Array => Uint8Array.of(2, 0, 0, 0, n >> 8, n & 0xff);
const frame = (to: Uint8Array, from: Uint8Array, mark = 0): Uint8Array =>
  buildFrame(to, from, 0x88b5, Uint8Array.of(mark));

class Net {
  readonly bridge: LearningBridge;
  readonly ports: PortId[];
  readonly ready: number[];

  constructor(count: number, options: BridgeOptions = {}) {
    this.bridge = new LearningBridge(options);
    this.ready = new Array<number>(count).fill(0);
    this.ports = this.ready.map((_, i) => this.bridge.addPort(() => this.ready[i]!++));
  }

  send(port: number, bytes: Uint8Array, nowMs = 0): void {
    this.bridge.receive(this.ports[port]!, bytes, nowMs);
  }

  /** Take everything; how many frames each port got. */
  got(): number[] {
    return this.ports.map((port) => this.take(port).length);
  }

  take(port: PortId): Uint8Array[] {
    const frames: Uint8Array[] = [];
    for (let next = this.bridge.take(port); next !== null; next = this.bridge.take(port)) frames.push(next);
    return frames;
  }
}

/** A TCP segment over IPv4, as far as a bridge can tell. */
function segment(to: Uint8Array, from: Uint8Array, mark: number): Uint8Array {
  const packet = new Uint8Array(40);
  packet.set([0x45, 0, 0, 40], 0);
  packet[9] = 6;
  packet[39] = mark;
  return buildFrame(to, from, 0x0800, packet);
}

describe('a MAC that moves by an announcement', () => {
  /** Port 0: the peer, mac 1. Port 1: the old owner of mac 2. Port 2: the next. */
  function moved(frames: readonly Uint8Array[], atMs = 0, nowMs = 100): Uint8Array[] {
    const net = new Net(3);
    net.bridge.announce(net.ports[1]!, mac(2), 0);
    for (const each of frames) net.send(0, each, atMs);
    net.got();
    net.bridge.announce(net.ports[2]!, mac(2), nowMs);
    return net.take(net.ports[2]!);
  }

  test('gets the newest TCP segments again, in order, and nothing else', () => {
    const segments = Array.from({ length: 40 }, (_, i) => segment(mac(2), mac(1), i));
    const other = [frame(mac(2), mac(1)), segment(mac(7), mac(1), 0), segment(BROADCAST_MAC, mac(1), 0)];
    expect(moved([...segments, ...other])).toEqual(segments.slice(-32));
  });

  test('gets them once, and none that is old', () => {
    expect(moved([segment(mac(2), mac(1), 1)], 0, 16_000)).toEqual([]);
    const net = new Net(3);
    net.bridge.announce(net.ports[1]!, mac(2), 0);
    net.send(0, segment(mac(2), mac(1), 1));
    net.got();
    net.bridge.announce(net.ports[2]!, mac(2), 10);
    expect(net.take(net.ports[2]!)).toHaveLength(1);
    net.got();
    net.bridge.announce(net.ports[1]!, mac(2), 20);
    expect(net.take(net.ports[1]!)).toEqual([]);
  });

  test('is one of 64 at most that are remembered', () => {
    const many = Array.from({ length: 64 }, (_, i) => segment(mac(100 + i), mac(1), 0));
    expect(moved([segment(mac(2), mac(1), 1), ...many])).toEqual([]);
  });
});

describe('LearningBridge', () => {
  test('floods what it does not know and forwards what it has heard', () => {
    const net = new Net(3);
    net.send(0, frame(mac(2), mac(1)));
    expect(net.got()).toEqual([0, 1, 1]);
    net.send(1, frame(mac(1), mac(2)));
    expect(net.got()).toEqual([1, 0, 0]);
    net.send(0, frame(mac(2), mac(1)));
    expect(net.got()).toEqual([0, 1, 0]);
    expect(net.bridge.counters).toEqual({ forwarded: 2, flooded: 1, filtered: 0, announcements: 0 });
  });

  test('a broadcast reaches every port but its own, whatever was learned', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(3), fc.nat(5)), { maxLength: 20 }), fc.nat(3), (heard, from) => {
        const net = new Net(4);
        for (const [port, station] of heard) net.send(port, frame(BROADCAST_MAC, mac(station)));
        net.got();
        net.send(from, frame(BROADCAST_MAC, mac(99)));
        expect(net.got()).toEqual([0, 1, 2, 3].map((port) => (port === from ? 0 : 1)));
      }),
    );
  });

  test('filters frames to their own port, with a multicast source, and to reserved addresses', () => {
    const net = new Net(2);
    net.send(0, frame(BROADCAST_MAC, mac(1)));
    net.got();
    net.send(0, frame(mac(1), mac(1)));
    net.send(0, frame(mac(2), BROADCAST_MAC));
    net.send(0, frame(Uint8Array.of(1, 0x80, 0xc2, 0, 0, 0x0f), mac(1)));
    expect(net.got()).toEqual([0, 0]);
    net.send(0, frame(Uint8Array.of(1, 0x80, 0xc2, 0, 0, 0x10), mac(1)));
    expect(net.got()).toEqual([0, 1]);
    expect(net.bridge.counters.filtered).toBe(3);
  });

  test('an announcement moves the MAC at once and reaches the others as a RARP broadcast', () => {
    const net = new Net(3);
    net.send(0, frame(BROADCAST_MAC, mac(1)));
    net.got();
    net.bridge.announce(net.ports[2]!, mac(1), 1);
    const seen = net.take(net.ports[0]!)[0]!;
    expect(Buffer.from(seen).toString('hex')).toBe(
      'ffffffffffff' +
        '020000000001' +
        '8035' +
        '0001080006040003' +
        '020000000001' +
        '00000000' +
        '020000000001' +
        '00000000' +
        '00'.repeat(18),
    );
    expect(net.got()).toEqual([0, 1, 0]);
    net.send(1, frame(mac(1), mac(5)), 2);
    expect(net.got()).toEqual([0, 0, 1]);
  });

  test('a stale frame teaches nothing, goes nowhere and is counted', () => {
    const net = new Net(2);
    net.bridge.refuseStale(net.ports[0]!);
    expect(net.got()).toEqual([0, 0]);
    expect(net.bridge.countersOf(net.ports[0]!)).toEqual({ received: 1, sent: 0, dropped: 0, stale: 1 });
  });

  test('forgets a station after the ageing time and with its cable', () => {
    const net = new Net(3, { ageMs: 1000 });
    net.send(0, frame(BROADCAST_MAC, mac(1)), 0);
    net.got();
    net.send(1, frame(mac(1), mac(2)), 1000);
    expect(net.got()).toEqual([1, 0, 0]);
    net.send(1, frame(mac(1), mac(2)), 1001);
    expect(net.got()).toEqual([1, 0, 1]);
    net.send(0, frame(BROADCAST_MAC, mac(1)), 1002);
    net.got();
    net.bridge.removePort(net.ports[0]!);
    net.send(1, frame(mac(1), mac(2)), 1003);
    expect(net.take(net.ports[2]!)).toHaveLength(1);
  });

  test('forgets the station that was last heard, and the one that was last looked for, as any other', () => {
    const net = new Net(3);
    net.send(0, frame(BROADCAST_MAC, mac(1)));
    net.send(1, frame(mac(1), mac(2)));
    net.got();
    for (const port of [0, 1]) net.bridge.removePort(net.ports[port]!);
    const again = net.bridge.addPort(() => undefined);
    net.send(2, frame(mac(1), mac(3)));
    net.send(2, frame(mac(2), mac(3)));
    expect(net.take(again).length).toBe(2);
    net.bridge.receive(again, frame(mac(3), mac(2)), 0);
    net.send(2, frame(mac(2), mac(3)));
    expect([net.take(again).length, net.take(net.ports[2]!).length]).toEqual([1, 1]);
  });

  test('a full queue drops the newest, others are not disturbed, and ready is told once', () => {
    const net = new Net(3, { queueFramesMax: 2 });
    for (let i = 0; i < 5; i++) net.send(0, frame(BROADCAST_MAC, mac(1), i));
    expect(net.ready).toEqual([0, 1, 1]);
    expect(net.take(net.ports[1]!).map((bytes) => bytes[14])).toEqual([0, 1]);
    net.send(0, frame(BROADCAST_MAC, mac(1), 9));
    expect(net.ready).toEqual([0, 2, 1]);
    expect(net.bridge.countersOf(net.ports[1]!)).toEqual({ received: 0, sent: 2, dropped: 3, stale: 0 });
    expect(net.bridge.countersOf(net.ports[2]!).dropped).toBe(4);
  });

  test('the table is bounded: the station heard longest ago is forgotten', () => {
    const net = new Net(3, { macsMax: 2 });
    for (const station of [1, 2, 1, 3]) net.send(0, frame(BROADCAST_MAC, mac(station)));
    net.got();
    net.send(1, frame(mac(1), mac(3)));
    expect(net.got()).toEqual([1, 0, 0]);
    net.send(1, frame(mac(2), mac(3)));
    expect(net.got()).toEqual([1, 0, 1]);
  });
});
