/**
 * Goal: a backup's own read that fails is tried again until it succeeds, said once, and ends when nobody needs it; a copy
 * of its own that cannot be written ends the backup.
 * Method: a disk that fails as often as told.
 */
import { expect, test } from '@jest/globals';
import type { DiskRequest } from '../../../devices/environment.js';
import type { DiskBackend } from '../../../hypervisor/backend/backend.js';
import { OwnDisks } from '../../../tools/replica/backup-disk-host.js';
import { until } from './rig.js';

const READ: DiskRequest = { drive: 0, tag: 5, op: 'read', sector: 8, bytes: 512, data: new Uint8Array(0) };

function failing(times: number): { readonly disk: DiskBackend; readonly tags: number[] } {
  const tags: number[] = [];
  const disk: DiskBackend = {
    sectors: 64,
    submit: ({ drive, tag, op, bytes }, done) => {
      tags.push(tag);
      const ok = tags.length > times;
      const data = new Uint8Array(ok && op === 'read' ? bytes : 0).fill(tags.length);
      setImmediate(() => {
        done({ drive, tag, status: ok ? 'ok' : 'error', data });
      });
    },
    close: () => Promise.resolve(),
  };
  return { disk, tags };
}

test('a read that fails is repeated until it succeeds, under tags that no guest has', async () => {
  const { disk, tags } = failing(3);
  const said: string[] = [];
  const read: Uint8Array[] = [];
  new OwnDisks([disk], (message) => said.push(message)).read(READ, (data) => read.push(data));
  await until(() => read.length > 0, 'the read');
  expect(read).toEqual([new Uint8Array(512).fill(4)]);
  expect(tags).toHaveLength(4);
  expect(tags.every((tag) => tag < 0)).toBe(true);
  expect(new Set(tags).size).toBe(4);
  expect(said).toHaveLength(1);
  expect(said[0]).toMatch(/drive 0, 1 sectors from 8 cannot be read here/);
});

test('a read that nobody needs any more ends', async () => {
  const { disk, tags } = failing(Infinity);
  const stop = new OwnDisks([disk], () => undefined).read(READ, () => {
    throw new Error('it cannot succeed');
  });
  await until(() => tags.length === 2, 'the second attempt');
  stop();
  await new Promise((resolve) => setTimeout(resolve, 250));
  expect(tags).toHaveLength(2);
});

test('a copy that cannot be written is of no use', async () => {
  const disks = new OwnDisks([failing(1).disk], () => undefined);
  disks.perform({ ...READ, op: 'write', data: new Uint8Array(512) });
  await expect(disks.failed).rejects.toThrow(
    /own copy is of no use any more: write of drive 0, 1 sectors from 8 failed/,
  );
});
