/** Goal: what is read without waiting is what the file holds, never more than there is room or file for; all else is left to others.
 *  Method: a file that was just written, with a hole beyond 4 GiB. A file system that cannot tell what it has in memory gives nothing. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readCached } from '../../../hypervisor/backend/cached-read.js';

const BYTES = 100_000;
const FAR = 5 * 2 ** 32;
const CONTENT = Uint8Array.from({ length: BYTES }, (_, i) => (i * 7 + (i >> 8)) & 0xff);
const UNTOUCHED = 0xee;

let folder: string;
let file: FileHandle;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ft86-cached-'));
  file = await open(join(folder, 'file'), 'wx+');
  await file.write(CONTENT, 0, BYTES, 0);
  await file.write(CONTENT, 0, 4096, FAR);
});

afterAll(async () => {
  await file.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Read into the middle of a larger buffer; gives how much, and checks what is around it. */
function read(offset: number, bytes: number, expected: Uint8Array): number {
  const around = new Uint8Array(bytes + 64).fill(UNTOUCHED);
  const count = readCached(file.fd, around.subarray(32, 32 + bytes), offset);
  expect(around.subarray(32, 32 + count)).toEqual(expected.subarray(0, count));
  expect(around.subarray(0, 32)).toEqual(new Uint8Array(32).fill(UNTOUCHED));
  expect(around.subarray(32 + count)).toEqual(new Uint8Array(bytes + 32 - count).fill(UNTOUCHED));
  return count;
}

describe('a read without waiting', () => {
  test.each([
    ['the whole', 0, BYTES],
    ['a part', 12_345, 4096],
    ['a part beyond 4 GiB', FAR, 4096],
    ['nothing', 0, 0],
  ])('gives %s or leaves it', (_, offset, bytes) => {
    const count = read(offset, bytes, CONTENT.subarray(offset === FAR ? 0 : offset));
    expect([0, bytes]).toContain(count);
  });

  test('ends where the file ends', () => {
    expect([0, 4096 - 512]).toContain(read(FAR + 512, 4096, CONTENT.subarray(512, 4096)));
    expect(read(FAR + 4096, 512, CONTENT)).toBe(0);
    expect(read(2 ** 52, 512, CONTENT)).toBe(0);
  });

  test('gives nothing where the host says no', async () => {
    const other = await open(join(folder, 'other'), 'w');
    expect(readCached(other.fd, new Uint8Array(512), 0)).toBe(0);
    await other.close();
    expect(readCached(1_000_000, new Uint8Array(512), 0)).toBe(0);
    expect(readCached(file.fd, new Uint8Array(512), -512)).toBe(0);
  });

  test('refuses what is no request', () => {
    expect(() => readCached(file.fd, [] as unknown as Uint8Array, 0)).toThrow('wrong arguments');
    expect(() => readCached('1' as unknown as number, new Uint8Array(1), 0)).toThrow('wrong arguments');
  });
});
