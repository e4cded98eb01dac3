/** Goal: a snapshot file gives back the whole state, and a file that is not one, whole, is refused.
 *  Method: files in a temporary directory: written, cut, lengthened, damaged at every bit of the front and of pages. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { ConfigError, DecodeError, InvariantError } from '../../../emulator/errors.js';
import { openSnapshot, readSnapshot, writeSnapshot } from '../../../hypervisor/snapshot/snapshot-file.js';
import type { SnapshotContent } from '../../../hypervisor/snapshot/snapshot.js';
import { PAGE_BYTES } from '../../../hypervisor/snapshot/snapshot.js';
import { sampleContent, sampleRam } from './sample-snapshot.js';

const STORED_PAGES = 3;

let directory: string;
let path: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'ft86-snapshot-'));
  path = join(directory, 'a.ftsnap');
});
afterAll(() => {
  rmSync(directory, { recursive: true });
});

function load(): { content: SnapshotContent; ram: Uint8Array } {
  const file = readSnapshot(path);
  try {
    const { meta, registers, cpuState, devices } = file;
    const ram = new Uint8Array(meta.memoryBytes).fill(0x55);
    file.loadRam(ram);
    return { content: { meta, registers, cpuState, devices }, ram };
  } finally {
    file.close();
  }
}

describe('a whole snapshot', () => {
  test('gives back state and memory, and leaves pages of zeros out', () => {
    const bytes = writeSnapshot(path, sampleContent(), sampleRam());
    expect(load()).toEqual({ content: sampleContent(), ram: sampleRam() });
    expect(statSync(path).size).toBe(bytes);
    expect(bytes % PAGE_BYTES).toBe(0);
    expect(bytes).toBe((1 + STORED_PAGES) * PAGE_BYTES);
    expect(existsSync(`${path}.incomplete`)).toBe(false);
  });

  test('gives single pages on request, null for zeros', () => {
    writeSnapshot(path, sampleContent(), sampleRam());
    const file = readSnapshot(path);
    expect(file.page(0)).toBeNull();
    expect(file.page(9)![4095]).toBe(1);
    expect(file.page(1)).toEqual(new Uint8Array(PAGE_BYTES).fill(0xaa));
    expect(() => file.page(12)).toThrow(InvariantError);
    file.close();
    file.close();
  });

  test('is the same when the pages that may not be zero are named', () => {
    writeSnapshot(path, sampleContent(), sampleRam());
    const all = readFileSync(path);
    const written = [...Array(sampleRam().length / PAGE_BYTES).keys()].filter((page) => page !== 0);
    writeSnapshot(path, sampleContent(), sampleRam(), { written, durable: false });
    expect(readFileSync(path).equals(all)).toBe(true);
  });

  test('can be opened without reading all pages: a damaged one is found when it is asked for', () => {
    writeSnapshot(path, sampleContent(), sampleRam());
    const bytes = readFileSync(path);
    bytes[bytes.length - 1]! ^= 1;
    writeFileSync(path, bytes);
    using file = openSnapshot(path);
    expect(() => {
      file.loadRam(new Uint8Array(file.meta.memoryBytes));
    }).toThrow(DecodeError);
  });

  test('equal states have equal files', () => {
    writeSnapshot(path, sampleContent(), sampleRam());
    const first = readFileSync(path);
    writeSnapshot(path, sampleContent(), sampleRam());
    expect(readFileSync(path).equals(first)).toBe(true);
  });

  test('any pattern of used pages comes back, across chunks', () => {
    const pages = 600;
    fc.assert(
      fc.property(fc.uint8Array({ minLength: pages, maxLength: pages }), fc.boolean(), (fills, dense) => {
        const ram = new Uint8Array(pages * PAGE_BYTES);
        fills.forEach((fill, page) => {
          ram[page * PAGE_BYTES + fill] = dense ? fill | 1 : fill & 3;
        });
        const content = sampleContent();
        writeSnapshot(path, { ...content, meta: { ...content.meta, memoryBytes: ram.length } }, ram);
        expect(Buffer.compare(load().ram, ram)).toBe(0);
      }),
      { numRuns: 8 },
    );
  });

  test('may have no used page at all', () => {
    const ram = new Uint8Array(sampleRam().length);
    expect(writeSnapshot(path, sampleContent(), ram)).toBe(PAGE_BYTES);
    expect(load().ram).toEqual(ram);
  });
});

describe('a damaged snapshot', () => {
  /** Write the sample and return its bytes; `change` may damage a copy. */
  function refuses(change: (bytes: Buffer) => unknown, expected: unknown = DecodeError): void {
    const copy = Buffer.from(whole);
    const changed = change(copy);
    writeFileSync(path, changed instanceof Uint8Array ? changed : copy);
    expect(() => readSnapshot(path)).toThrow(expected);
  }
  let whole: Buffer;
  beforeAll(() => {
    writeSnapshot(path, sampleContent(), sampleRam());
    whole = readFileSync(path);
  });

  test('is refused at every single-bit flip of the front and of some of the pages', () => {
    const flip = (bit: number): void =>
      refuses((bytes) => {
        bytes[bit >> 3]! ^= 1 << (bit & 7);
      });
    for (let bit = 0; bit < frontBytes() * 8; bit++) flip(bit);
    for (let bit = frontBytes() * 8; bit < whole.length * 8; bit += 997) flip(bit);
  });

  test('is refused when cut anywhere, naming both sizes', () => {
    for (let length = 0; length < frontBytes(); length++) refuses((bytes) => bytes.subarray(0, length));
    for (let length = frontBytes(); length < whole.length; length += 501) refuses((bytes) => bytes.subarray(0, length));
    refuses((bytes) => bytes.subarray(0, -1), /a snapshot of 16384 bytes has 16383 \(truncated/);
  });

  test('is refused with bytes after its end', () => {
    refuses((bytes) => Buffer.concat([bytes, Buffer.of(0)]), /trailing-bytes/);
  });

  /** Change the head and give it the CRC that belongs to it. */
  function resealed(change: (bytes: Buffer) => void): (bytes: Buffer) => void {
    return (bytes) => {
      change(bytes);
      bytes.writeUInt32LE(crc32(bytes.subarray(0, 60)), 60);
    };
  }

  test('is refused by another magic and another version', () => {
    refuses((bytes) => void bytes.write('ELF', 0), /not an ft86 snapshot/);
    refuses(
      resealed((bytes) => void bytes.writeUInt32LE(9, 8)),
      'snapshot format version 9; this ft86 reads version 1',
    );
  });

  test('is refused with hostile lengths before they are used', () => {
    for (let section = 0; section < 5; section++) {
      refuses(
        resealed((bytes) => void bytes.writeUInt32LE(0xfffff000, 16 + section * 8)),
        /too-large/,
      );
    }
    refuses(
      resealed((bytes) => void bytes.writeUInt32LE(0xffffffff, 56)),
      /truncated/,
    );
    refuses(
      resealed((bytes) => void bytes.writeUInt32LE(2, 56)),
      /trailing-bytes/,
    );
  });

  test('is refused when a page of zeros is stored', () => {
    const at = whole.length - PAGE_BYTES;
    refuses((bytes) => {
      bytes.fill(0, at);
      const mapAt = frontSections(bytes)[4]!;
      bytes.writeUInt32LE(crc32(bytes.subarray(at)), mapAt.start + mapAt.bytes - 4);
      bytes.writeUInt32LE(crc32(bytes.subarray(mapAt.start, mapAt.start + mapAt.bytes)), 16 + 4 * 8 + 4);
      resealed(() => undefined)(bytes);
    }, /zero-page/);
  });

  test('is refused when the page map marks more pages than are stored', () => {
    refuses((bytes) => {
      const mapAt = frontSections(bytes)[4]!;
      bytes[mapAt.start]! |= 1;
      bytes.writeUInt32LE(crc32(bytes.subarray(mapAt.start, mapAt.start + mapAt.bytes)), 16 + 4 * 8 + 4);
      resealed(() => undefined)(bytes);
    }, /bad-page-map/);
  });

  /** Bytes before the padding. */
  function frontBytes(): number {
    const last = frontSections(whole)[4]!;
    return last.start + last.bytes;
  }

  function frontSections(bytes: Buffer): { start: number; bytes: number }[] {
    let start = 64;
    return [0, 1, 2, 3, 4].map((section) => {
      const length = bytes.readUInt32LE(16 + section * 8);
      start += length;
      return { start: start - length, bytes: length };
    });
  }
});

describe('paths', () => {
  test('a missing file, a directory and a directory that is not there are refused in one line', () => {
    expect(() => readSnapshot(join(directory, 'none'))).toThrow(ConfigError);
    expect(() => readSnapshot(directory)).toThrow(ConfigError);
    expect(() => writeSnapshot(join(directory, 'none', 'a'), sampleContent(), sampleRam())).toThrow(ConfigError);
  });

  test('another kind of file is not overwritten', () => {
    const other = join(directory, 'disk.img');
    writeFileSync(other, 'data');
    expect(() => writeSnapshot(other, sampleContent(), sampleRam())).toThrow(ConfigError);
    expect(readFileSync(other, 'utf8')).toBe('data');
  });

  test('what could not be written leaves neither a snapshot nor an incomplete one', () => {
    const blocked = join(directory, 'b.ftsnap');
    mkdirSync(`${blocked}.incomplete`);
    expect(() => writeSnapshot(blocked, sampleContent(), sampleRam())).toThrow(ConfigError);
    expect(existsSync(blocked)).toBe(false);
    // A name of 250 bytes is allowed; with `.incomplete` it is too long.
    const long = join(directory, 'x'.repeat(250));
    expect(() => writeSnapshot(long, sampleContent(), sampleRam())).toThrow(ConfigError);
  });
});

test('a state that breaks the format is refused before anything is written', () => {
  const content = sampleContent();
  const other = join(directory, 'c.ftsnap');
  for (const wrong of [
    { ...content, meta: { ...content.meta, digest: 'x' } },
    { ...content, meta: { ...content.meta, memoryBytes: 4096 } },
    { ...content, registers: { cs: { base: 1 } } as never },
  ]) {
    expect(() => writeSnapshot(other, wrong, sampleRam())).toThrow(InvariantError);
  }
  expect(existsSync(other)).toBe(false);
});
