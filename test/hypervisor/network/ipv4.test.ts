/**
 * Goal: datagrams survive a round trip, carry right checksums, and nothing damaged or truncated is taken.
 * Method: known packets with known checksums; properties over random payloads with every truncation and bit flips.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ConfigError } from '../../../emulator/errors.js';
import { BROADCAST_MAC, ETHERTYPE_IPV4, buildFrame } from '../../../hypervisor/network/ethernet.js';
import { finishChecksum, internetChecksum, sumWordsOf } from '../../../hypervisor/network/internet-checksum.js';
import {
  PROTOCOL_UDP,
  UDP_PAYLOAD_BYTES_MAX,
  decodeIcmpEcho,
  decodeIpv4,
  decodeUdp,
  encodeIcmpEcho,
  encodeIpv4,
  encodeUdp,
  encodeUdpFrame,
  formatIpv4,
  parseIpv4,
  unpadded,
} from '../../../hypervisor/network/ipv4.js';

const A = parseIpv4('--ip', '10.86.0.1');
const B = parseIpv4('--ip', '10.86.0.2');
const MAC = Uint8Array.of(0x52, 0x54, 0, 1, 2, 3);
const payloads = fc.uint8Array({ maxLength: 120 });

function udpPacket(payload: Uint8Array): Uint8Array {
  const udp = encodeUdp(A, B, { sourcePort: 49152, destinationPort: 7, payload });
  return encodeIpv4({ source: A, destination: B, protocol: PROTOCOL_UDP, payload: udp }, 1);
}

describe('addresses', () => {
  test('are parsed, formatted and refused', () => {
    expect(A).toBe(0x0a560001);
    expect(formatIpv4(0xffffff01)).toBe('255.255.255.1');
    for (const text of ['', '1.2.3', '1.2.3.256', '1.2.3.4.5', 'a.b.c.d']) {
      expect(() => parseIpv4('--ip', text)).toThrow(ConfigError);
    }
  });
});

describe('the Internet checksum', () => {
  test('has the value of the example in RFC 1071, section 3', () => {
    expect(internetChecksum(Uint8Array.of(0, 1, 0xf2, 3, 0xf4, 0xf5, 0xf6, 0xf7))).toBe(0xffff - 0xddf2);
  });

  test('is that of its definition, at every length and place', () => {
    fc.assert(
      fc.property(payloads, fc.nat(7), (bytes, offset) => {
        let sum = 0;
        for (let i = 0; i < bytes.length; i++) sum += bytes[i]! * (i % 2 === 0 ? 256 : 1);
        while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
        const elsewhere = Uint8Array.of(...new Uint8Array(offset).fill(0x55), ...bytes, 0x55);
        expect(finishChecksum(sumWordsOf(elsewhere, offset, offset + bytes.length, 0))).toBe(0xffff - sum);
        expect(internetChecksum(bytes)).toBe(0xffff - sum);
      }),
    );
  });

  test('makes the sum of everything zero, at odd lengths too, and does not depend on the order of words', () => {
    fc.assert(
      fc.property(payloads, (bytes) => {
        const padded = bytes.length % 2 === 0 ? bytes : Uint8Array.of(...bytes, 0);
        const checksum = internetChecksum(bytes);
        expect(internetChecksum(Uint8Array.of(...padded, checksum >> 8, checksum & 0xff))).toBe(0);
        expect(internetChecksum(Uint8Array.of(checksum >> 8, checksum & 0xff, ...padded))).toBe(0);
      }),
    );
  });
});

describe('UDP in IPv4', () => {
  test('put into a frame in one pass, it has the bytes that it has step by step, padding included', () => {
    const property = (bytes: Uint8Array): void => {
      const datagram = { sourcePort: 49152, destinationPort: 7, payload: bytes };
      const frame = encodeUdpFrame(A, B, datagram, 1);
      frame.set(MAC, 0);
      frame.set(MAC, 6);
      expect(Buffer.from(frame)).toEqual(Buffer.from(buildFrame(MAC, MAC, ETHERTYPE_IPV4, udpPacket(bytes))));
    };
    fc.assert(fc.property(payloads, property));
    property(new Uint8Array(UDP_PAYLOAD_BYTES_MAX).fill(0xff));
    expect(() => encodeUdpFrame(A, B, { sourcePort: 1, destinationPort: 2, payload: new Uint8Array(1473) }, 1)).toThrow(
      'fits the MTU',
    );
  });

  test('has the documented bytes', () => {
    expect(Buffer.from(udpPacket(Buffer.from('hi'))).toString('hex')).toBe(
      '4500001e00014000' + '401126200a5600010a560002' + 'c0000007000a' + 'c2ba' + '6869',
    );
  });

  test('survives a round trip with any payload, with a frame around it', () => {
    fc.assert(
      fc.property(fc.nat(20), payloads, fc.nat(30), (before, payload, padding) => {
        const frame = Buffer.concat([Buffer.alloc(before, 0x45), udpPacket(payload), Buffer.alloc(padding)]);
        const packet = decodeIpv4(frame, before)!;
        expect([packet.source, packet.destination]).toEqual([A, B]);
        const datagram = decodeUdp(packet)!;
        expect([datagram.sourcePort, datagram.destinationPort]).toEqual([49152, 7]);
        expect(Buffer.compare(datagram.payload, payload)).toBe(0);
      }),
    );
  });

  test('loses the padding of its frame, and other frames stay as they are', () => {
    const short = buildFrame(BROADCAST_MAC, BROADCAST_MAC, ETHERTYPE_IPV4, udpPacket(Buffer.from('abc')));
    expect([short.length, unpadded(short).length]).toEqual([60, 14 + 20 + 8 + 3]);
    const long = buildFrame(BROADCAST_MAC, BROADCAST_MAC, ETHERTYPE_IPV4, udpPacket(Buffer.alloc(500)));
    expect(unpadded(long)).toEqual(long);
    const other = buildFrame(BROADCAST_MAC, BROADCAST_MAC, 0x0806, new Uint8Array(28));
    expect(unpadded(other)).toBe(other);
    const nonsense = buildFrame(BROADCAST_MAC, BROADCAST_MAC, ETHERTYPE_IPV4, new Uint8Array(46));
    for (const frame of [nonsense, nonsense.subarray(0, 14)]) expect(unpadded(frame)).toBe(frame);
  });

  test('no truncation is taken', () => {
    const bytes = udpPacket(Buffer.from('a payload'));
    for (let length = 0; length < bytes.length; length++) expect(decodeIpv4(bytes.subarray(0, length))).toBeNull();
    const packet = decodeIpv4(bytes)!;
    for (let { end } = packet; end-- > packet.start;) expect(decodeUdp({ ...packet, end })).toBeNull();
  });

  test('no single flipped bit is taken unnoticed', () => {
    const bytes = udpPacket(Buffer.from('a payload'));
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const damaged = bytes.slice();
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      const packet = decodeIpv4(damaged);
      expect(packet === null || decodeUdp(packet) === null).toBe(true);
    }
  });

  test('a checksum of zero means none, and a computed zero is sent as ones', () => {
    const bytes = udpPacket(Buffer.from('x'));
    bytes.set([0, 0], 26);
    expect(decodeUdp(decodeIpv4(bytes)!)).not.toBeNull();
    // Payload chosen so that the sum comes out as zero.
    const plain = encodeUdp(A, B, { sourcePort: 1, destinationPort: 2, payload: Uint8Array.of(0, 0) });
    const zero = encodeUdp(A, B, { sourcePort: 1, destinationPort: 2, payload: plain.slice(6, 8) });
    expect([...zero.subarray(6, 8)]).toEqual([0xff, 0xff]);
  });

  test('a fragment, another version and a wrong header length are not taken', () => {
    const fix = (change: (bytes: Uint8Array) => void): Uint8Array => {
      const bytes = udpPacket(Buffer.from('abcd'));
      change(bytes);
      bytes.set([0, 0], 10);
      const checksum = internetChecksum(bytes.subarray(0, 20));
      bytes.set([checksum >> 8, checksum & 0xff], 10);
      return bytes;
    };
    expect(decodeIpv4(fix(() => undefined))).not.toBeNull();
    expect(decodeIpv4(fix((bytes) => (bytes[6] = 0x20)))).toBeNull();
    expect(decodeIpv4(fix((bytes) => (bytes[7] = 1)))).toBeNull();
    expect(decodeIpv4(fix((bytes) => (bytes[0] = 0x65)))).toBeNull();
    expect(decodeIpv4(fix((bytes) => (bytes[0] = 0x44)))).toBeNull();
    expect(decodeIpv4(fix((bytes) => (bytes[3] = 19)))).toBeNull();
  });

  test('random bytes never throw', () => {
    fc.assert(
      fc.property(payloads, (bytes) => {
        const packet = decodeIpv4(bytes);
        if (packet !== null) decodeUdp(packet);
        decodeUdp({ source: A, destination: B, protocol: PROTOCOL_UDP, bytes, start: 0, end: bytes.length });
        decodeIcmpEcho(bytes);
      }),
    );
  });
});

describe('ICMP echo', () => {
  test('survives a round trip, and neither truncations nor flipped bits are taken', () => {
    fc.assert(
      fc.property(payloads, fc.constantFrom('request', 'reply'), fc.nat(0xffff), (data, kind, identifier) => {
        const bytes = encodeIcmpEcho({ kind, identifier, sequence: 9, data });
        const echo = decodeIcmpEcho(bytes)!;
        expect([echo.kind, echo.identifier, echo.sequence]).toEqual([kind, identifier, 9]);
        expect(Buffer.compare(echo.data, data)).toBe(0);
      }),
    );
    const bytes = encodeIcmpEcho({ kind: 'request', identifier: 1, sequence: 2, data: Buffer.from('data') });
    for (let length = 0; length < 8; length++) expect(decodeIcmpEcho(bytes.subarray(0, length))).toBeNull();
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const damaged = bytes.slice();
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      expect(decodeIcmpEcho(damaged)).toBeNull();
    }
  });
});
