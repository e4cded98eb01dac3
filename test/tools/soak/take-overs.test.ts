/**
 * Goal: the silence of take-overs adds up to what a person reads, and what was lost is a failure.
 * Method: results made by hand; one real kill as a process.
 */
import { expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { takeOverRun, totalsOfTakeOvers } from '../../../tools/soak/take-overs.js';
import type { RoundResult } from '../../../tools/soak/totals.js';

function result(gapMs: number, lost = 0, takeoverMs: number | null = 100): RoundResult {
  const takeover = takeoverMs === null ? null : { totalMs: takeoverMs };
  return {
    ...{ identical: true, error: null, losses: [{ role: 'primary' }], replicas: [{ takeover, residentBytes: 1 }] },
    client: { operations: 9, acked: 9, lost, duplicated: 0, completed: true, gapMs, findings: [] },
  };
}

test('the silences add up', () => {
  const gaps = Array.from({ length: 100 }, (_, i) => result(155 + i));
  expect(totalsOfTakeOvers([...gaps, result(5, 0, null)], [])).toEqual({
    ...{ kills: 100, gapMsP50: 204, gapMsP95: 249, gapMsP99: 253, within250Ms: 96 },
    ...{ takeoverMsP50: 100, takeoverMsP95: 100, failures: [] },
  });
});

test('what was lost, and a run without a result, are failures', () => {
  const ended = result(1);
  const gaveUp = { ...ended, client: { ...ended.client, acked: 3, completed: false } };
  expect(totalsOfTakeOvers([result(1), result(1, 2), gaveUp], ['kill 3: status 4']).failures).toEqual([
    'kill 3: status 4',
    'kill 1: 2 lost, 0 duplicated',
    'kill 2: the clients gave up: 3 of 9 operations acknowledged',
  ]);
});

test('the same numbers give the same kill, with the time asked for', () => {
  expect(takeOverRun(1, 2, 100, 'log')).toEqual(takeOverRun(1, 2, 100, 'log'));
  expect(takeOverRun(1, 2, 100, 'log')).not.toEqual(takeOverRun(1, 3, 100, 'log'));
  expect(takeOverRun(1, 2, 100, 'checkpoint')).toEqual(
    expect.arrayContaining(['--detect-ms', '100', '--replication', 'checkpoint']),
  );
});

test('one real kill', () => {
  const root = join(import.meta.dirname, '../../..');
  const command = ['build/js/tools/soak/soak.js', '--take-overs', '1', '--detect-ms', '300', '--json'];
  const { status, stdout } = spawnSync(process.execPath, command, { cwd: root, encoding: 'utf8' });
  expect(status).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ kills: 1, detectMs: 300, failures: [] });
}, 60_000);
