/**
 * Goal: a live replica that cannot reach its disk server, while its backup can, lets the backup go live and gives way; when neither
 * can, both wait as a pair.
 * Method: real processes, a proxy between each replica and the disk server that stands still as a cut cable does, under a load
 * whose history is checked.
 */
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../hypervisor/ft/etcd-server.js';
import { ft86, type Run } from './ft86.js';
import { LocalSite } from './local-site.js';
import type { Proxy } from './proxy.js';
import type { Program } from './site.js';

let site: LocalSite;
beforeEach(() => {
  site = new LocalSite();
});
afterEach(() => {
  site.close();
});

interface Running {
  readonly primary: Program;
  readonly backup: Program;
  /** Each replica's way to the disk server. */
  readonly ways: { readonly primary: Proxy; readonly backup: Proxy };
  readonly load: Promise<Run>;
}

/** A key-value server under load. */
async function pair(): Promise<Running> {
  const [plug, served] = [`unix:${join(site.folder, 'switch')}`, await freePort()];
  const disk = join(site.folder, 'disk');
  writeFileSync(disk, Buffer.alloc(1 << 20));
  await site.start(['disk-server', disk, '--listen', `tcp://127.0.0.1:${served}`]).says(/export disk/);
  const network = site.start(['switch', '--listen', plug, '--uplink', 'host:udp=0:10.86.0.2:8086']);
  const udpPort = (await network.says(/udp 127.0.0.1:(\d+) goes to/))[1]!;
  const way = async (): Promise<Proxy> => {
    const proxy = site.proxy(served);
    await proxy.listen();
    return proxy;
  };
  const ways = { primary: await way(), backup: await way() };
  const common = (proxy: Proxy): string[] => [
    ...['--name', 'ways', '--drive', `nbd://127.0.0.1:${proxy.port}/disk`, '--net', `switch=${plug}`],
  ];
  const primary = site.start([
    'primary',
    'kv',
    '--channel',
    'tcp://127.0.0.1:0',
    '--wait-backup',
    ...common(ways.primary),
  ]);
  const [, channel] = await primary.says(/listens for a backup at (\S+)/);
  const backup = site.start(['backup', '--channel', channel!, ...common(ways.backup)]);
  await primary.says(/kv: 10.86.0.2 ready/);
  const spec = 'kv:ops=900,clients=4,rate=300,timeout-ms=30000';
  const load = ft86(['load', spec, '--to', `127.0.0.1:${udpPort}`, '--json']);
  await sleep(1000);
  return { primary, backup, ways, load };
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function served(load: Promise<Run>): Promise<void> {
  const { stdout, stderr } = await load;
  expect([stdout, stderr]).toEqual([expect.stringMatching(/^\{/), expect.anything()]);
  expect(JSON.parse(stdout)).toMatchObject({ acked: 900, lost: 0, duplicated: 0, completed: true });
}

test('the primary’s way to the disk is cut: the backup, which has one, takes over', async () => {
  const { primary, backup, ways, load } = await pair();
  ways.primary.hold();
  await primary.says(/its disk server is out of reach, and within that of its backup: hands over/);
  await backup.says(/the primary is gone \(handed-over\)[^]*LIVE at icount/);
  await served(load);
  await primary.says(/the arbiter cannot be reached: waiting/);
  ways.primary.heal();
  expect(await primary.ends()).toBe(4);
  expect(primary.output).toMatch(/another replica (won|went live in) epoch 2/);
}, 60_000);

test('nobody’s way to the disk is whole: nobody hands over, and the pair goes on when it is', async () => {
  const { primary, backup, ways, load } = await pair();
  ways.primary.hold();
  ways.backup.hold();
  await primary.says(/no answer for 3 s/);
  // Longer than what a primary waits before it asks.
  await sleep(6000);
  ways.primary.heal();
  await served(load);
  for (const { output, ended } of [primary, backup]) {
    expect(output).not.toMatch(/lost its backup|is gone|hands over/);
    expect(ended).toBe(false);
  }
}, 60_000);
