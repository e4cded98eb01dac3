/**
 * Goal: replicas that live are not given up under full load; whoever is, makes the calm part of a soak test fail.
 * Method: the sums alone, with results made by hand; ten real seconds as a process.
 */
import { expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { calmRun, totalsOfCalm, type CalmResult } from '../../../tools/soak/calm.js';

const root = join(import.meta.dirname, '../../..');
const fine: CalmResult = {
  ...{ identical: true, error: null, icount: 1000, losses: [], takeover: null, backup: { lagMsP99: 3 } },
  ...{ outputs: { heldMsP99: 2 }, replicas: [{ residentBytes: 7 }, { residentBytes: 9 }, { residentBytes: null }] },
};

test('a calm run adds up', () => {
  const { failures, ...totals } = totalsOfCalm(fine, 600, 500);
  expect(failures).toEqual([]);
  expect(totals).toEqual({
    ...{ seconds: 600, detectMs: 500, instructions: 1000, falseAlarms: 0 },
    ...{ lagMsP99: 3, heldMsP99: 2, residentBytesMax: 9 },
  });
});

test.each<[string, Partial<CalmResult>, RegExp]>([
  ['a backup that was given up', { losses: [{ replica: 'backup', role: 'backup' }] }, /backup, then backup, was given/],
  ['a take-over', { takeover: { reason: 'silent' } }, /a take-over without a death: silent/],
  ['replicas that differ', { identical: false, error: 'ebx' }, /not found identical: ebx/],
  ['a run without a comparison', { identical: null }, /not found identical: not compared/],
])('%s is a failure', (_, wrong, message) => {
  expect(totalsOfCalm({ ...fine, ...wrong }, 600, 500).failures).toEqual([expect.stringMatching(message)]);
});

test('the pair runs with the time asked for, and either replication', () => {
  expect(calmRun(50, 'log')).toEqual(expect.arrayContaining(['--detect-ms', '50', '--replace']));
  expect(calmRun(50, 'checkpoint')).toEqual(expect.arrayContaining(['--replication', 'checkpoint']));
});

test('ten real seconds of full load: no false alarm', () => {
  const command = ['build/js/tools/soak/soak.js', '--calm', '--minutes', '0', '--json'];
  const { stdout, stderr, status } = spawnSync(process.execPath, command, { cwd: root, encoding: 'utf8' });
  expect([status, stderr]).toEqual([0, '']);
  const totals = JSON.parse(stdout) as { falseAlarms: number; instructions: number };
  expect(totals).toMatchObject({ seconds: 10, detectMs: 500, falseAlarms: 0, failures: [] });
  expect(totals.instructions).toBeGreaterThan(1e6);
}, 60_000);
