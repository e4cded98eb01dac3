/**
 * Goal: every DHCP message survives its encoding; a client's real message is understood; damage is dropped.
 * Method: random messages; golden bytes of a client's discover; options in parts and in the name fields; truncations, random
 * bytes and bit flips.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  OPTION,
  addressOption,
  decodeDhcp,
  encodeDhcp,
  fourBytes,
  type DhcpMessage,
} from '../../../hypervisor/network/dhcp.js';

const address = fc.integer({ min: 0, max: 0xffffffff });
const latin1 = fc
  .uint8Array({ maxLength: 127 })
  .map((bytes) => Buffer.from(bytes.map((byte) => byte || 1)).toString('latin1'));

const messages: fc.Arbitrary<DhcpMessage> = fc.record({
  op: fc.constantFrom('request', 'reply'),
  type: fc.constantFrom('discover', 'offer', 'request', 'decline', 'ack', 'nak', 'release', 'inform'),
  transaction: address,
  seconds: fc.integer({ min: 0, max: 0xffff }),
  broadcast: fc.boolean(),
  clientIp: address,
  yourIp: address,
  nextServerIp: address,
  relayIp: address,
  clientMac: fc.uint8Array({ minLength: 6, maxLength: 6 }),
  bootFile: latin1,
  options: fc
    .uniqueArray(
      fc.tuple(
        fc.integer({ min: 1, max: 254 }).filter((code) => code !== OPTION.messageType && code !== OPTION.overload),
        fc.uint8Array({ maxLength: 600 }),
      ),
      { selector: ([code]) => code, maxLength: 6 },
    )
    .map((entries) => new Map(entries)),
});

/** What the network boot of a virtual PC sends first (RFC 2131, figure 1), cut after the last option that matters. */
const DISCOVER = [
  ...[1, 1, 6, 0, 0x3b, 0x4e, 0x6c, 0x01, 0, 4, 0x80, 0, ...Array<number>(16).fill(0)],
  ...[0x52, 0x54, 0, 0x86, 0, 1, ...Array<number>(10 + 64 + 128).fill(0), 0x63, 0x82, 0x53, 0x63],
  ...[53, 1, 1, 0, 0, 57, 2, 5, 0xc0, 55, 4, 1, 3, 66, 67, 61, 7, 1, 0x52, 0x54, 0, 0x86, 0, 1, 255],
];

/** A message whose options are these bytes. */
function withOptions(options: readonly number[], change?: (bytes: Uint8Array) => void): DhcpMessage | null {
  const bytes = Uint8Array.from([...DISCOVER.slice(0, 240), ...options]);
  change?.(bytes);
  return decodeDhcp(bytes);
}

describe('a DHCP message', () => {
  test('is the same after encoding and decoding', () => {
    fc.assert(
      fc.property(messages, (message) => {
        const bytes = encodeDhcp(message);
        expect(bytes.length).toBeGreaterThanOrEqual(300);
        expect(decodeDhcp(bytes)).toEqual(message);
      }),
    );
  });

  test('of a real client is understood', () => {
    const message = decodeDhcp(Uint8Array.from(DISCOVER));
    expect(message).toMatchObject({ op: 'request', type: 'discover', transaction: 0x3b4e6c01, seconds: 4 });
    expect([message?.broadcast, [...message!.clientMac]]).toEqual([true, [0x52, 0x54, 0, 0x86, 0, 1]]);
    expect([...message!.options.keys()]).toEqual([57, 55, 61]);
  });

  test('may have an option in parts, options in its name fields, and no end mark', () => {
    const inParts = withOptions([53, 1, 3, 50, 2, 10, 86, 0, 50, 2, 0, 200]);
    expect(addressOption(inParts!, OPTION.requestedAddress)).toBe(0x0a5600c8);
    const overloaded = withOptions([52, 1, 3, 255], (bytes) => {
      bytes.set([54, 4, 10, 86, 0, 1, 255], 44);
      bytes.set([53, 1, 3, 255], 108);
    });
    expect([overloaded?.type, overloaded?.bootFile]).toEqual(['request', '']);
    expect(addressOption(overloaded!, OPTION.serverIdentifier)).toBe(0x0a560001);
  });

  test.each([
    ['no message type', [57, 2, 5, 0xc0, 255]],
    ['a message type that does not exist', [53, 1, 9, 255]],
    ['a message type of two bytes', [53, 2, 0, 1, 255]],
    ['an option longer than the message', [53, 1, 1, 61, 200, 1]],
    ['a code without a length', [53, 1, 1, 61]],
  ])('with %s is dropped', (_, options) => {
    expect(withOptions(options)).toBeNull();
  });

  test.each([
    ['is neither request nor reply', 0, 3],
    ['is for another kind of hardware', 1, 6],
    ['has an address of another length', 2, 8],
    ['has no magic number', 236, 0],
  ])('that %s is dropped', (_, at, byte) => {
    expect(withOptions([53, 1, 1, 255], (bytes) => (bytes[at] = byte))).toBeNull();
  });

  test('an address of another length than four bytes is none', () => {
    expect(addressOption(withOptions([53, 1, 3, 50, 3, 10, 86, 0])!, OPTION.requestedAddress)).toBeNull();
    expect([...fourBytes(0xfffefdfc)]).toEqual([0xff, 0xfe, 0xfd, 0xfc]);
  });

  test('truncated, damaged or random never throws', () => {
    const whole = Uint8Array.from(DISCOVER);
    for (let length = 0; length < 243; length++) expect(decodeDhcp(whole.subarray(0, length))).toBeNull();
    for (let bit = 0; bit < whole.length * 8; bit++) {
      const damaged = whole.slice();
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      decodeDhcp(damaged);
    }
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        decodeDhcp(bytes);
        withOptions([...bytes]);
      }),
    );
  });
});
