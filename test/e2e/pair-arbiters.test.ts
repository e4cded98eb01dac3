/**
 * Goal: a pair may have any arbiter and a key, as replicas on hosts of their own have them, and refuses to start after an end that
 * was none until it is told that this is accepted.
 * Method: `pair` as a process, with a directory, a real etcd and the disk server as arbiters, kill -9 of replicas, strangers
 * without the key at the pair's channel and disk server.
 */
import { expect, test } from '@jest/globals';
import { join } from 'node:path';
import { DirectoryArbiter } from '../../hypervisor/ft/arbiter-directory.js';
import { EtcdArbiter } from '../../hypervisor/ft/arbiter-etcd.js';
import { removeRunDirectory, runsDirectory } from '../../tools/replica/run-directory.js';
import { startEtcd } from '../hypervisor/ft/etcd-server.js';
import { ft86, ft86Json, startFt86, withScratch } from './ft86.js';

interface PairResult {
  readonly identical: boolean | null;
  readonly takeover: { readonly reason: string } | null;
  readonly client: { readonly operations: number; readonly acked: number; readonly lost: number } | null;
}

const LOAD = ['--load', 'kv:ops=800,clients=4'];
const KILL = ['--kill', 'primary@ms:500'];

/** Use a run's name that nobody has, and leave nothing of it. */
async function withRun(use: (name: string, folder: string) => Promise<void>): Promise<void> {
  const name = `arbiters-${process.pid}`;
  const folder = join(runsDirectory(), name);
  try {
    await use(name, folder);
  } finally {
    removeRunDirectory(folder);
  }
}

function expectTakeover(result: PairResult): void {
  expect(result.takeover).not.toBeNull();
  expect(result.client).toMatchObject({ acked: result.client!.operations, lost: 0, duplicated: 0 });
}

test('a directory decides who is live; when both replicas have died the next start must be forced', async () => {
  await withScratch((folder) =>
    withRun(async (name) => {
      const pair = ['pair', '--name', name, '--arbiter', `file:${join(folder, 'arbiter')}`];
      expectTakeover(await ft86Json<PairResult>([...pair, 'kv', ...LOAD, ...KILL]));
      const arbiter = new DirectoryArbiter(join(folder, 'arbiter'), name);
      expect(await arbiter.newestEpoch()).toBe(2);

      const timer = [...pair, 'timer', '--append', 'ticks=100'];
      const killed = await ft86([...timer, '--kill', 'primary@ms:300', '--kill', 'backup@ms:300']);
      expect(killed.status).toBe(4);
      const refused = await ft86(timer);
      expect(refused.status).toBe(2);
      expect(refused.stderr).toMatch(/did not end in order.*--force/);
      expect(await ft86Json<PairResult>([...timer, '--force'])).toMatchObject({ identical: true });
    }),
  );
}, 60_000);

test('etcd decides who is live', async () => {
  const etcd = await startEtcd();
  try {
    await withRun(async (name) => {
      const pair = ['pair', 'kv', '--name', name, '--arbiter', `etcd:${etcd.url}`];
      expectTakeover(await ft86Json<PairResult>([...pair, ...LOAD, ...KILL]));
      expect(await new EtcdArbiter(etcd.url, name).newestEpoch()).toBe(2);
    });
  } finally {
    etcd.close();
  }
}, 60_000);

test('with a key, channel, switch and disk server of a pair refuse whoever has none', async () => {
  await withScratch((scratch) =>
    withRun(async (name, folder) => {
      const key = join(scratch, 'pair.key');
      await ft86(['keygen', key]);
      const secure = ['--key', key, '--arbiter', 'disk-server', '--replace', '--name', name];
      const pair = startFt86(['pair', 'kv', ...secure, '--load', 'kv:ops=2000,clients=4,rate=300', ...KILL]);
      await pair.until(() => pair.stderr().includes('backup-2: has the whole state'), 20_000);
      const channel = /backup: listens for a backup at (tcp:\S+)/.exec(pair.stderr())![1]!;
      const stranger = await ft86(['backup', '--channel', channel, '--name', 'stranger', '--connect-ms', '300']);
      expect(stranger.status).toBe(4);
      const drive = `nbd+unix:///drive0?socket=${join(folder, 'disk-server.sock')}`;
      const reader = await ft86(['boot', 'disk', '--drive', drive]);
      expect(reader.status).not.toBe(0);
      expect(reader.stderr).toMatch(/TLS/);
      const { status, stdout, stderr } = await pair.ended;
      expect(stdout).toMatch(/2000 of 2000 operations acknowledged, 0 lost, 0 duplicated/);
      expect(stderr).toMatch(/won the test-and-set of epoch 2/);
      expect(status).toBe(0);
    }),
  );
}, 60_000);

test('an arbiter that cannot be is a mistake of the user', async () => {
  for (const [guest, arbiter, what] of [
    ['timer', 'disk-server', /the guest has no drive/],
    ['timer', 'paxos', /must be file:DIR/],
  ] as const) {
    const run = await ft86(['pair', guest, '--arbiter', arbiter]);
    expect(run.status).toBe(2);
    expect(run.stderr).toMatch(what);
  }
}, 20_000);
