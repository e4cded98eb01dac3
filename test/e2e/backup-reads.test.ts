/**
 * Goal: with backup-reads=on a backup reads the disk itself: what reads return is not in the log, both replicas see the
 * same, and a read that fails on one side is handled: the log carries the primary's failure, the backup tries again.
 * Method: guests that verify what they read on real pairs with files, a disk server and take-overs; a backup whose own
 * way to the disk fails every other time, and a primary whose disk fails, by nbdkit's error filter.
 */
import { expect, test } from '@jest/globals';
import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ft86, ft86Json, startFt86, withScratch } from './ft86.js';
import { withNbdkit } from './nbdkit.js';

interface PairResult {
  readonly identical: boolean | null;
  readonly exitCode: number;
  readonly takeover: object | null;
  readonly log: { readonly byKind: Record<string, { readonly entries: number; readonly bytes: number }> };
  readonly client: { readonly operations: number; readonly acked: number; readonly lost: number } | null;
}

const DISK_BYTES = 1 << 20;

function makeDisk(folder: string): string {
  const path = join(folder, 'disk');
  writeFileSync(path, '');
  truncateSync(path, DISK_BYTES);
  return path;
}

test.each([[[]], [['--disk-server']]])(
  'the data of reads is not in the log (pair %s)',
  async (more) => {
    await withScratch(async (folder) => {
      const drive = `file=${makeDisk(folder)},backup-reads=on`;
      const result = await ft86Json<PairResult>(['pair', 'disk', '--drive', drive, ...more]);
      expect(result).toMatchObject({ identical: true, exitCode: 0 });
      const { entries, bytes } = result.log.byKind['disk']!;
      expect(entries).toBeGreaterThan(300);
      expect(bytes / entries).toBeLessThanOrEqual(8);
    });
  },
  60_000,
);

test.each([
  ['', 8],
  [',backup-reads=off', 4200],
])(
  'a pair leaves out what a disk returns that nobody writes (%s)',
  async (option, bytesMost) => {
    await withScratch(async (folder) => {
      const drive = `file=${makeDisk(folder)},readonly=on${option}`;
      const result = await ft86Json<PairResult>(['pair', 'bench-disk', '--append', 'n=300', '--drive', drive]);
      expect(result).toMatchObject({ identical: true, exitCode: 0 });
      const { entries, bytes } = result.log.byKind['disk']!;
      expect(bytes / entries).toBeLessThanOrEqual(bytesMost);
      expect(bytes / entries).toBeGreaterThan(bytesMost / 4);
    });
  },
  60_000,
);

test.each([[[]], [['--disk-server']]])(
  'a backup that reads itself takes over with the guest’s data right (pair %s)',
  async (more) => {
    await withScratch(async (folder) => {
      const drive = `file=${makeDisk(folder)},backup-reads=on`;
      const kills = ['--kill', 'primary@icount:40000000', '--kill', 'primary@ms:1200', '--replace'];
      const run = await ft86(['pair', 'disk', '--drive', drive, '--append', 'passes=6', ...kills, ...more, '--json']);
      expect(run.stderr).toMatch(/disk: ok, 2048 sectors written and read back 6 times/);
      expect(JSON.parse(run.stdout)).toMatchObject({ exitCode: 0 });
      expect((JSON.parse(run.stdout) as PairResult).takeover).not.toBeNull();
      expect((JSON.parse(run.stdout) as PairResult).identical).not.toBe(false);
    });
  },
  60_000,
);

/** Run the guest `disk` on a primary and a backup that have the drives given. Returns both reports and what was said. */
async function primaryAndBackup(
  folder: string,
  primaryDrive: string,
  backupDrive: string,
): Promise<{ readonly primary: object; readonly backup: object; readonly backupSaid: string }> {
  const common = ['--name', 'reads', '--arbiter', `file:${folder}`, '--json'];
  const place = (name: string): string[] => ['--run-directory', folder, '--channel', `unix:${join(folder, name)}`];
  const primary = ft86(['primary', 'disk', '--wait-backup', '--drive', primaryDrive, ...common, ...place('channel')]);
  const backup = startFt86(['backup', '--drive', backupDrive, ...common, ...place('channel')]);
  const ended = await primary;
  const { stdout, stderr } = await backup.ended;
  return { primary: JSON.parse(ended.stdout) as object, backup: JSON.parse(stdout) as object, backupSaid: stderr };
}

test('a backup whose reads fail tries again until they succeed', async () => {
  await withScratch(async (folder) => {
    const [disk, socket] = [makeDisk(folder), join(folder, 'sock')];
    const failing = ['--filter=error', 'file', disk, 'error-pread=EIO', 'error-pread-rate=20%'];
    await withNbdkit(socket, failing, async () => {
      const served = `nbd+unix:///?socket=${socket},backup-reads=on`;
      const { primary, backup, backupSaid } = await primaryAndBackup(folder, `file=${disk},backup-reads=on`, served);
      expect(primary).toMatchObject({ exitCode: 0, error: null });
      expect(backup).toMatchObject({ role: 'backup', state: 'finished', exitCode: 0, error: null });
      expect(backupSaid).toMatch(/cannot be read here; the live replica could: trying again/);
    });
  });
}, 60_000);

test('a read that fails on the primary fails for both guests at the same instruction', async () => {
  await withScratch(async (folder) => {
    const [disk, socket] = [makeDisk(folder), join(folder, 'sock')];
    const failing = ['--filter=error', 'file', disk, 'error-pread=EIO', 'error-pread-rate=20%'];
    await withNbdkit(socket, failing, async () => {
      const served = `nbd+unix:///?socket=${socket},backup-reads=on`;
      const { primary, backup } = await primaryAndBackup(folder, served, `file=${disk},backup-reads=on`);
      // The guest gives up at its first error.
      const { exitCode, icount, digest } = primary as Record<string, unknown>;
      expect(exitCode).not.toBe(0);
      expect(backup).toMatchObject({ state: 'finished', exitCode, icount, digest, error: null });
    });
  });
}, 60_000);

test('what a log without data cannot do is refused in one line', async () => {
  await withScratch(async (folder) => {
    const drive = ['--drive', `file=${makeDisk(folder)},backup-reads=on`];
    for (const more of [
      ['--replication', 'checkpoint'],
      ['--record', join(folder, 'log')],
    ]) {
      const run = await ft86(['pair', 'disk', ...drive, ...more]);
      expect(run.status).toBe(2);
      expect(run.stderr).toMatch(/--drive backup-reads=on/);
      expect(run.stderr.trim().split('\n')).toHaveLength(1);
    }
  });
});
