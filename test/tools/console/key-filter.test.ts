/**
 * Goal: every key reaches the guest but the two that are ft86's own.
 * Method: each escape, whole and cut in the middle.
 */
import { expect, test } from '@jest/globals';
import { KeyFilter } from '../../../tools/console/key-filter.js';

function take(...pieces: string[]): { text: string; end: boolean } {
  const filter = new KeyFilter();
  const parts = pieces.map((piece) => filter.take(Buffer.from(piece, 'latin1')));
  const text = parts.map(({ bytes }) => Buffer.from(bytes).toString('latin1')).join('');
  return { text, end: parts.some((part) => part.end) };
}

test.each([
  [['ls\r\x03\x04\x1b[A'], 'ls\r\x03\x04\x1b[A', false],
  [['a\x01xb'], 'a', true],
  [['a\x01', 'x'], 'a', true],
  [['\x01a\x01\x01x'], '\x01\x01x', false],
  [['\x01', '\x01'], '\x01', false],
  [['a\x01qb'], 'ab', false],
])('%j gives the guest %j', (pieces, text, end) => {
  expect(take(...pieces)).toEqual({ text, end });
});
