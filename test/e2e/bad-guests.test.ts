/**
 * Goal: what no machine can start is refused before it runs, in one line with status 2, alone and as a pair; a guest that
 * fails is the guest's: status 1.
 * Method: kernels and ROMs made by hand, one thing wrong with each, through the command line. Pairs are refused by the replica
 * that reads the image, so a process must end and its parent must tell why.
 */
import { describe, expect, test } from '@jest/globals';
import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bzImage } from '../hypervisor/loader/linux-builders.js';
import { ft86, processesWith, withScratch } from './ft86.js';

const KERNEL_64 = 1;
const MIB = 1 << 20;

function damaged(): Uint8Array {
  const kernel = bzImage();
  kernel[kernel.length >> 1]! ^= 1;
  return kernel;
}

/** The files of all cases. */
function writeFiles(folder: string): void {
  const files: Record<string, Uint8Array> = {
    kernel: bzImage(),
    'kernel-64': bzImage({ extendedLoadFlags: KERNEL_64 }),
    'kernel-damaged': damaged(),
    'kernel-cut': bzImage().subarray(0, 3000),
    'kernel-large': bzImage({ runBytes: 256 * MIB }),
    'rom-100000': new Uint8Array(100_000),
    'rom-2m': new Uint8Array(2 * MIB),
    initrd: new Uint8Array(0),
  };
  for (const [name, bytes] of Object.entries(files)) writeFileSync(join(folder, name), bytes);
  truncateSync(join(folder, 'initrd'), 65 * MIB);
}

const CASES: [what: string, args: (file: (name: string) => string) => string[], message: RegExp][] = [
  ['a kernel for 64-bit processors', (file) => [file('kernel-64')], /IMAGE .*kernel-64: must be a 32-bit Linux kernel/],
  ['a damaged bzImage', (file) => [file('kernel-damaged')], /IMAGE .*kernel-damaged: .*checksum .* is wrong/],
  ['half a bzImage', (file) => [file('kernel-cut')], /IMAGE .*kernel-cut: truncated/],
  ['a kernel too large for memory', (file) => [file('kernel-large')], /give more with --memory/],
  [
    'an initrd too large for memory',
    (file) => [file('kernel'), '--initrd', file('initrd')],
    /--initrd 68157440 bytes: must fit into the \d+ bytes of RAM above the kernel; give more with --memory/,
  ],
  ['a BIOS of an odd size', (file) => ['--bios', file('rom-100000')], /--bios .*64 KiB to 1 MiB .*, not 100000/],
  ['a BIOS that is too large', (file) => ['--bios', file('rom-2m')], /--bios .*at most 1048576 bytes/],
];

describe.each(['boot', 'pair'])('%s refuses', (command) => {
  test.each(CASES)(
    '%s',
    async (_what, args, message) => {
      await withScratch(async (folder) => {
        writeFiles(folder);
        const run = await ft86([command, ...args((name) => join(folder, name)), '--memory', '64M', '--json']);
        expect(run.stderr).toMatch(message);
        expect(run.stderr.trim().split('\n')).toHaveLength(1);
        expect({ status: run.status, stdout: run.stdout }).toEqual({ status: 2, stdout: '' });
        expect(processesWith(folder)).toEqual([]);
      });
    },
    30_000,
  );
});

test.each(['boot', 'pair'])(
  '%s ends with a reset when the guest reboots through a BIOS that is not there',
  async (command) => {
    await withScratch(async (folder) => {
      const sector = new Uint8Array(512);
      sector.set([0xea, 0xf0, 0xff, 0x00, 0xf0]); // jmp f000:fff0
      sector.set([0x55, 0xaa], 510);
      writeFileSync(join(folder, 'sector'), sector);
      const run = await ft86([command, join(folder, 'sector'), '--until', '1000000', '--json']);
      expect(JSON.parse(run.stdout)).toMatchObject({ stop: 'reset' });
      expect(run.status).toBe(0);
    });
  },
  30_000,
);

test.each(['boot', 'pair'])('%s ends with status 1 when the guest ends in a triple fault', async (command) => {
  const run = await ft86([command, 'triple', '--json']);
  expect(run.status).toBe(1);
  expect(JSON.parse(run.stdout)).toMatchObject({
    stop: 'triple-fault',
    ...(command === 'pair' && { identical: true }),
  });
});
