/**
 * Goal: a channel whose connection breaks goes on over a new one: the backup stays, and no client notices; a backup that died is
 * noticed at once all the same, and a stranger cannot take the channel over.
 * Method: real processes with a key file, a proxy between them that resets their connections again and again under a load whose
 * history is checked, kill -9 of a backup.
 */
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodeMessage, CHANNEL_PROTOCOL, decodeMessage } from '../../hypervisor/channel/messages.js';
import { readKey } from '../../hypervisor/channel/key-file.js';
import { connect } from '../../hypervisor/channel/transport.js';
import { freePort } from '../hypervisor/ft/etcd-server.js';
import { ft86 } from './ft86.js';
import { LocalSite } from './local-site.js';
import type { Proxy } from './proxy.js';
import type { Program } from './site.js';

const NAME = 'breaks';
const DETECT_MS = 2500;

interface Running {
  readonly primary: Program;
  readonly backup: Program;
  readonly proxy: Proxy;
  readonly channel: string;
  readonly udpPort: number;
}

let site: LocalSite;
beforeEach(() => {
  site = new LocalSite();
});
afterEach(() => {
  site.close();
});

interface PairOptions {
  /** Options of the primary. */
  readonly mode?: readonly string[];
  readonly detectMs?: number;
  /** No proxy in the channel: on a busy machine the proxy itself stalls it. */
  readonly direct?: boolean;
}

/** A key-value server on two replicas, with a proxy in their channel. */
async function pair({ mode = [], detectMs = DETECT_MS, direct = false }: PairOptions = {}): Promise<Running> {
  const key = join(site.folder, 'key');
  await ft86(['keygen', key]);
  const [plug, port] = [`unix:${join(site.folder, 'switch')}`, await freePort()];
  const network = site.start(['switch', '--key', key, '--listen', plug, '--uplink', 'host:udp=0:10.86.0.2:8086']);
  const udpPort = Number((await network.says(/udp 127.0.0.1:(\d+) goes to/))[1]);
  const common = [
    ...[
      '--name',
      NAME,
      '--key',
      key,
      '--detect-ms',
      String(detectMs),
      '--arbiter',
      `file:${join(site.folder, 'arbiter')}`,
    ],
    ...['--net', `switch=${plug}`, '--json'],
  ];
  const channel = `tcp://127.0.0.1:${port}`;
  const disk = join(site.folder, 'disk');
  writeFileSync(disk, Buffer.alloc(1 << 20));
  const drive = ['--drive', `file=${disk}`];
  const primary = site.start(['primary', 'kv', '--channel', channel, '--wait-backup', ...drive, ...common, ...mode]);
  await primary.says(/listens for a backup/);
  const proxy = site.proxy(port);
  const backup = site.start(['backup', '--channel', direct ? channel : await proxy.listen(), ...drive, ...common]);
  await backup.says(/has the whole state/);
  await primary.says(/kv: 10.86.0.2 ready/);
  return { primary, backup, proxy, channel, udpPort };
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** A command beside the replicas, and what it said. */
async function ask(...args: readonly string[]): Promise<string> {
  const program = site.start(args);
  expect(await program.ends()).toBe(0);
  return program.output;
}

function times(text: string, pattern: RegExp): number {
  return [...text.matchAll(pattern)].length;
}

test.each([['log'], ['checkpoint']])(
  'under --replication %s',
  async (replication) => {
    const { primary, backup, proxy, udpPort } = await pair({ mode: ['--replication', replication] });
    const spec = 'kv:ops=600,clients=4,rate=300';
    const load = ft86(['load', spec, '--to', `127.0.0.1:${udpPort}`, '--json']);
    const under = { load: true };
    void load.then(() => (under.load = false));
    let breaks = 0;
    for (let i = 0; under.load; i++) {
      // Often right after the one before, too.
      await sleep([150, 7, 250, 1, 90][i % 5]!);
      proxy.break();
      breaks++;
    }
    const { stdout } = await load;
    expect(JSON.parse(stdout)).toMatchObject({ acked: 600, lost: 0, duplicated: 0, completed: true });
    // The newest break is mended, too.
    await sleep(500);
    await ask('stop', NAME);
    const statuses = [await primary.ends(), await backup.ends()];
    for (const { output } of [primary, backup]) {
      expect(output).not.toMatch(/lost its backup|is gone|LIVE|epoch 2/);
      expect(times(output, /the channel goes on/g)).toBeGreaterThan(breaks / 4);
    }
    expect(statuses).toEqual([0, 0]);
    expect(breaks).toBeGreaterThan(10);
    expect(times(primary.output, /a backup joined/g)).toBe(1);
    expect(times(backup.output, /backup: joined /g)).toBe(1);
    const digests = [primary, backup].map(({ output }) => /"digest": "(\w+)"/.exec(output)![1]);
    expect(digests[1]).toBe(digests[0]);
  },
  60_000,
);

test('a backup that died is given up at once, not after the time-out', async () => {
  const { primary, backup } = await pair({ detectMs: 10_000 });
  const killedMs = performance.now();
  backup.child.kill('SIGKILL');
  await primary.says(/won the test-and-set, live alone in epoch 2/, 5000);
  expect(performance.now() - killedMs).toBeLessThan(4000);
}, 30_000);

test('a replica that stood still for less than the time-out finds its connection whole', async () => {
  const { primary, backup } = await pair({ direct: true });
  for (let stops = 0; stops < 3; stops++) {
    for (const { child } of [primary, backup]) {
      child.kill('SIGSTOP');
      await sleep(400);
      child.kill('SIGCONT');
      await sleep(200);
    }
  }
  for (const { output, ended } of [primary, backup]) {
    expect(output).not.toMatch(/lost its backup|is gone|channel/);
    expect(ended).toBe(false);
  }
}, 30_000);

test('a stranger who has the key, and not the secret of the join, is refused and disturbs nobody', async () => {
  const { primary, backup, channel } = await pair({ direct: true });
  const id = /"replicaId": "(backup-[^"]+)"/.exec(await ask('status', NAME, '--json'))![1]!;
  const connection = await connect({ address: channel, key: readKey(join(site.folder, 'key')), timeoutMs: 1000 });
  const answer = new Promise((resolve) => {
    connection.onFrame = (bytes) => {
      resolve(decodeMessage(bytes));
    };
  });
  const resume = { protocol: CHANNEL_PROTOCOL, replicaId: id, secret: '00'.repeat(32), nextSeq: 1 };
  connection.send(encodeMessage({ type: 'resume', resume }));
  expect(await answer).toEqual({ type: 'refused', reason: 'not this backup' });
  await sleep(500);
  for (const { output, ended } of [primary, backup]) {
    expect(output).not.toMatch(/lost its backup|is gone|channel/);
    expect(ended).toBe(false);
  }
}, 30_000);
