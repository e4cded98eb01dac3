/**
 * Goal: pooled pieces and borrowed memory are as good as arrays of their own, and what was given back is lent once.
 * Method: many of random sizes are filled with marks of their own and looked at again when all are there.
 */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { borrowedBytes, giveBack, pooledBytes } from '../../emulator/byte-pool.js';

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

test('what is borrowed has the size asked for and overlaps nothing that is not given back', () => {
  const step = fc.record({ bytes: fc.integer({ min: 0, max: 300_000 }), back: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 40 }), (steps) => {
      const held: { readonly bytes: Uint8Array; readonly mark: number }[] = [];
      steps.forEach(({ bytes, back }, i) => {
        const borrowed = borrowedBytes(bytes);
        expect(borrowed.length).toBe(bytes);
        borrowed.fill(i + 1);
        if (back) giveBack(borrowed);
        else held.push({ bytes: borrowed, mark: i + 1 });
      });
      expect(held.every(({ bytes, mark }) => bytes.every((byte) => byte === mark))).toBe(true);
      for (const { bytes } of held) giveBack(bytes);
    }),
  );
});

test('memory given back is lent again, once, and what was not borrowed never', () => {
  const first = borrowedBytes(100_000);
  giveBack(first);
  giveBack(first);
  const [second, third] = [borrowedBytes(100_000), borrowedBytes(100_000)];
  expect(second.buffer).toBe(first.buffer);
  expect(third.buffer).not.toBe(first.buffer);
  const own = new Uint8Array(second.buffer.byteLength);
  giveBack(own);
  expect(borrowedBytes(100_000).buffer).not.toBe(own.buffer);
});
