/**
 * Goal: writes that touch a common byte are sent again in their order, one after the other; others at once.
 * Method: random lists of writes.
 */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { apart } from '../../../hypervisor/nbd/resend.js';

const write = fc
  .tuple(fc.nat({ max: 300 }), fc.integer({ min: 1, max: 20 }))
  .map(([offset, bytes]) => ({ tag: 0, offset, data: new Uint8Array(bytes) }));

test('the pieces are the list, and within one no two writes touch the same byte', () => {
  fc.assert(
    fc.property(fc.array(write, { maxLength: 200 }), (writes) => {
      const pieces = [...apart(writes)];
      expect(pieces.flat()).toEqual(writes);
      for (const piece of pieces) {
        expect(piece.length).toBeLessThanOrEqual(64);
        const bytes = piece.flatMap(({ offset, data }) => Array.from(data, (_, i) => offset + i));
        expect(new Set(bytes).size).toBe(bytes.length);
      }
    }),
  );
});

test('writes far from each other go together', () => {
  const writes = Array.from({ length: 100 }, (_, i) => ({ tag: i, offset: i * 512, data: new Uint8Array(512) }));
  expect([...apart(writes)].map(({ length }) => length)).toEqual([64, 36]);
});
