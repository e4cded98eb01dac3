/** Goal: `--replication checkpoint` keeps a backup that can go live, and its cost can be compared with a log's.
 *  Method: `pair` and `bandwidth` as processes, a real kill -9, the clients' history checked. */
import { expect, test } from '@jest/globals';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ft86, ft86Json, withScratch } from './ft86.js';

interface Result {
  readonly identical: boolean | null;
  readonly digest: string;
  readonly primary: { readonly digest: string; readonly survived: boolean };
  readonly backup: { readonly digest: string };
  readonly checkpoints: { readonly count: number; readonly bytes: number; readonly pages: number } | null;
  readonly log: { readonly wireBytes: number };
  readonly outputs: { readonly heldMsP50: number };
  readonly takeover: { readonly icount: number } | null;
  readonly client: { readonly acked: number; readonly lost: number; readonly duplicated: number } | null;
}

const MODE = ['--replication', 'checkpoint', '--checkpoint-ms', '20'];

test('a busy guest ends in one state on both sides', async () => {
  const result = await ft86Json<Result>(['pair', 'bench-timer', ...MODE, '--until', '200000000']);
  expect(result).toMatchObject({ identical: true, primary: { survived: true } });
  expect(result.backup.digest).toBe(result.primary.digest);
  expect(result.checkpoints?.count).toBeGreaterThan(3);
  expect(result.checkpoints?.pages).toBeGreaterThan(3);
}, 60_000);

test('a killed primary costs the clients nothing, and the ways are compared on this one run', async () => {
  const args = ['pair', 'kv', '--load', 'kv:ops=300', ...MODE];
  const killed = await ft86Json<Result>([...args, '--kill', 'primary@ms:600']);
  expect(killed.client).toMatchObject({ acked: 300, lost: 0, duplicated: 0 });
  expect(killed.takeover?.icount).toBeGreaterThan(0);
  const whole = await ft86Json<Result>(args);
  expect(whole).toMatchObject({ identical: true, client: { acked: 300, lost: 0, duplicated: 0 } });
  expect(whole.outputs.heldMsP50).toBeGreaterThan(1);
  await withScratch(async (folder) => {
    const file = join(folder, 'result.json');
    writeFileSync(file, JSON.stringify(whole));
    const { ways } = await ft86Json<{ ways: { way: string; bytes: number }[] }>(['bandwidth', file]);
    expect(ways.map(({ way }) => way)).toEqual(['requests', 'log', 'checkpoints']);
    expect(ways.map(({ bytes }) => bytes)).toEqual([...ways.map(({ bytes }) => bytes)].sort((a, b) => a - b));
    const table = await ft86(['bandwidth', file]);
    expect(table.stdout).toMatch(
      new RegExp(`log .* ${whole.log.wireBytes} .*\n.*\n.*checkpoints .* ${whole.checkpoints?.bytes} `),
    );
    writeFileSync(file, '{"a": 1}');
    const refused = await ft86(['bandwidth', file]);
    expect([refused.status, refused.stderr]).toEqual([2, expect.stringMatching(/not a pair’s result/)]);
  });
}, 120_000);
