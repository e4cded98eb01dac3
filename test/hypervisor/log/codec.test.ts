/** Goal: entries come back as they were, within the byte budgets of docs/formats.md, and nothing else decodes.
 *  Method: random lists, the budgets' own cases, and hostile bytes built by hand. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { DecodeError, InvariantError } from '../../../emulator/errors.js';
import { ByteReader } from '../../../hypervisor/log/bytes.js';
import type { CodecContext } from '../../../hypervisor/log/codec.js';
import {
  DISK_DATA_BYTES_MAX,
  EntryEncoder,
  INITIAL_CONTEXT,
  PACKET_BYTES_MAX,
  SERIAL_BYTES_MAX,
  decodeEntries,
} from '../../../hypervisor/log/codec.js';
import type { Entry } from '../../../hypervisor/log/entry.js';
import { SAMPLE_ENTRIES, arbitraryEntries } from './arbitrary-entries.js';

function encode(entries: readonly Entry[], context?: CodecContext): { bytes: Uint8Array; sizes: number[] } {
  const encoder = new EntryEncoder(context);
  const sizes = entries.map((entry) => encoder.append(entry));
  return { bytes: encoder.writer.copy(), sizes };
}

function decode(bytes: Uint8Array, count: number, context: CodecContext = INITIAL_CONTEXT): Entry[] {
  const reader = new ByteReader(bytes);
  const { entries } = decodeEntries(reader, count, context);
  reader.end();
  return entries;
}

/** Bytes of the last entry, or of the last `count`. */
function costOfLast(entries: readonly Entry[], count = 1): number {
  return encode(entries)
    .sizes.slice(-count)
    .reduce((sum, size) => sum + size, 0);
}

describe('round trip', () => {
  test('gives back one entry of each kind', () => {
    const { bytes, sizes } = encode(SAMPLE_ENTRIES);
    const decoded = decodeEntries(new ByteReader(bytes), SAMPLE_ENTRIES.length, INITIAL_CONTEXT);
    expect(decoded.entries).toEqual(SAMPLE_ENTRIES);
    expect(decoded.sizes).toEqual(sizes);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(bytes.length);
  });

  test('gives back random lists, the context included', () => {
    fc.assert(
      fc.property(arbitraryEntries, (entries) => {
        const encoder = new EntryEncoder();
        for (const entry of entries) encoder.append(entry);
        const decoded = decodeEntries(new ByteReader(encoder.writer.view()), entries.length, INITIAL_CONTEXT);
        expect(decoded.entries).toEqual(entries);
        expect(decoded.context).toEqual(encoder.context);
      }),
    );
  });

  test('reaches icounts up to 2^53 - 1', () => {
    const entries: Entry[] = [
      { kind: 'mark', at: 1 },
      { kind: 'interrupt', at: Number.MAX_SAFE_INTEGER, vector: 8 },
    ];
    expect(decode(encode(entries).bytes, 2)).toEqual(entries);
  });

  test('random bytes that decode encode to the same bytes again', () => {
    let accepted = 0;
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 12 }), fc.integer({ min: 1, max: 6 }), (bytes, count) => {
        let entries: Entry[];
        try {
          entries = decode(bytes, count);
        } catch (error) {
          expect(error).toBeInstanceOf(DecodeError);
          return;
        }
        accepted++;
        expect(encode(entries).bytes).toEqual(bytes);
      }),
      { numRuns: 5000 },
    );
    expect(accepted).toBeGreaterThan(5);
  });
});

describe('budgets', () => {
  const tick = (at: number, vector = 0x20): Entry[] => [
    { kind: 'clock', at, skipNs: 'deadline', rate: null },
    { kind: 'interrupt', at, vector },
  ];

  test('a timer tick with its interrupt takes at most 4 bytes, also between other interrupts', () => {
    expect(costOfLast([...tick(500_000), ...tick(1_000_000)], 2)).toBe(4);
    const other: Entry = { kind: 'interrupt', at: 600_000, vector: 0x2b };
    expect(costOfLast([...tick(500_000), other, ...tick(17_000_000)], 2)).toBe(4);
    expect(costOfLast([...tick(500_000), ...tick(500_000 + 2 ** 24 - 1)], 2)).toBe(4);
  });

  test('an interrupt of the vector before takes at most 4 bytes, another one 5', () => {
    const first: Entry = { kind: 'interrupt', at: 1, vector: 0x20 };
    expect(costOfLast([first, { kind: 'interrupt', at: 500_001, vector: 0x20 }])).toBe(4);
    expect(costOfLast([first, { kind: 'interrupt', at: 500_001, vector: 0x21 }])).toBe(5);
  });

  test('a packet takes at most its length and 8 bytes', () => {
    const data = new Uint8Array(1514);
    expect(costOfLast([{ kind: 'packet', at: 5_000_000, nic: 3, data }])).toBeLessThanOrEqual(data.length + 8);
  });

  test('a disk completion takes at most 8 bytes and its data', () => {
    const entry = { kind: 'disk', at: 5_000_000, drive: 1, tag: 16_000, status: 'ok' } as const;
    expect(costOfLast([{ ...entry, data: new Uint8Array(0) }])).toBeLessThanOrEqual(8);
    const data = new Uint8Array(4096);
    expect(costOfLast([{ ...entry, tag: 9, data }])).toBeLessThanOrEqual(data.length + 8);
  });

  test('40 console bytes take at most 10 bytes, and a flush right after another entry 6', () => {
    const entry = { kind: 'output', channel: 'console', bytes: 40, crc: 0xdeadbeef } as const;
    expect(costOfLast([{ ...entry, at: 5_000_000 }])).toBeLessThanOrEqual(10);
    expect(costOfLast([{ ...entry, at: 0 }])).toBe(6);
  });

  test('a mark after 10 ms takes at most 5 bytes and a digest 16 more', () => {
    expect(costOfLast([{ kind: 'mark', at: 10_000_000 }])).toBe(4);
    expect(costOfLast([{ kind: 'digest', at: 500_000_000, digest: '0'.repeat(32) }])).toBe(21);
  });
});

describe('strictness', () => {
  const refused: [string, number[], number, string][] = [
    ['an unknown kind', [0x0c], 1, 'unknown-kind'],
    ['a flag that its kind does not know', [0x10], 1, 'bad-tag'],
    ['a distance longer than needed', [0x40, 1, 0], 1, 'not-minimal'],
    ['an icount above 2^53 - 1', [0xe0, 255, 255, 255, 255, 255, 255, 255], 1, 'too-large'],
    ['icounts that add up to more than 2^53 - 1', [0xe0, 255, 255, 255, 255, 255, 255, 31, 0x20, 1], 2, 'too-large'],
    ['a predicted vector spelt out', [0x03, 0], 1, 'not-minimal'],
    ['a timer tick in two records', [0x01, 0x13], 2, 'not-minimal'],
    ['a plain deadline in the long form', [0x02, 0], 1, 'not-minimal'],
    ['NIC 0 spelt out', [0x14, 0, 0], 1, 'not-minimal'],
    ['a packet above its limit', [0x04, 0x81, 0x10], 1, 'too-large'],
    ['a serial length above its limit', [0x06, 0x81, 0x80, 0x04], 1, 'too-large'],
    ['disk data above its limit', [0x15, 0, 0, 0x81, 0x80, 0x80, 0x02], 1, 'too-large'],
    ['a drive above its limit', [0x05, 0x80, 0x04, 0], 1, 'too-large'],
    ['empty disk data that is flagged', [0x15, 0, 0, 0], 1, 'not-minimal'],
    ['a failed disk request with data', [0x15, 1, 0, 1, 9], 1, 'bad-entry'],
    ['an unknown control operation', [0x0b, 9], 1, 'unknown-control'],
    ['an unknown reason of a stop', [0x0b, 0, 7, 0], 1, 'bad-entry'],
    ['an exit code above 32 bits', [0x0b, 0, 0, 0x80, 0x80, 0x80, 0x80, 0x10], 1, 'too-large'],
    ['a name above its limit', [0x0b, 1, 0x81, 0x20], 1, 'too-large'],
    ['a name that is not UTF-8', [0x0b, 1, 1, 0xff], 1, 'bad-string'],
    ['an interrupt in the tick record that the count leaves out', [0x11], 1, 'bad-count'],
    ['fewer entries than counted', [0x00], 2, 'truncated'],
    ['more bytes than counted entries', [0x00, 0x00], 1, 'trailing-bytes'],
  ];
  test.each(refused)('refuses %s', (_what, bytes, count, code) => {
    expect(() => decode(Uint8Array.from(bytes), count)).toThrow(expect.objectContaining({ name: 'DecodeError', code }));
  });

  test('accepts each limit itself', () => {
    const entries: Entry[] = [
      { kind: 'packet', at: 0, nic: 255, data: new Uint8Array(PACKET_BYTES_MAX) },
      { kind: 'serial', at: 0, data: new Uint8Array(SERIAL_BYTES_MAX) },
      { kind: 'disk', at: 0, drive: 255, tag: 2 ** 53 - 1, status: 'ok', data: new Uint8Array(DISK_DATA_BYTES_MAX) },
      { kind: 'control', at: 0, control: { op: 'checkpoint', name: 'x'.repeat(4096) } },
    ];
    expect(Buffer.compare(encode(decode(encode(entries).bytes, 4)).bytes, encode(entries).bytes)).toBe(0);
  });

  const wrong: [string, Entry][] = [
    ['an icount that is not an integer', { kind: 'mark', at: 0.5 }],
    ['a vector above a byte', { kind: 'interrupt', at: 0, vector: 256 }],
    ['a packet above its limit', { kind: 'packet', at: 0, nic: 0, data: new Uint8Array(PACKET_BYTES_MAX + 1) }],
    ['serial bytes above their limit', { kind: 'serial', at: 0, data: new Uint8Array(SERIAL_BYTES_MAX + 1) }],
    ['a digest that is not 16 bytes', { kind: 'digest', at: 0, digest: '00' }],
    ['a skip backwards', { kind: 'clock', at: 0, skipNs: -1, rate: null }],
    ['a failed request with data', { kind: 'disk', at: 0, drive: 0, tag: 0, status: 'error', data: new Uint8Array(1) }],
    ['a long name', { kind: 'control', at: 0, control: { op: 'checkpoint', name: 'ä'.repeat(2049) } }],
    ['a negative exit code', { kind: 'control', at: 0, control: { op: 'stop', reason: 'halted', exitCode: -1 } }],
  ];
  test.each(wrong)('refuses to write %s', (_what, entry) => {
    expect(() => encode([entry])).toThrow(InvariantError);
  });

  test('refuses to write an icount that goes back', () => {
    expect(() =>
      encode([
        { kind: 'mark', at: 2 },
        { kind: 'mark', at: 1 },
      ]),
    ).toThrow(InvariantError);
  });
});
