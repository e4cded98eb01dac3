/**
 * Goal: kill -9 of primary, backup, disk server and switch at random instants costs nothing that a guest or a client was
 * told is done: durable records are on the disk, whole and not older; acknowledged operations are there.
 * Method: 20 kills of `make soak`'s crashes, on real processes; its own checks read the disk and the clients' histories. And kills with
 * a disk server that loses what was not flushed, as one does that dies with its host: nbdkit with its cache filter.
 */
import { expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const root = join(import.meta.dirname, '../..');

interface Totals {
  readonly kills: number;
  readonly takeovers: number;
  readonly durable: number;
  readonly acked: number;
  readonly failures: readonly string[];
}

/** Run `crash-soak ARGS`; what it found to be wrong fails the test with its own words. */
function crash(...args: string[]): Totals {
  const command = ['build/js/tools/soak/crash-soak.js', ...args, '--json'];
  const { stdout, stderr, status } = spawnSync(process.execPath, command, { cwd: root, encoding: 'utf8' });
  expect([status, stderr]).toEqual([0, expect.stringMatching(/all there/)]);
  return JSON.parse(stdout) as Totals;
}

test('20 kills at random instants lose nothing that was told', () => {
  const totals = crash('--kills', '20', '--seed', '4');
  expect(totals).toMatchObject({ kills: 20, failures: [] });
  expect(totals.takeovers).toBeGreaterThan(3);
  expect(totals.durable).toBeGreaterThan(100);
  expect(totals.acked).toBeGreaterThan(100);
}, 120_000);

test.each(['log', 'checkpoint'])(
  'a primary dies, and at once the disk server with all that was not flushed: the new one brings it back (%s)',
  (replication) => {
    // primary, disk server, primary, disk server, each within 20 ms of the one before.
    const strikes = ['--kills', '4', '--seed', '263', '--server', 'forgetful'];
    const totals = crash(...strikes, '--replication', replication);
    expect(totals).toMatchObject({ kills: 4, takeovers: 2, failures: [] });
    expect(totals.durable).toBeGreaterThan(16);
  },
  60_000,
);

test('an option that is none is one line and status 2', () => {
  const command = ['build/js/tools/soak/crash-soak.js', '--kills', 'x'];
  const { stderr, status } = spawnSync(process.execPath, command, { cwd: root, encoding: 'utf8' });
  expect([status, stderr]).toEqual([2, expect.stringMatching(/^soak: --kills x: must be a whole number.*\n$/)]);
});
