/**
 * Goal: while it tracks, a copy of a disk tells every block that was written since it was last asked, and one whose write
 * is still under way again the next time; blocks are read and written whole, the last one shorter.
 * Method: a disk in memory; a disk that answers when told to.
 */
import { expect, test } from '@jest/globals';
import type { DiskCompletion, DiskRequest } from '../../../devices/environment.js';
import type { DiskBackend } from '../../../hypervisor/backend/backend.js';
import { MemoryDisk } from '../../../hypervisor/backend/memory-disk.js';
import { OwnDisk } from '../../../hypervisor/backend/own-disk.js';

const BLOCK_SECTORS = 128;
let tag = 0;

function write(sector: number, sectors: number): DiskRequest {
  return {
    drive: 0,
    tag: tag++,
    op: 'write',
    sector,
    bytes: sectors * 512,
    data: new Uint8Array(sectors * 512).fill(7),
  };
}

function done(disk: DiskBackend, request: DiskRequest): Promise<DiskCompletion> {
  return new Promise((resolve) => {
    disk.submit(request, resolve);
  });
}

test('blocks that were written are told once, in order', async () => {
  const disk = new OwnDisk(new MemoryDisk(new Uint8Array(5 * 65536)), 0);
  await done(disk, write(0, 1));
  disk.track(true);
  expect(disk.takeWritten()).toEqual([]);
  await done(disk, write(3 * BLOCK_SECTORS, 1));
  await done(disk, write(2 * BLOCK_SECTORS - 1, 1));
  expect(disk.takeWritten()).toEqual([1, 3]);
  await done(disk, write(BLOCK_SECTORS - 1, BLOCK_SECTORS + 2));
  expect(disk.takeWritten()).toEqual([0, 1, 2]);
  expect(disk.takeWritten()).toEqual([]);
});

test('a block stays written while a write of it is under way, and for once after it', () => {
  const answers: (() => void)[] = [];
  const slow: DiskBackend = {
    sectors: 4 * BLOCK_SECTORS,
    submit: (request, finish) => {
      answers.push(() => {
        finish({ drive: 0, tag: request.tag, status: 'ok', data: new Uint8Array(0) });
      });
    },
    close: () => Promise.resolve(),
  };
  const disk = new OwnDisk(slow, 0);
  disk.submit(write(BLOCK_SECTORS, 1), () => undefined);
  disk.track(true);
  expect(disk.takeWritten()).toEqual([1]);
  expect(disk.takeWritten()).toEqual([1]);
  answers[0]!();
  expect(disk.takeWritten()).toEqual([1]);
  expect(disk.takeWritten()).toEqual([]);
});

test('the last block is as long as the disk has it', async () => {
  const content = Uint8Array.from({ length: 65536 + 1024 }, (_, i) => i % 251);
  const disk = new OwnDisk(new MemoryDisk(content), 0);
  expect(disk.blocks).toBe(2);
  expect(await disk.readBlock(1)).toEqual(content.slice(65536));
  expect(await disk.writeBlock(1, new Uint8Array(1024).fill(1))).toBe(true);
  expect(content.slice(65536)).toEqual(new Uint8Array(1024).fill(1));
});

test('what cannot be read or written is said', async () => {
  const disk = new OwnDisk(new MemoryDisk(new Uint8Array(65536), true), 0);
  expect(await disk.writeBlock(0, new Uint8Array(65536))).toBe(false);
});
