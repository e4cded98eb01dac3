/** Goal: equal states have equal bytes, and only such bytes are accepted.
 *  Method: random trees, field orders shuffled; golden bytes; truncations, bit flips and hostile bytes. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { DecodeError, InvariantError } from '../../emulator/errors.js';
import type { StateRecord, StateValue } from '../../devices/state.js';
import { decodeState, decodeStateRecord, encodeState } from '../../hypervisor/state-codec.js';

const name = fc.string({ unit: 'grapheme', maxLength: 12 }).filter((text) => text !== '__proto__');
const { tree } = fc.letrec<{ tree: StateValue }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 5 },
    fc.maxSafeInteger().map((value) => value + 0),
    fc.nat({ max: 255 }),
    fc.boolean(),
    fc.string({ unit: 'binary' }),
    fc.constant(null),
    fc.uint8Array(),
    fc.array(tie('tree'), { maxLength: 6 }),
    fc.dictionary(name, tie('tree'), { maxKeys: 6, noNullPrototype: true }),
  ),
}));

const SAMPLE: StateRecord = {
  pit: { channels: [{ mode: 2, count: 65535, gate: true }, null], output: false },
  'pic.mask': -1,
  name: 'a ä',
  fifo: Uint8Array.of(1, 2, 255),
};
const GOLDEN =
  '08040466' +
  '69666f06030102ff' +
  '046e616d6505046120c3a4' +
  '087069632e6d61736b0400' +
  '03706974080208' +
  '6368616e6e656c73070208030' +
  '5636f756e7403ffff03' +
  '0467617465' +
  '02' +
  '046d6f64650302' +
  '00' +
  '066f757470757401';

describe('round trip', () => {
  test('gives back random trees', () => {
    fc.assert(
      fc.property(tree, (value) => {
        expect(decodeState(encodeState(value))).toEqual(value);
      }),
    );
  });

  test('the sample encodes to the same bytes as ever', () => {
    expect(Buffer.from(encodeState(SAMPLE)).toString('hex')).toBe(GOLDEN);
    expect(decodeStateRecord(Buffer.from(GOLDEN, 'hex'))).toEqual(SAMPLE);
  });

  test('keeps the edges of the number range, and 0 has one form', () => {
    for (const value of [0, 1, -1, 2 ** 53 - 1, -(2 ** 53 - 1)]) expect(decodeState(encodeState(value))).toBe(value);
    expect(encodeState(-0)).toEqual(encodeState(0));
  });
});

test('the order in which fields were set does not matter', () => {
  const shuffled = (value: StateValue): StateValue => {
    if (Array.isArray(value)) return (value as readonly StateValue[]).map(shuffled);
    if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value;
    const entries = Object.entries(value).map(([key, inner]) => [key, shuffled(inner)] as const);
    return Object.fromEntries(entries.reverse());
  };
  fc.assert(
    fc.property(tree, (value) => {
      expect(encodeState(shuffled(value))).toEqual(encodeState(value));
    }),
  );
});

test('different values have different bytes', () => {
  const values: StateValue[] = [0, false, null, '', new Uint8Array(0), [], {}, '0', [0], { '': 0 }, -1, 1, true];
  expect(new Set(values.map((value) => Buffer.from(encodeState(value)).toString('hex'))).size).toBe(values.length);
});

describe('strictness', () => {
  const bytes = encodeState(SAMPLE);

  test('every truncation is refused', () => {
    for (let length = 0; length < bytes.length; length++) {
      expect(() => decodeState(bytes.subarray(0, length))).toThrow(DecodeError);
    }
  });

  test('a flipped bit is refused or gives another value, which encodes to just these bytes', () => {
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const damaged = bytes.slice();
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      try {
        expect(encodeState(decodeState(damaged))).toEqual(damaged);
      } catch (error) {
        expect(error).toBeInstanceOf(DecodeError);
      }
    }
  });

  const refused: [string, number[], string][] = [
    ['an unknown type', [9], 'bad-state'],
    ['a count above what is there', [7, 0xff, 0xff, 0x7f], 'too-large'],
    ['a length above what is there', [6, 200, 1], 'too-large'],
    ['fields out of order', [8, 2, 1, 0x62, 0, 1, 0x61, 0], 'bad-state'],
    ['a field twice', [8, 2, 1, 0x61, 0, 1, 0x61, 0], 'bad-state'],
    ['a field that would set a prototype', [8, 1, 9, ...Buffer.from('__proto__'), 8, 0], 'bad-state'],
    ['bottomless nesting', Array<number[]>(100).fill([7, 1]).flat().concat(0), 'too-deep'],
    ['bytes after the value', [0, 0], 'trailing-bytes'],
    ['-2^53', [4, 255, 255, 255, 255, 255, 255, 255, 0x0f], 'too-large'],
  ];
  test.each(refused)('refuses %s', (_what, hostile, code) => {
    expect(() => decodeState(Uint8Array.from(hostile))).toThrow(expect.objectContaining({ name: 'DecodeError', code }));
  });

  test('a value that is no record is refused where a record is due, with the offset in its file', () => {
    expect(() => decodeStateRecord(Uint8Array.of(0))).toThrow(DecodeError);
    expect(() => decodeStateRecord(new Uint8Array(0))).toThrow(DecodeError);
    expect(() => decodeStateRecord(Uint8Array.of(8, 1), 500)).toThrow(expect.objectContaining({ offset: 502 }));
  });

  test.each<[string, unknown]>([
    ['a fraction', 0.5],
    ['NaN', NaN],
    ['an unsafe integer', 2 ** 53],
    ['undefined', undefined],
    ['a field that is undefined', { a: undefined }],
    ['a bigint', 1n],
    ['an instance', new Map()],
    ['a lone surrogate', '\udc00'],
  ])('refuses to write %s', (_what, value) => {
    expect(() => encodeState(value as StateValue)).toThrow(InvariantError);
  });

  test('refuses to write a cycle', () => {
    const cycle: StateValue[] = [];
    cycle.push(cycle);
    expect(() => encodeState(cycle)).toThrow(InvariantError);
  });
});
