/**
 * Goal: a guest that looks for an IPv6 router is told that there is none; nothing else is answered.
 * Method: a solicitation as Linux sends it; every bit of it flipped, every truncation, random bytes.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { answerSolicitation } from '../../../hypervisor/network/router-advertisement.js';

const OWN = Uint8Array.of(0x02, 0x86, 0, 0, 0, 1);
const GUEST = Uint8Array.of(0x52, 0x54, 0, 0x86, 0, 1);
const FE80 = [0xfe, 0x80, 0, 0, 0, 0, 0, 0];
const GUEST_IP = [...FE80, 0x50, 0x54, 0, 0xff, 0xfe, 0x86, 0, 1];
const OWN_IP = [...FE80, 0, 0x86, 0, 0xff, 0xfe, 0, 0, 1];
const ALL_ROUTERS = [0xff, 2, ...Array<number>(13).fill(0), 2];
const ALL_NODES = [0xff, 2, ...Array<number>(13).fill(0), 1];

/** One's complement sum over the message and its pseudo header, written down independently of the product's. */
function sum(packet: Uint8Array): number {
  const bytes = [...packet.subarray(8), 0, 0, 0, packet.length - 40, 0, 0, 0, 58];
  let total = 0;
  for (let i = 0; i < bytes.length; i += 2) total += (bytes[i]! << 8) | bytes[i + 1]!;
  while (total > 0xffff) total = (total & 0xffff) + (total >> 16);
  return total;
}

function solicitation(source: readonly number[], option: readonly number[] = [1, 1, ...GUEST]): Uint8Array {
  const body = [133, 0, 0, 0, 0, 0, 0, 0, ...option];
  const packet = Uint8Array.from([0x60, 0, 0, 0, 0, body.length, 58, 255, ...source, ...ALL_ROUTERS, ...body]);
  const checksum = 0xffff - sum(packet);
  packet.set([checksum >> 8, checksum & 0xff], 42);
  return packet;
}

describe('a router solicitation', () => {
  test('is answered to the guest: no router, no prefix, from the link-local address', () => {
    const answer = answerSolicitation(solicitation(GUEST_IP), GUEST, OWN)!;
    expect([...answer.mac]).toEqual([...GUEST]);
    const { packet } = answer;
    expect([...packet.subarray(0, 8)]).toEqual([0x60, 0, 0, 0, 0, 24, 58, 255]);
    expect([...packet.subarray(8, 40)]).toEqual([...OWN_IP, ...GUEST_IP]);
    expect([...packet.subarray(40, 42), ...packet.subarray(44)]).toEqual([
      ...[134, 0, 64, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
      ...[1, 1, ...OWN],
    ]);
    expect(sum(packet)).toBe(0xffff);
  });

  test('of a guest without an address is answered to all', () => {
    const answer = answerSolicitation(solicitation(Array<number>(16).fill(0), []), GUEST, OWN)!;
    expect([...answer.mac]).toEqual([0x33, 0x33, 0, 0, 0, 1]);
    expect([...answer.packet.subarray(24, 40)]).toEqual(ALL_NODES);
    expect(sum(answer.packet)).toBe(0xffff);
  });

  test('may be followed by padding', () => {
    expect(answerSolicitation(Uint8Array.from([...solicitation(GUEST_IP), 0, 0, 7]), GUEST, OWN)).not.toBeNull();
  });

  test('is none when any bit of its message or its addresses is wrong, or when it is short', () => {
    const whole = solicitation(GUEST_IP);
    for (let length = 0; length < whole.length; length++) {
      expect(answerSolicitation(whole.subarray(0, length), GUEST, OWN)).toBeNull();
    }
    // Class and flow are not checked.
    for (let bit = 4 * 8; bit < whole.length * 8; bit++) {
      const damaged = whole.slice();
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      expect(answerSolicitation(damaged, GUEST, OWN)).toBeNull();
    }
  });

  test('random packets never throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        answerSolicitation(bytes, GUEST, OWN);
        answerSolicitation(Uint8Array.from([0x60, 0, 0, 0, 0, 8, 58, 255, ...bytes]), GUEST, OWN);
      }),
    );
  });
});
