/** Goal: `pair --replace` makes a pair whole again after each loss, without a human and without a client that notices.
 *  Method: real kill -9 of whoever is live or backs it, again and again under load; the history is checked by the
 *  product, the final states of the last two replicas are compared byte by byte. */
import { describe, expect, test } from '@jest/globals';
import { join } from 'node:path';
import { removeRunDirectory, runsDirectory } from '../../tools/replica/run-directory.js';
import { ft86Json, processesWith } from './ft86.js';

interface PairResult {
  readonly stop: string;
  readonly identical: boolean | null;
  readonly takeover: { readonly totalMs: number; readonly icount: number } | null;
  readonly transfer: { readonly bytes: number; readonly rounds: number; readonly pauseMs: number } | null;
  readonly client: { readonly operations: number; readonly acked: number; readonly lost: number } | null;
  readonly replicas: readonly { readonly name: string; readonly survived: boolean; readonly icount: number }[];
  readonly losses: readonly { readonly replica: string; readonly role: string }[];
}

describe('pair --replace', () => {
  test('the primary dies: the backup goes live and a third replica joins it', async () => {
    const name = `replace-test-${process.pid}`;
    const args = ['pair', 'kv', '--load', 'kv:ops=1000,clients=4', '--kill', 'primary@ms:500', '--replace'];
    const result = await ft86Json<PairResult>([...args, '--name', name]);
    expect(result).toMatchObject({ stop: 'stopped', identical: true, client: { acked: 1000, lost: 0, duplicated: 0 } });
    expect(result.losses).toMatchObject([{ replica: 'primary', role: 'primary' }]);
    expect(result.replicas.map(({ name, survived }) => [name, survived])).toEqual([
      ['primary', false],
      ['backup', true],
      ['backup-2', true],
    ]);
    expect(result.takeover?.icount).toBeGreaterThan(0);
    expect(result.transfer?.bytes).toBeGreaterThan(100_000);
    expect(processesWith(name)).toEqual([]);
    removeRunDirectory(join(runsDirectory(), name));
  }, 60_000);

  test('ten losses in a row, alternating: no acknowledged operation is lost', async () => {
    const kills = Array.from({ length: 10 }, (_, i) => ['--kill', `${i % 2 === 0 ? 'primary' : 'backup'}@ms:${i}`]);
    const args = ['pair', 'kv', '--load', 'kv:ops=1500,clients=4', '--replace', ...kills.flat()];
    const result = await ft86Json<PairResult>(args);
    expect(result).toMatchObject({ stop: 'stopped', identical: true, client: { acked: 1500, lost: 0, duplicated: 0 } });
    // On a busy host one that is only slow may be given up, too.
    for (const part of ['primary', 'backup']) {
      expect(result.losses.filter(({ role }) => role === part).length).toBeGreaterThanOrEqual(5);
    }
    expect(result.replicas).toHaveLength(result.losses.length + 2);
    expect(result.replicas.filter(({ survived }) => survived)).toHaveLength(2);
  }, 120_000);
});
