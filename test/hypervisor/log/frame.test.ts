/** Goal: a frame is taken whole or not at all, and only where it continues the log.
 *  Method: golden bytes; every truncation and every single-bit flip of a frame with one entry of each kind; hostile lengths. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { crc32 } from 'node:zlib';
import { DecodeError, InvariantError } from '../../../emulator/errors.js';
import { LogAccount } from '../../../hypervisor/log/account.js';
import type { Entry } from '../../../hypervisor/log/entry.js';
import {
  FRAME_ENTRIES_MAX,
  FRAME_PAYLOAD_BYTES_MAX,
  FrameWriter,
  decodeFrame,
  frameBytes,
} from '../../../hypervisor/log/frame.js';
import { SAMPLE_ENTRIES, arbitraryEntries } from './arbitrary-entries.js';

function frameOf(entries: readonly Entry[], firstSeq = 0): Uint8Array {
  const writer = new FrameWriter({ firstSeq });
  for (const entry of entries) writer.append(entry);
  return writer.flush()!;
}

/** Put a correct length and CRC in front of any payload, as a hostile peer can. */
function sealed(payload: number[]): Uint8Array {
  const bytes = Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, ...payload]);
  bytes.writeUInt32LE(payload.length, 0);
  bytes.writeUInt32LE(crc32(bytes.subarray(8), crc32(bytes.subarray(0, 4))), 4);
  return new Uint8Array(bytes);
}

/** The sample entries from seq 300; changes only with the format's version. */
const GOLDEN =
  '8d0000003247169cac02001700000b0405636c6f636b04686f737452e803ba60801061389d0703207120a107240703010203' +
  '140200235d2b33647158a00765a0860100030503ac0275a08601000404090807062601036c730d27312878563412280a3cff' +
  'ffffff290a802000000000609a93040a00112233445566778899aabbccddeeff0b01096265666f72652dc3a42b01000121';

/** The same of version 1, with the two operations that nothing wrote. */
const GOLDEN_1 =
  '9100000040156de2ac02001900000b0405636c6f636b04686f737452e803ba60801061389d0703207120a107240703010203' +
  '140200235d2b33647158a00765a0860100030503ac0275a08601000404090807062601036c730d27312878563412280a3cff' +
  'ffffff290a802000000000609a93040a00112233445566778899aabbccddeeff0b01096265666f72652dc3a40b020b032b01' +
  '000121';

describe('golden bytes', () => {
  test('the sample entries encode to the same bytes as ever', () => {
    expect(Buffer.from(frameOf(SAMPLE_ENTRIES, 300)).toString('hex')).toBe(GOLDEN);
  });

  test('the golden bytes decode to the sample entries', () => {
    const frame = decodeFrame(Buffer.from(GOLDEN, 'hex'), { seq: 300, at: 0 });
    expect(frame.entries).toEqual(SAMPLE_ENTRIES);
    expect(frame.firstSeq).toBe(300);
    expect(frame.wireBytes).toBe(GOLDEN.length / 2);
  });

  test('a frame of version 1 with an operation that is gone is refused by name', () => {
    const frame = Buffer.from(GOLDEN_1, 'hex');
    expect(() => decodeFrame(frame, { seq: 300, at: 0 })).toThrow('control operation 2 is unknown');
  });
});

describe('a damaged frame is refused', () => {
  const bytes = frameOf(SAMPLE_ENTRIES, 5);

  test('at every truncation', () => {
    for (let length = 0; length < bytes.length; length++) {
      expect(() => decodeFrame(bytes.subarray(0, length), { seq: 5 })).toThrow(DecodeError);
    }
  });

  test('at every single-bit flip', () => {
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const damaged = bytes.slice();
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      expect(() => decodeFrame(damaged, null)).toThrow(DecodeError);
    }
  });

  test('with bytes after it', () => {
    expect(() => decodeFrame(Uint8Array.of(...bytes, 0), { seq: 5 })).toThrow(/trailing-bytes/);
  });
});

describe('a frame that does not continue the log is refused', () => {
  const bytes = frameOf([{ kind: 'mark', at: 9 }], 5);

  test('by its seq', () => {
    expect(() => decodeFrame(bytes, { seq: 4 })).toThrow(/bad-seq/);
    expect(() => decodeFrame(bytes, { seq: 6 })).toThrow(/bad-seq/);
  });

  test('by the icount it continues from', () => {
    expect(() => decodeFrame(bytes, { seq: 5, at: 1 })).toThrow(/bad-icount/);
    expect(decodeFrame(bytes, { seq: 5, at: 0 }).entries).toEqual([{ kind: 'mark', at: 9 }]);
  });
});

describe('hostile payloads with a correct CRC', () => {
  const refused: [string, number[], string][] = [
    ['no entries', [0, 0, 0, 0, 0], 'empty-frame'],
    ['more entries than a frame may have', [0, 0, 0x81, 0x80, 0x04, 0, 0], 'too-large'],
    ['more entries than there are bytes', [0, 0, 100, 0, 0, 0], 'truncated'],
    ['bytes after the last entry', [0, 0, 1, 0, 0, 0, 0], 'trailing-bytes'],
    ['a seq spelt too long', [0x80, 0, 0, 1, 0, 0, 0], 'not-minimal'],
    ['an end within its head', [0, 0, 1], 'truncated'],
  ];
  test.each(refused)('refuses %s', (_what, payload, code) => {
    expect(() => decodeFrame(sealed(payload), null)).toThrow(expect.objectContaining({ code }));
  });

  test('refuses a length of 0 or above 8 MiB before anything is waited for', () => {
    expect(() => frameBytes(Uint8Array.of(0, 0, 0, 0))).toThrow(/empty-frame/);
    expect(() => frameBytes(Uint8Array.of(1, 0, 0x80, 0))).toThrow(/too-large/);
    expect(() => frameBytes(Uint8Array.of(255, 255, 255, 255))).toThrow(/too-large/);
    expect(frameBytes(Uint8Array.of(0, 0, 0x80, 0))).toBe(FRAME_PAYLOAD_BYTES_MAX + 8);
  });

  test('random payloads never do anything but throw a DecodeError or decode', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 255 }), { minLength: 1, maxLength: 60 }), (payload) => {
        try {
          decodeFrame(sealed(payload), null);
        } catch (error) {
          expect(error).toBeInstanceOf(DecodeError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe('FrameWriter', () => {
  test('cut anywhere, the frames give back the entries with their seqs', () => {
    fc.assert(
      fc.property(arbitraryEntries, fc.array(fc.boolean(), { minLength: 40, maxLength: 40 }), (entries, cuts) => {
        const writer = new FrameWriter({ firstSeq: 7 });
        const decoded: Entry[] = [];
        const take = (bytes: Uint8Array | null): void => {
          if (bytes === null) return;
          const frame = decodeFrame(bytes, { seq: 7 + decoded.length, at: decoded.at(-1)?.at ?? 0 });
          decoded.push(...frame.entries);
        };
        entries.forEach((entry, index) => {
          expect(writer.append(entry)).toBe(7 + index);
          if (cuts[index]!) take(writer.flush());
        });
        take(writer.flush());
        expect(decoded).toEqual(entries);
        expect(writer.nextSeq).toBe(7 + entries.length);
      }),
    );
  });

  test('a timer tick per frame still takes 4 bytes: predictions travel in the frame', () => {
    const account = new LogAccount();
    const writer = new FrameWriter({ account });
    for (let tick = 1; tick <= 100; tick++) {
      writer.append({ kind: 'clock', at: tick * 500_000, skipNs: 'deadline', rate: null });
      writer.append({ kind: 'interrupt', at: tick * 500_000, vector: 0x20 });
      writer.flush();
    }
    expect(account.totals(50_000_000).bytesPerInterrupt).toBeLessThan(4.1);
  });

  test('flush returns null when nothing was appended', () => {
    const writer = new FrameWriter();
    expect(writer.flush()).toBeNull();
    writer.append({ kind: 'mark', at: 0 });
    expect(writer.flush()).not.toBeNull();
    expect(writer.flush()).toBeNull();
  });

  test('a flushed frame does not change when more is appended', () => {
    const writer = new FrameWriter();
    writer.append({ kind: 'clock', at: 1, skipNs: 'deadline', rate: null });
    const frame = writer.flush()!;
    const before = frame.slice();
    writer.append({ kind: 'interrupt', at: 1, vector: 0 });
    writer.append({ kind: 'serial', at: 2, data: new Uint8Array(60_000) });
    expect(frame).toEqual(before);
  });

  test('continues a log at a seq and an icount', () => {
    const writer = new FrameWriter({ firstSeq: 10, at: 1000 });
    expect(() => writer.append({ kind: 'mark', at: 999 })).toThrow(InvariantError);
    const next = new FrameWriter({ firstSeq: 10, at: 1000 });
    next.append({ kind: 'mark', at: 1001 });
    expect(decodeFrame(next.flush()!, { seq: 10, at: 1000 }).entries[0]!.at).toBe(1001);
  });

  test('has room for one largest entry, and says when there is none left', () => {
    const writer = new FrameWriter();
    const entry: Entry = { kind: 'disk', at: 0, drive: 0, tag: 1, status: 'ok', data: new Uint8Array(4 << 20) };
    writer.append(entry);
    expect(writer.hasRoom(entry)).toBe(false);
    expect(writer.hasRoom({ kind: 'mark', at: 0 })).toBe(true);
    expect(() => writer.append(entry)).toThrow(InvariantError);
    writer.flush();
    expect(writer.hasRoom(entry)).toBe(true);
  });

  test('takes 65,536 entries and no more', () => {
    const writer = new FrameWriter();
    for (let i = 0; i < FRAME_ENTRIES_MAX; i++) writer.append({ kind: 'mark', at: 0 });
    expect(() => writer.append({ kind: 'mark', at: 0 })).toThrow(InvariantError);
    expect(decodeFrame(writer.flush()!, { seq: 0 }).entries).toHaveLength(FRAME_ENTRIES_MAX);
  });
});
