/** Goal: every value has exactly one spelling, and the reader accepts no other.
 *  Method: round trips at the edges of each length and at random; hand-made wrong spellings. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { DecodeError, InvariantError } from '../../../emulator/errors.js';
import { ByteReader, ByteWriter, VARINT_BYTES_MAX } from '../../../hypervisor/log/bytes.js';

const EDGES = [0, 1, 127, 128, 255, 256, 16383, 16384, 0x7fffffff, 0x80000000, 0xffffffff, 2 ** 40, 2 ** 53 - 1];

function write(action: (writer: ByteWriter) => void): Uint8Array {
  const writer = new ByteWriter(1);
  action(writer);
  return writer.copy();
}

describe('varint', () => {
  test('gives back every number up to 2^53 - 1 in at most 8 bytes', () => {
    const check = (value: number): void => {
      const bytes = write((writer) => writer.varint(value));
      expect(bytes.length).toBeLessThanOrEqual(VARINT_BYTES_MAX);
      const reader = new ByteReader(bytes);
      expect(reader.varint()).toBe(value);
      reader.end();
    };
    EDGES.forEach(check);
    fc.assert(fc.property(fc.maxSafeNat(), check));
  });

  test('takes one byte below 128 and three below 2^21', () => {
    expect(write((writer) => writer.varint(127))).toHaveLength(1);
    expect(write((writer) => writer.varint(500_000))).toEqual(Uint8Array.of(0xa0, 0xc2, 0x1e));
  });

  test('is refused when longer than needed, above 2^53 - 1 or cut', () => {
    for (const bytes of [
      [0x80, 0x00],
      [0xff, 0x80, 0x00],
      new Array<number>(8).fill(0xff),
      [...new Array<number>(7).fill(0xff), 0x10],
      [0x80],
      [],
    ]) {
      expect(() => new ByteReader(Uint8Array.from(bytes)).varint()).toThrow(DecodeError);
    }
  });

  test('refuses to write what it cannot hold', () => {
    for (const value of [-1, 0.5, 2 ** 53, NaN, Infinity]) {
      expect(() => write((writer) => writer.varint(value))).toThrow(InvariantError);
    }
  });
});

describe('trimmed number', () => {
  test('gives back every number in as few whole bytes as it needs', () => {
    const check = (value: number): void => {
      const writer = new ByteWriter(1);
      const count = writer.trimmed(value);
      expect(count).toBe(value === 0 ? 0 : Math.ceil(value.toString(16).length / 2));
      expect(new ByteReader(writer.view()).trimmed(count)).toBe(value);
    };
    EDGES.forEach(check);
    fc.assert(fc.property(fc.maxSafeNat(), check));
  });

  test('is refused with a high zero byte or above 2^53 - 1', () => {
    expect(() => new ByteReader(Uint8Array.of(1, 0)).trimmed(2)).toThrow(/not-minimal/);
    expect(() => new ByteReader(new Uint8Array(7).fill(0xff)).trimmed(7)).toThrow(/too-large/);
  });
});

describe('string', () => {
  test('gives back any well-formed text, a byte order mark included', () => {
    const check = (text: string): void => {
      expect(new ByteReader(write((writer) => writer.string(text))).string(1 << 20, 'a text')).toBe(text);
    };
    ['', 'pit', '\ufeffx', 'ä'.repeat(40), 'x'.repeat(1000)].forEach(check);
    fc.assert(fc.property(fc.string({ unit: 'binary' }), check));
  });

  test('is refused when it is not UTF-8 or too long, and not written with a lone surrogate', () => {
    expect(() => new ByteReader(Uint8Array.of(2, 0xc0, 0x80)).string(10, 'a text')).toThrow(/bad-string/);
    expect(() => new ByteReader(Uint8Array.of(3, 1, 2, 3)).string(2, 'a text')).toThrow(/too-large/);
    expect(() => write((writer) => writer.string('\ud800'))).toThrow(InvariantError);
  });
});

test('a reader names the offset in the file and never reads beyond its end', () => {
  const reader = new ByteReader(Uint8Array.of(1, 2, 3), 1, 100);
  expect(reader.u8()).toBe(2);
  expect(() => reader.u32()).toThrow(expect.objectContaining({ code: 'truncated', offset: 102 }));
  expect(() => reader.bytes(2)).toThrow(DecodeError);
  expect(() => reader.end()).toThrow(/trailing-bytes/);
});

test('bytes that were read are a private copy', () => {
  const source = Uint8Array.of(1, 2, 3);
  const copy = new ByteReader(source).bytes(3);
  source.fill(0);
  expect(copy).toEqual(Uint8Array.of(1, 2, 3));
});
