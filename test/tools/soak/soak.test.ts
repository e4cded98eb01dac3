/**
 * Goal: a soak test loses replicas as its seed says, adds up what its rounds tell, and fails when one of them does.
 * Method: the plan and the sums alone, with results made by hand; one real round as a process.
 */
import { describe, expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { makeRound } from '../../../tools/soak/rounds.js';
import { roundSchema, totalsOf, type RoundResult } from '../../../tools/soak/totals.js';

const root = join(import.meta.dirname, '../../..');

function result(client: Partial<RoundResult['client']> = {}, rest: Partial<RoundResult> = {}): RoundResult {
  const fine = { operations: 10, acked: 10, lost: 0, duplicated: 0, completed: true, gapMs: 50, findings: [] };
  const replicas = [{ takeover: { totalMs: 20 }, residentBytes: 1000 }];
  return {
    identical: true,
    error: null,
    losses: [{ role: 'primary' }],
    replicas,
    client: { ...fine, ...client },
    ...rest,
  };
}

describe('a round', () => {
  test('is the same for the same seed and another for another', () => {
    expect(makeRound(7, 3, 'log', 5)).toEqual(makeRound(7, 3, 'log', 5));
    expect(makeRound(7, 3, 'log', 5)).not.toEqual(makeRound(8, 3, 'log', 5));
    expect(makeRound(7, 3, 'log', 5)).not.toEqual(makeRound(7, 4, 'log', 5));
  });

  test('kills as often as it says, one after the other, while the load runs', () => {
    for (let index = 0; index < 50; index++) {
      const { kills, args } = makeRound(1, index, 'log', 12);
      const times = args.filter((arg) => arg.includes('@ms:')).map((arg) => Number(arg.split(':')[1]));
      expect(times).toHaveLength(kills);
      expect(times).toEqual([...times].sort((a, b) => a - b));
      const [, operations, rate] = /ops=(\d+),.*rate=(\d+)/.exec(args.join(' ')) ?? [];
      expect((Number(operations) / Number(rate)) * 1000).toBeGreaterThan(times.at(-1)!);
    }
  });
});

describe('the totals', () => {
  test('add up, with percentiles of silences and take-overs', () => {
    const rounds = [50, 70, 400].map((gapMs, index) => ({ index, result: result({ gapMs }) }));
    expect(totalsOf(rounds, [])).toMatchObject({
      ...{ rounds: 3, kills: 3, takeovers: 3, operations: 30, acked: 30, lost: 0, duplicated: 0, failures: [] },
      ...{ gapMsP50: 70, gapMsP99: 400, takeoverMsP50: 20, residentBytesMax: 1000 },
    });
  });

  test.each([
    ['a lost operation', result({ lost: 1, findings: ['key 3'] }), /round 4: 1 lost, 0 duplicated: key 3/],
    ['a duplicated one', result({ duplicated: 2 }), /round 4: 0 lost, 2 duplicated/],
    ['clients that gave up', result({ completed: false, acked: 4 }), /round 4: the clients gave up: 4 of 10/],
    ['replicas that differ', result({}, { identical: false, error: 'ebx' }), /round 4: the replicas differ: ebx/],
  ])('fail for %s', (_, wrong, message) => {
    expect(totalsOf([{ index: 4, result: wrong }], []).failures).toEqual([expect.stringMatching(message)]);
  });

  test('keep the failures of rounds without a result', () => {
    expect(totalsOf([], ['round 0: status 4'])).toMatchObject({
      rounds: 0,
      failures: ['round 0: status 4'],
      gapMsP50: 0,
    });
  });
});

test('one real round: replicas die, nothing is lost', () => {
  const command = ['build/js/tools/soak/soak.js', '--minutes', '0', '--seed', '2', '--kills', '2', '--json'];
  const { stdout, stderr, status } = spawnSync(process.execPath, command, { cwd: root, encoding: 'utf8' });
  expect([status, stderr]).toEqual([0, expect.stringMatching(/^round 0: /)]);
  const totals = JSON.parse(stdout) as { rounds: number; kills: number; lost: number; failures: string[] };
  expect(totals).toMatchObject({ rounds: 1, lost: 0, failures: [] });
  expect(totals.kills).toBeGreaterThan(0);
}, 120_000);

test('an option that is none is one line and status 2', () => {
  const command = ['build/js/tools/soak/soak.js', '--minutes', 'x'];
  const { stderr, status } = spawnSync(process.execPath, command, { cwd: root, encoding: 'utf8' });
  expect([status, stderr]).toEqual([2, expect.stringMatching(/^soak: --minutes x: must be a whole number.*\n$/)]);
});

test('the schema refuses a run without clients', () => {
  expect(roundSchema.safeParse({ ...result(), client: null }).success).toBe(false);
});
