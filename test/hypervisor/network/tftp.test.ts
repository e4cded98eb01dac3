/**
 * Goal: every TFTP packet survives its encoding; real requests are understood; damage is dropped.
 * Method: random packets; golden bytes from the RFCs; truncations and random bytes.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { decodeTftp, encodeTftp, type TftpPacket } from '../../../hypervisor/network/tftp.js';

const text = fc
  .uint8Array({ maxLength: 60 })
  .map((bytes) => Buffer.from(bytes.map((byte) => byte || 1)).toString('latin1'));
const word = fc.stringMatching(/^[a-z0-9/.]+$/);
const short = fc.integer({ min: 0, max: 0xffff });
const options = fc
  .uniqueArray(fc.tuple(word, text), { selector: ([name]) => name, maxLength: 4 })
  .map((entries) => new Map(entries));
const packets: fc.Arbitrary<TftpPacket> = fc
  .oneof(
    fc.record({ kind: fc.constantFrom('read' as const, 'write' as const), name: word, mode: word, options }),
    fc.record({ kind: fc.constant('data' as const), block: short, data: fc.uint8Array({ maxLength: 1468 }) }),
    fc.record({ kind: fc.constant('ack' as const), block: short }),
    fc.record({ kind: fc.constant('error' as const), code: short, text }),
    fc.record({ kind: fc.constant('options' as const), options }),
  )
  .filter((packet) => (packet.kind !== 'read' && packet.kind !== 'write') || encodeTftp(packet).length <= 512);

const bytesOf = (...parts: readonly (number | string)[]): Uint8Array =>
  Uint8Array.from(parts.flatMap((part) => (typeof part === 'number' ? [part] : [...Buffer.from(part, 'latin1')])));

describe('a TFTP packet', () => {
  test('is the same after encoding and decoding', () => {
    fc.assert(fc.property(packets, (packet) => expect(decodeTftp(encodeTftp(packet))).toEqual(packet)));
  });

  test('has the layout of RFC 1350 and 2347', () => {
    const read = bytesOf(0, 1, '/boot.ipxe', 0, 'OCTET', 0, 'BlkSize', 0, '1432', 0, 'tsize', 0, '0', 0);
    expect(decodeTftp(read)).toEqual({
      ...{ kind: 'read', name: '/boot.ipxe', mode: 'octet' },
      options: new Map([
        ['blksize', '1432'],
        ['tsize', '0'],
      ]),
    });
    expect(encodeTftp({ kind: 'data', block: 0x1234, data: Uint8Array.of(9) })).toEqual(bytesOf(0, 3, 0x12, 0x34, 9));
    expect(encodeTftp({ kind: 'ack', block: 0xfffe })).toEqual(bytesOf(0, 4, 0xff, 0xfe));
    expect(encodeTftp({ kind: 'error', code: 5, text: 'who' })).toEqual(bytesOf(0, 5, 0, 5, 'who', 0));
    const taken = new Map([['tsize', '7']]);
    expect(encodeTftp({ kind: 'options', options: taken })).toEqual(bytesOf(0, 6, 'tsize', 0, '7', 0));
  });

  test('takes an option that comes twice as it came first', () => {
    const twice = bytesOf(0, 6, 'tsize', 0, '1', 0, 'TSIZE', 0, '2', 0);
    expect(decodeTftp(twice)).toEqual({ kind: 'options', options: new Map([['tsize', '1']]) });
  });

  test.each([
    ['empty', bytesOf()],
    ['of an unknown kind', bytesOf(0, 7, 0, 0)],
    ['of a kind above 255', bytesOf(1, 1, 'a', 0, 'octet', 0)],
    ['a request without a name', bytesOf(0, 1, 0, 'octet', 0)],
    ['a request without a mode', bytesOf(0, 1, 'a', 0)],
    ['a request that does not end', bytesOf(0, 1, 'a', 0, 'octet')],
    ['a request with an option without a value', bytesOf(0, 1, 'a', 0, 'octet', 0, 'tsize', 0)],
    ['a request with an option without a name', bytesOf(0, 1, 'a', 0, 'octet', 0, 0, '1', 0)],
    ['a request longer than 512 bytes', bytesOf(0, 1, 'a'.repeat(504), 0, 'octet', 0)],
    ['an ack that is too long', bytesOf(0, 4, 0, 1, 0)],
    ['data without a block', bytesOf(0, 3, 0)],
    ['an error without an end', bytesOf(0, 5, 0, 1, 'text')],
    ['an error without a text', bytesOf(0, 5, 0, 1)],
    ['an error with two texts', bytesOf(0, 5, 0, 1, 0, 0)],
  ])('%s is dropped', (_, bytes) => {
    expect(decodeTftp(bytes)).toBeNull();
  });

  test('random or truncated never throws', () => {
    fc.assert(
      fc.property(packets, fc.uint8Array({ maxLength: 600 }), fc.nat(7), (packet, random, kind) => {
        const bytes = encodeTftp(packet);
        for (let length = 0; length < Math.min(bytes.length, 40); length++) decodeTftp(bytes.subarray(0, length));
        decodeTftp(random);
        decodeTftp(Uint8Array.from([0, kind, ...random]));
      }),
    );
  });
});
