/**
 * Goal: requests that race (on the same sectors, on a buffer that the guest touches meanwhile, a flush behind writes) happen
 * in one order, the same on both replicas, however they have the disk, and over a take-over.
 * Method: the guest `ledger` with race=on: reads and writes of four slots, eight in flight, buffers overwritten at the
 * doorbell and looked at before the answer; it verifies each read, and the replicas' final states are compared.
 */
import { expect, test } from '@jest/globals';
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkLedger } from '../../tools/soak/check-ledger.js';
import { ft86, withScratch } from './ft86.js';

const RECORDS = 800;
const append = ['--append', `race=on records=${RECORDS}`];

test.each([
  ['with a log of the data', [], ''],
  ['read by the backup', ['--disk-server'], ',backup-reads=on'],
  ['on disks of their own', [], ',shared=off,backup-reads=on'],
])(
  'racing requests are the same on both replicas, %s',
  async (_, more, how) => {
    await withScratch(async (folder) => {
      const disk = join(folder, 'disk');
      writeFileSync(disk, '');
      truncateSync(disk, 1 << 20);
      const run = await ft86(['pair', 'ledger', ...append, '--drive', `file=${disk}${how}`, ...more, '--json']);
      expect(run.stderr).toMatch(new RegExp(`ledger: ok, ${RECORDS} records, [0-9]+ reads, 0 errors`));
      expect(JSON.parse(run.stdout)).toMatchObject({ exitCode: 0, identical: true });
      expect(checkLedger(readFileSync(disk), 4, RECORDS)).toEqual([]);
    });
  },
  60_000,
);

test.each([
  ['shared', ',backup-reads=on'],
  ['of one’s own', ',shared=off'],
])(
  'a take-over in the middle of them leaves none out and none twice, on a disk %s',
  async (_, how) => {
    await withScratch(async (folder) => {
      const disk = join(folder, 'disk');
      writeFileSync(disk, '');
      truncateSync(disk, 1 << 20);
      const kill = ['--kill', 'primary@icount:70000000', '--replace'];
      const run = await ft86(['pair', 'ledger', ...append, '--drive', `file=${disk}${how}`, ...kill, '--json']);
      expect(run.stderr).toMatch(new RegExp(`ledger: ok, ${RECORDS} records, [0-9]+ reads, 0 errors`));
      const { identical, takeover } = JSON.parse(run.stdout) as { identical: boolean | null; takeover: object | null };
      expect(takeover).not.toBeNull();
      expect(identical).not.toBe(false);
      expect(checkLedger(readFileSync(disk), 4, RECORDS)).toEqual([]);
    });
  },
  60_000,
);
