/**
 * Goal: the manifest, the Makefile and what was built agree, so that a guest found by name can be started.
 * Method: read all three; look at the bytes a loader looks at.
 */
import { beforeAll, describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '../..');
const MULTIBOOT_MAGIC = 0x1badb002;
const MULTIBOOT_SEARCH_BYTES = 8192;
const SECTOR_BYTES = 512;

interface Guest {
  readonly name: string;
  readonly file: string;
  readonly format: string;
  readonly expectedOutput: readonly string[];
  readonly test?: boolean;
}

const guests = JSON.parse(readFileSync(join(ROOT, 'images/manifest.json'), 'utf8')) as readonly Guest[];

/** Byte offset of the Multiboot header, or -1. */
function findMultibootHeader(image: Buffer): number {
  for (let at = 0; at + 12 <= Math.min(image.length, MULTIBOOT_SEARCH_BYTES); at += 4) {
    const [magic, flags, checksum] = [image.readUInt32LE(at), image.readUInt32LE(at + 4), image.readUInt32LE(at + 8)];
    if (magic === MULTIBOOT_MAGIC && (magic + flags + checksum) % 2 ** 32 === 0) return at;
  }
  return -1;
}

beforeAll(() => {
  execFileSync('make', ['-C', join(ROOT, 'images')], { stdio: 'pipe' });
}, 120_000);

test('the manifest lists what the Makefile builds', () => {
  const listed = execFileSync('make', ['-s', '--no-print-directory', '-C', join(ROOT, 'images'), 'list'], {
    encoding: 'utf8',
  });
  expect(guests.map((guest) => guest.name).sort()).toEqual(listed.trim().split(/\s+/).sort());
});

describe.each(guests.map((guest) => [guest.name, guest] as const))('%s', (_name, guest) => {
  const image = (): Buffer => readFileSync(join(ROOT, 'build/images', guest.file));

  test('has the format the manifest says', () => {
    if (guest.format === 'boot-sector') {
      expect(image().length).toBe(SECTOR_BYTES);
      expect(image().readUInt16LE(SECTOR_BYTES - 2)).toBe(0xaa55);
    } else {
      expect(image().subarray(0, 5)).toEqual(Buffer.from([0x7f, 0x45, 0x4c, 0x46, 1]));
      expect(findMultibootHeader(image())).toBeGreaterThan(0);
    }
  });

  test('keeps code and data on pages of their own', () => {
    if (guest.format === 'boot-sector') return;
    const [code, data] = [programHeader(image(), 0), programHeader(image(), 1)];
    expect(code).toMatchObject({ address: 0x100000, executable: true });
    expect(data.executable).toBe(false);
    expect(data.address % 4096).toBe(0);
    expect(data.address).toBeGreaterThanOrEqual(code.address + code.bytes);
  });

  test('has expected output that is made of regular expressions for whole lines', () => {
    expect(guest.expectedOutput.length).toBeGreaterThan(0);
    for (const line of guest.expectedOutput) expect(() => new RegExp(line)).not.toThrow();
    for (const line of guest.expectedOutput) expect(line).toMatch(/^\^.*\$$/);
  });
});

/** One ELF program header (System V ABI, figure 5-1). */
function programHeader(image: Buffer, index: number): { address: number; bytes: number; executable: boolean } {
  const at = image.readUInt32LE(28) + index * image.readUInt16LE(42);
  return {
    address: image.readUInt32LE(at + 12),
    bytes: image.readUInt32LE(at + 20),
    executable: (image.readUInt32LE(at + 24) & 1) !== 0,
  };
}
