/**
 * Goal: with shared=off each replica has a copy of its own: both write it, a write is no output, a joining backup's copy
 * is made equal while the guest runs, a take-over needs nobody's permission for that disk, and at the end the disk is where
 * it was; a copy that cannot be written costs redundancy, not the guest.
 * Method: guests that verify what they wrote on real pairs, with kills and replacements, with copies that differ at first,
 * and with a backup whose disk fails (nbdkit's error filter).
 */
import { expect, test } from '@jest/globals';
import { existsSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ft86, ft86Json, startFt86, withScratch } from './ft86.js';
import { withNbdkit } from './nbdkit.js';

interface PairResult {
  readonly identical: boolean | null;
  readonly exitCode: number;
  readonly log: { readonly byKind: Record<string, { readonly entries: number }> };
  readonly copies: readonly { readonly path: string; readonly identical: boolean | null }[];
  readonly losses: readonly { readonly role: string }[];
  readonly client: { readonly operations: number } | null;
}

function makeDisk(path: string, bytes = 1 << 20): string {
  writeFileSync(path, '');
  truncateSync(path, bytes);
  return path;
}

test.each(['off', 'on'])(
  'both write their own copies, which are equal (backup-reads=%s)',
  async (reads) => {
    await withScratch(async (folder) => {
      const disk = makeDisk(join(folder, 'disk'));
      const drive = `file=${disk},shared=off,backup-reads=${reads}`;
      const result = await ft86Json<PairResult>(['pair', 'disk', '--drive', drive]);
      expect(result).toMatchObject({ identical: true, exitCode: 0, copies: [{ path: disk, identical: true }] });
      // Console lines only: writes are no outputs.
      expect(result.log.byKind['output']!.entries).toBeLessThan(10);
      expect(readdirSync(folder)).toEqual(['disk']);
    });
  },
  60_000,
);

test('primaries die and are replaced: no operation is lost, and the disk is where it was', async () => {
  await withScratch(async (folder) => {
    const disk = makeDisk(join(folder, 'disk'));
    const load = ['--load', 'kv:ops=2500,clients=4,rate=600'];
    const kills = ['--kill', 'primary@ms:1000', '--kill', 'primary@ms:2500', '--replace'];
    const args = ['pair', 'kv', '--drive', `file=${disk},shared=off`, ...load, ...kills];
    const result = await ft86Json<PairResult>(args);
    const { operations } = result.client!;
    expect(result.client).toMatchObject({ acked: operations, lost: 0, duplicated: 0 });
    // A busy machine may lose a backup, too.
    expect(result.losses.filter(({ role }) => role === 'primary')).toHaveLength(2);
    expect(result).toMatchObject({ identical: true, copies: [{ path: disk, identical: true }] });
    expect(readdirSync(folder)).toEqual(['disk']);
    // What the last replica wrote is in the file that was given.
    expect(readFileSync(disk).some((byte) => byte !== 0)).toBe(true);
  });
}, 90_000);

test('a backup that joins a running guest gets only the blocks that differ', async () => {
  await withScratch(async (folder) => {
    const BYTES = 64 << 20;
    const [own, copy] = [makeDisk(join(folder, 'own'), BYTES), makeDisk(join(folder, 'copy'), BYTES)];
    const content = Buffer.alloc(BYTES, 'ft86');
    writeFileSync(own, content);
    content.fill(0xff, 40 << 20, (40 << 20) + 3 * 65536);
    writeFileSync(copy, content);
    const common = ['--name', 'own', '--arbiter', `file:${folder}`, '--run-directory', folder];
    const channel = ['--channel', `unix:${join(folder, 'channel')}`];
    const append = ['--append', 'passes=30 sectors=2048'];
    const primary = startFt86([
      'primary',
      'disk',
      ...append,
      '--drive',
      `file=${own},shared=off`,
      ...common,
      ...channel,
    ]);
    await primary.until(() => primary.stderr().includes('listens'), 10_000);
    const backup = await ft86(['backup', '--drive', `file=${copy},shared=off`, ...common, ...channel, '--json']);
    expect(JSON.parse(backup.stdout)).toMatchObject({ state: 'finished', exitCode: 0, error: null });
    expect((await primary.ended).status).toBe(0);
    const [, compared, sent] = /of (\d+) blocks of its own disks (\d+) were sent/.exec(primary.stderr())!.map(Number);
    expect(compared).toBe(1024);
    // The three, and the megabyte that the guest writes all the time.
    expect(sent).toBeGreaterThanOrEqual(3);
    expect(sent).toBeLessThan(300);
    expect(readFileSync(copy).equals(readFileSync(own))).toBe(true);
  });
}, 60_000);

test('a backup whose own copy fails gives up; the guest goes on', async () => {
  await withScratch(async (folder) => {
    const [own, copy, socket] = [makeDisk(join(folder, 'own')), makeDisk(join(folder, 'copy')), join(folder, 'sock')];
    await withNbdkit(
      socket,
      ['--filter=error', 'file', copy, 'error-pwrite=ENOSPC', 'error-pwrite-rate=10%'],
      async () => {
        const common = ['--name', 'own', '--arbiter', `file:${folder}`, '--run-directory', folder];
        const channel = ['--channel', `unix:${join(folder, 'channel')}`];
        const wait = ['--wait-backup', '--drive', `file=${own},shared=off`];
        const primary = ft86(['primary', 'disk', ...wait, ...common, ...channel, '--json']);
        const backup = await ft86([
          'backup',
          '--drive',
          `nbd+unix:///?socket=${socket},shared=off`,
          ...common,
          ...channel,
        ]);
        expect(backup.status).toBe(4);
        expect(backup.stderr).toMatch(/own copy is of no use any more: write of drive 0/);
        const { status, stderr } = await primary;
        expect(status).toBe(0);
        expect(stderr).toMatch(/won the test-and-set, live alone in epoch 2/);
        expect(stderr).toMatch(/disk: ok, 2048 sectors/);
      },
    );
  });
}, 60_000);

test('copies that an earlier run left are not written over', async () => {
  await withScratch(async (folder) => {
    const disk = makeDisk(join(folder, 'disk'));
    writeFileSync(`${disk}.backup-2`, 'newer');
    const run = await ft86(['pair', 'disk', '--drive', `file=${disk},shared=off`]);
    expect(run.status).toBe(2);
    expect(run.stderr).toMatch(/a run that did not end in order left .*disk\.backup-2/);
    expect(run.stderr.trim().split('\n')).toHaveLength(1);
    expect(existsSync(`${disk}.backup-2`)).toBe(true);
  });
});

test.each([
  [['--replication', 'checkpoint'], /--drive shared=off/],
  [['--disk-server'], /shared=off has no server/],
])('shared=off with %s is refused in one line', async (more, message) => {
  await withScratch(async (folder) => {
    const run = await ft86(['pair', 'disk', '--drive', `file=${makeDisk(join(folder, 'd'))},shared=off`, ...more]);
    expect(run.status).toBe(2);
    expect(run.stderr).toMatch(message);
    expect(run.stderr.trim().split('\n')).toHaveLength(1);
    expect(readdirSync(folder)).toEqual(['d']);
  });
});
