/**
 * Goal: the messages about copies of disks have the bytes of their format, come out as they went in, and anything else is
 * refused.
 * Method: golden bytes; random messages; random lengths.
 */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { DecodeError } from '../../../emulator/errors.js';
import { BLOCKS_PER_MESSAGE, isCopyMessage, type CopyMessage } from '../../../hypervisor/channel/copy-messages.js';
import { decodeMessage, encodeMessage } from '../../../hypervisor/channel/messages.js';

const digest = Uint8Array.from({ length: 16 }, (_, i) => i);
const GOLDEN: [CopyMessage, string][] = [
  [
    { type: 'digests', drive: 1, first: 0x102, digests: [digest] },
    `100100000002010000${Buffer.from(digest).toString('hex')}`,
  ],
  [{ type: 'wanted', drive: 1, blocks: [3, 5] }, '11010000000300000005000000'],
  [
    { type: 'block', drive: 1, block: 9, data: new Uint8Array(512).fill(0xab) },
    `120100000009000000${'ab'.repeat(512)}`,
  ],
  [{ type: 'blocks-end', number: 7 }, '1307000000'],
  [{ type: 'blocks-stored', number: 7 }, '1407000000'],
];

const u32 = fc.nat({ max: 0xffffffff });
const copyMessages: fc.Arbitrary<CopyMessage> = fc.oneof(
  fc.record({
    type: fc.constant('digests' as const),
    drive: u32,
    first: u32,
    digests: fc.array(fc.uint8Array({ minLength: 16, maxLength: 16 }), { maxLength: 4 }),
  }),
  fc.record({ type: fc.constant('wanted' as const), drive: u32, blocks: fc.array(u32, { maxLength: 9 }) }),
  fc.record({
    type: fc.constant('block' as const),
    drive: u32,
    block: u32,
    data: fc.constantFrom(0, 512, 65536).map((bytes) => new Uint8Array(bytes).fill(3)),
  }),
  fc.record({ type: fc.constant('blocks-end' as const), number: u32 }),
  fc.record({ type: fc.constant('blocks-stored' as const), number: u32 }),
);

/** The same with plain arrays, whatever kind of bytes they are. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return [...value];
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, plain(field)]));
}

function outcome(type: number, bytes: number): string {
  try {
    return decodeMessage(Buffer.concat([Buffer.of(type), Buffer.alloc(bytes)])).type;
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    return error.code;
  }
}

test.each(GOLDEN)('%j has the bytes of its format', (message, bytes) => {
  expect(Buffer.from(encodeMessage(message)).toString('hex')).toBe(bytes);
  expect(plain(decodeMessage(Buffer.from(bytes, 'hex')))).toEqual(plain(message));
  expect(isCopyMessage(message)).toBe(true);
});

test('every message comes out as it went in', () => {
  fc.assert(
    fc.property(copyMessages, (message) => {
      expect(plain(decodeMessage(encodeMessage(message)))).toEqual(plain(message));
    }),
  );
});

test('other messages are none of these', () => {
  expect(isCopyMessage({ type: 'log' })).toBe(false);
});

test.each([
  [16, 8 + 15],
  [16, 7],
  [16, 8 + 16 * (BLOCKS_PER_MESSAGE + 1)],
  [17, 4 + 3],
  [17, 3],
  [17, 4 + 4 * (BLOCKS_PER_MESSAGE + 1)],
  [18, 7],
  [18, 8 + 511],
  [18, 8 + 65536 + 512],
  [19, 3],
  [19, 5],
  [20, 5],
])('type %i with %i bytes is refused', (type, bytes) => {
  expect(outcome(type, bytes)).toBe('bad-length');
});
