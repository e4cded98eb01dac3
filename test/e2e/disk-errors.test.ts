/**
 * Goal: a full disk and a failing one are I/O errors of the guest, at the same instruction on both replicas: the guest goes
 * on, and the replicas stay identical.
 * Method: the guest `ledger` with errors=on, which counts its failed requests and verifies the others, on a sparse file in a
 * file system of 128 KiB (a tmpfs in a mount namespace of its own), by itself and behind the disk server; on an NBD server
 * that fails now and then (nbdkit's error filter). And without errors=on: the guest gives up, on both replicas.
 */
import { expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ft86, withScratch } from './ft86.js';
import { withNbdkit } from './nbdkit.js';

const root = join(import.meta.dirname, '../..');

/** Run `ft86 ARGS` where `folder` is a file system of 128 KiB with a sparse file of 1 MiB in it. */
function ft86OnFullDisk(
  folder: string,
  args: readonly string[],
): Promise<{ readonly status: number | null; readonly stdout: string; readonly stderr: string }> {
  const mount = `mount -t tmpfs -o size=128k,mode=700 none ${folder} && truncate -s 1M ${folder}/disk && exec "$@"`;
  const user = process.getuid?.() === 0 ? '-m' : '-Urm';
  const command = [user, 'sh', '-c', mount, 'sh', process.execPath, join(root, 'ft86'), ...args];
  return new Promise((resolve, reject) => {
    const child = spawn('unshare', command, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, NO_COLOR: '1' },
    });
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.on('error', reject);
    child.on('close', (status) => {
      resolve({ status, stdout, stderr });
    });
  });
}

/** How many requests the guest says have failed. */
function errorsIn(console: string): number {
  return Number(/ledger: ok, 300 records, [0-9]+ reads, ([0-9]+) errors/.exec(console)?.[1] ?? NaN);
}

const ledger = ['pair', 'ledger', '--append', 'errors=on records=300', '--json'];

test.each([[[]], [['--disk-server']], [['--clock', 'icount']]])(
  'a full file system is an I/O error for both guests (pair %j)',
  async (more) => {
    await withScratch(async (folder) => {
      const run = await ft86OnFullDisk(folder, [...ledger, '--drive', `file=${folder}/disk`, ...more]);
      expect(run.stderr).toMatch(/ledger: record [0-9]+ in slot [0-9]+ failed/);
      expect(run.stderr).toMatch(more.includes('--disk-server') ? /NBD error 28/ : /ENOSPC/);
      expect(errorsIn(run.stderr)).toBeGreaterThan(10);
      expect(JSON.parse(run.stdout)).toMatchObject({ exitCode: 0, identical: true });
    });
  },
  60_000,
);

test('a take-over on a full file system: the guest goes on to count its errors', async () => {
  await withScratch(async (folder) => {
    const kill = ['--kill', 'primary@icount:30000000'];
    const run = await ft86OnFullDisk(folder, [...ledger, '--drive', `file=${folder}/disk,backup-reads=on`, ...kill]);
    expect(errorsIn(run.stderr)).toBeGreaterThan(10);
    const { exitCode, takeover } = JSON.parse(run.stdout) as { exitCode: number; takeover: object | null };
    expect(exitCode).toBe(0);
    expect(takeover).not.toBeNull();
  });
}, 60_000);

const failing = ['error-pwrite=EIO', 'error-pwrite-rate=3%', 'error-pread=EIO', 'error-pread-rate=3%'];

test.each([[''], [',backup-reads=on']])(
  'an NBD server that fails now and then (nbd://…%s)',
  async (how) => {
    await withScratch(async (folder) => {
      const [disk, socket] = [join(folder, 'disk'), join(folder, 'sock')];
      writeFileSync(disk, '');
      truncateSync(disk, 1 << 20);
      await withNbdkit(socket, ['--filter=error', 'file', disk, ...failing], async () => {
        const run = await ft86([...ledger, '--drive', `nbd+unix:///?socket=${socket}${how}`]);
        expect(run.stderr).toMatch(/NBD error 5\): the guest gets an I\/O error/);
        expect(errorsIn(run.stderr)).toBeGreaterThan(5);
        expect(JSON.parse(run.stdout)).toMatchObject({ exitCode: 0, identical: true });
      });
    });
  },
  60_000,
);

test('a guest that gives up at its first error does so on both replicas', async () => {
  await withScratch(async (folder) => {
    const args = ['pair', 'ledger', '--append', 'records=300', '--drive', `file=${folder}/disk`, '--json'];
    const run = await ft86OnFullDisk(folder, args);
    expect(run.status).toBe(0);
    expect(JSON.parse(run.stdout)).toMatchObject({ stop: 'debug-exit', exitCode: 1, identical: true });
  });
}, 60_000);
