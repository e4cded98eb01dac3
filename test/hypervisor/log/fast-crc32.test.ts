/**
 * Goal: the fast CRC-32 is zlib's for all lengths, places in memory and beginnings.
 * Method: the check value of the CRC's definition; random bytes of lengths around the limits of its loops, held against zlib.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { crc32 } from 'node:zlib';
import { fastCrc32 } from '../../../hypervisor/log/fast-crc32.js';

const BYTES = Uint8Array.from({ length: 300_000 }, (_, i) => (Math.imul(i, 2654435761) >>> 13) & 0xff);

describe('CRC-32', () => {
  test('has the check value', () => {
    expect(fastCrc32(new TextEncoder().encode('123456789'))).toBe(0xcbf43926);
  });

  test('is that of zlib', () => {
    const length = fc.oneof(fc.integer({ min: 1000, max: 1400 }), fc.integer({ min: 0, max: BYTES.length - 100 }));
    fc.assert(
      fc.property(length, fc.integer({ min: 0, max: 99 }), fc.integer({ min: 0, max: 0xffff_ffff }), (n, at, crc) => {
        const bytes = BYTES.subarray(at, at + n);
        expect(fastCrc32(bytes, crc)).toBe(crc32(bytes, crc));
      }),
      { numRuns: 1000 },
    );
  });

  test('goes on where another ended', () => {
    expect(fastCrc32(BYTES.subarray(70_001), fastCrc32(BYTES.subarray(0, 70_001)))).toBe(crc32(BYTES));
  });
});
