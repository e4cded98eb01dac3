/**
 * Goal: the messages of a hand-over have the bytes of their format, and anything else is refused.
 * Method: golden bytes; a byte too many.
 */
import { expect, test } from '@jest/globals';
import { DecodeError } from '../../../emulator/errors.js';
import { decodeMessage, encodeMessage } from '../../../hypervisor/channel/messages.js';

test.each([
  ['disk-away', 23],
  ['disk-there', 24],
  ['yield', 25],
] as const)('%s is a byte, and no more', (type, byte) => {
  expect([...encodeMessage({ type })]).toEqual([byte]);
  expect(decodeMessage(Uint8Array.of(byte))).toEqual({ type });
  expect(() => decodeMessage(Uint8Array.of(byte, 0))).toThrow(DecodeError);
});
