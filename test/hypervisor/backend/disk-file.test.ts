/**
 * Goal: a file disk does what the guest asked, in an order that never mixes overlapping requests, and turns every
 * failure of the host into an error status.
 * Method: real files in a scratch directory; random request streams compared with an array in memory.
 */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { mkdtemp, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DiskCompletion, DiskRequest } from '../../../devices/environment.js';
import { ConfigError, InvariantError } from '../../../emulator/errors.js';
import type { DiskBackend } from '../../../hypervisor/backend/backend.js';
import { DiskFile } from '../../../hypervisor/backend/disk-file.js';
import { MemoryDisk } from '../../../hypervisor/backend/memory-disk.js';

const EMPTY = new Uint8Array(0);
const SECTORS = 16;
let directory: string;
let path: string;
let nextTag = 0;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ft86-disk-'));
  path = join(directory, 'disk.img');
  await writeFile(path, new Uint8Array(SECTORS * 512));
});
afterEach(async () => {
  await rm(directory, { recursive: true });
});

function request(op: DiskRequest['op'], sector = 0, data: number | Uint8Array = 0): DiskRequest {
  const bytes = typeof data === 'number' ? data : data.length;
  return { drive: 1, tag: nextTag++, op, sector, bytes, data: op === 'write' ? (data as Uint8Array) : EMPTY };
}

function run(disk: DiskBackend, what: DiskRequest): Promise<DiskCompletion> {
  return new Promise((resolve) => {
    disk.submit(what, resolve);
  });
}

function block(byte: number, sectors = 1): Uint8Array {
  return new Uint8Array(sectors * 512).fill(byte);
}

describe('a file disk', () => {
  test('writes, reads back and flushes; the file holds the sectors', async () => {
    const disk = await DiskFile.open(path, { readonly: false });
    const write = request('write', 3, block(7, 2));
    expect(disk.sectors).toBe(SECTORS);
    expect(await run(disk, write)).toEqual({ drive: 1, tag: write.tag, status: 'ok', data: EMPTY });
    expect((await run(disk, request('read', 4, 1024))).data).toEqual(Uint8Array.from([...block(7), ...block(0)]));
    expect((await run(disk, request('flush'))).status).toBe('ok');
    await disk.close();
    expect((await readFile(path)).subarray(3 * 512, 5 * 512).every((byte) => byte === 7)).toBe(true);
  });

  test('never answers from inside submit', async () => {
    const disk = await DiskFile.open(path, { readonly: false });
    let answered = false;
    disk.submit(request('flush'), () => {
      answered = true;
    });
    expect(answered).toBe(false);
    await disk.close();
    expect(answered).toBe(true);
  });

  test('close waits for every request in flight and refuses later ones', async () => {
    const disk = await DiskFile.open(path, { readonly: false });
    let answers = 0;
    for (let i = 0; i < 50; i++) disk.submit(request('write', 5, block(i)), () => answers++);
    await disk.close();
    await disk.close();
    expect(answers).toBe(50);
    expect((await readFile(path))[5 * 512]).toBe(49);
    expect(() => {
      disk.submit(request('flush'), () => undefined);
    }).toThrow(InvariantError);
  });

  test('creates a new disk of zeros, but never over an existing file', async () => {
    const fresh = join(directory, 'new.img');
    const disk = await DiskFile.open(fresh, { readonly: false, createSectors: 8 });
    expect(disk.sectors).toBe(8);
    await disk.close();
    expect((await stat(fresh)).size).toBe(4096);
    const again = DiskFile.open(path, { readonly: false, createSectors: 8 });
    await expect(again).rejects.toThrow(/must be a new file/);
    expect((await stat(path)).size).toBe(SECTORS * 512);
  });

  test.each([0, 511, 513])('a file of %i bytes is refused', async (bytes) => {
    await truncate(path, bytes);
    await expect(DiskFile.open(path, { readonly: false })).rejects.toThrow(ConfigError);
    await expect(DiskFile.open(path, { readonly: false })).rejects.toThrow(`disk file ${path}: has ${bytes} bytes`);
  });

  test('a missing file and a directory are refused by name', async () => {
    await expect(DiskFile.open(`${path}x`, { readonly: false })).rejects.toThrow(`disk file ${path}x: must be`);
    await expect(DiskFile.open(directory, { readonly: true })).rejects.toThrow('must be a regular file');
  });
});

describe('what the host cannot do is an error status, told once', () => {
  async function failing(disk: DiskFile, what: DiskRequest): Promise<void> {
    expect(await run(disk, what)).toEqual({ drive: 1, tag: what.tag, status: 'error', data: EMPTY });
  }

  test('sectors that the disk does not have', async () => {
    const errors: string[] = [];
    const disk = await DiskFile.open(path, { readonly: false, onError: (error) => errors.push(error.message) });
    await failing(disk, request('read', SECTORS, 512));
    await failing(disk, request('read', SECTORS - 1, 1024));
    await failing(disk, request('write', 2 ** 40, block(1)));
    expect((await stat(path)).size).toBe(SECTORS * 512);
    expect(errors).toHaveLength(3);
    expect(errors[0]).toContain('read of 512 bytes at sector 16 failed: the disk has only 16 sectors');
    await disk.close();
  });

  test('a file cut short while in use, which stays short', async () => {
    const disk = await DiskFile.open(path, { readonly: false });
    await truncate(path, 512 * 4);
    await failing(disk, request('read', 3, 1024));
    await failing(disk, request('write', 3, block(1, 2)));
    expect((await run(disk, request('read', 3, 512))).status).toBe('ok');
    expect((await stat(path)).size).toBe(512 * 4);
    await disk.close();
  });

  test('writes to a read-only disk', async () => {
    const disk = await DiskFile.open(path, { readonly: true });
    await failing(disk, request('write', 0, block(1)));
    expect((await run(disk, request('flush'))).status).toBe('ok');
    await disk.close();
    expect((await readFile(path)).every((byte) => byte === 0)).toBe(true);
  });
});

describe('a broken promise of a device is caught', () => {
  test.each<[string, Partial<DiskRequest>]>([
    ['half a sector', { op: 'read', bytes: 256 }],
    ['a negative sector', { op: 'read', sector: -1, bytes: 512 }],
    ['a write without its data', { op: 'write', bytes: 512 }],
    ['a read with data', { op: 'read', bytes: 512, data: block(0) }],
  ])('%s', async (_what, wrong) => {
    const disk = await DiskFile.open(path, { readonly: false });
    expect(() => {
      disk.submit({ ...request('flush'), ...wrong }, () => undefined);
    }).toThrow(InvariantError);
    await disk.close();
  });

  test('a tag that is still in use', async () => {
    const disk = await DiskFile.open(path, { readonly: false });
    const first = request('write', 0, block(1));
    disk.submit(first, () => undefined);
    expect(() => {
      disk.submit({ ...first, sector: 8 }, () => undefined);
    }).toThrow(/already in use/);
    await disk.close();
  });
});

const requestKinds = fc.record({
  op: fc.constantFrom<DiskRequest['op']>('read', 'write', 'write', 'flush'),
  sector: fc.nat(SECTORS - 1),
  sectors: fc.integer({ min: 1, max: 4 }),
});

test.each(['file', 'memory'])('a %s disk: every read sees exactly the writes before it', async (kind) => {
  await fc.assert(
    fc.asyncProperty(fc.array(requestKinds, { minLength: 1, maxLength: 40 }), async (steps) => {
      await writeFile(path, new Uint8Array(SECTORS * 512));
      const memory = new MemoryDisk(new Uint8Array(SECTORS * 512));
      const disk = kind === 'file' ? await DiskFile.open(path, { readonly: false }) : memory;
      const model = new Uint8Array(SECTORS * 512);
      const expected: DiskCompletion[] = [];
      const actual = new Map<number, DiskCompletion>();
      steps.forEach(({ op, sector, sectors }, index) => {
        const start = sector * 512;
        const count = Math.min(sectors, SECTORS - sector);
        const what = request(op, op === 'flush' ? 0 : sector, op === 'write' ? block(index + 1, count) : count * 512);
        const asked = op === 'flush' ? { ...what, bytes: 0 } : what;
        if (op === 'write') model.set(what.data, start);
        const data = op === 'read' ? model.slice(start, start + count * 512) : EMPTY;
        expected.push({ drive: 1, tag: what.tag, status: 'ok', data });
        disk.submit(asked, (completion) => actual.set(completion.tag, completion));
      });
      await disk.close();
      expect(expected.map(({ tag }) => actual.get(tag))).toEqual(expected);
      expect(kind === 'file' ? new Uint8Array(await readFile(path)) : memory.content).toEqual(model);
    }),
    { numRuns: 40 },
  );
});

test('a memory disk refuses sectors it does not have, and writes when read-only', async () => {
  const disk = new MemoryDisk(new Uint8Array(1024), true);
  expect((await run(disk, request('read', 1, 1024))).status).toBe('error');
  expect((await run(disk, request('write', 0, block(1)))).status).toBe('error');
  await disk.close();
});
