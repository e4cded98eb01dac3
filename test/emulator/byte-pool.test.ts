/**
 * Goal: pooled pieces are as good as arrays of their own.
 * Method: many of random sizes are filled with marks of their own and looked at again when all are there.
 */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { pooledBytes } from '../../emulator/byte-pool.js';

test('pieces have the size asked for and overlap nothing', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 10_000 }), { minLength: 1, maxLength: 50 }), (sizes) => {
      const pieces = sizes.map((size) => pooledBytes(size));
      expect(pieces.map(({ length }) => length)).toEqual(sizes);
      pieces.forEach((piece, i) => piece.fill(i + 1));
      expect(pieces.every((piece, i) => piece.every((byte) => byte === i + 1))).toBe(true);
    }),
  );
});
