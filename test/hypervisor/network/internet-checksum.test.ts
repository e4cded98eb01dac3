/** Goal: sums of words are those of RFC 1071, for every length and wherever the bytes lie in their buffer.
 *  Method: the sum as the RFC words it, one word at a time, and the RFC's own example. */
import { describe, expect, test } from '@jest/globals';
import { finishChecksum, internetChecksum, sumWordsOf } from '../../../hypervisor/network/internet-checksum.js';

function slowSum(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += bytes[i]! * 256 + (bytes[i + 1] ?? 0);
  return sum;
}

describe('sumWordsOf', () => {
  test.each([0, 1, 2, 3])('at offset %i of its buffer, for all lengths up to 70', (offset) => {
    const buffer = Uint8Array.from({ length: 80 }, (_, i) => (i * 151 + 97) & 0xff);
    for (let length = 0; length <= 70; length++) {
      const bytes = buffer.subarray(offset, offset + length);
      expect(sumWordsOf(bytes, 0, length, 5)).toBe(slowSum(bytes) + 5);
      expect(sumWordsOf(buffer, offset, offset + length, 0)).toBe(slowSum(bytes));
    }
  });

  test('the largest words of the largest datagram, onto a large sum', () => {
    const bytes = new Uint8Array(65_535).fill(0xff);
    expect(sumWordsOf(bytes, 0, bytes.length, 2 ** 40)).toBe(slowSum(bytes) + 2 ** 40);
  });

  test('buffers that take turns', () => {
    const [a, b] = [Uint8Array.of(1, 2, 3, 4), Uint8Array.of(5, 6, 7, 8)];
    for (const bytes of [a, b, a, b]) expect(sumWordsOf(bytes, 0, 4, 0)).toBe(slowSum(bytes));
  });
});

test('the example of RFC 1071, section 3: the sum is ddf2', () => {
  const bytes = Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7);
  expect(internetChecksum(bytes)).toBe(0xffff - 0xddf2);
  expect(finishChecksum(0x2ddf0)).toBe(0xffff - 0xddf2);
});
