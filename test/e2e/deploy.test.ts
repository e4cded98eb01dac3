/**
 * Goal: what docs/deploy.md says about two hosts and their units is so: the units are well-formed, their commands run a pair across
 * hosts, and hosts that die and come back cost its clients nothing.
 * Method: systemd-analyze reads the units; their ExecStart lines, with the example's configuration, run on hosts in network
 * namespaces; kill -9 of everything on a host stands for its crash, the enabled unit for its boot.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Deployment } from './deployment.js';
import { exampleConfiguration, PROGRAM, unitNames, unitText } from './units.js';

const root = join(import.meta.dirname, '../..');

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ft86-deploy-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe('the units', () => {
  test('have nothing that systemd does not understand', () => {
    const paths = unitNames().map((name) => {
      const path = join(folder, name);
      writeFileSync(path, unitText(name).replaceAll(PROGRAM, join(root, 'ft86')));
      return path;
    });
    expect(paths).toHaveLength(4);
    const { error, status, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', ...paths], {
      encoding: 'utf8',
    });
    if (error !== undefined) throw new Error('systemd-analyze is not installed; "make extras" installs it');
    // Other units of this machine are none of ours.
    const ours = stderr.split('\n').filter((line) => line.includes('ft86'));
    expect([status, ours]).toEqual([0, []]);
  });

  test('die without ending the guest, and only the backup’s comes back by itself', () => {
    for (const name of ['ft86-primary.service', 'ft86-backup.service'])
      expect(unitText(name)).toMatch(/^KillSignal=SIGKILL$/m);
    expect(unitText('ft86-primary.service')).toMatch(/^Restart=no$[^]*^KillSignal/m);
    expect(unitText('ft86-backup.service')).toMatch(/^Restart=always$/m);
  });

  test('use every setting of the example, and no other', () => {
    const used = unitNames().flatMap((name) =>
      [...unitText(name).matchAll(/\$\{?([A-Z_]+)/g)].map(([, setting]) => setting),
    );
    expect(new Set(used)).toEqual(new Set(Object.keys(exampleConfiguration())));
  });
});

/** Of one, about the backup on two; datagrams of a program on two that is no replica are counted and nothing else. */
async function hearsHeartbeats(site: Deployment): Promise<void> {
  const address = site.fabric.address('one', 'two');
  const send = `require('dgram').createSocket('udp4').send('no heartbeat', 8600, '${address}', () => process.exit())`;
  expect(await site.program('two', ['-e', send]).ends()).toBe(0);
  const status = site.ft86('one', 'status', 'shop', '--json');
  await status.ends();
  expect(status.output).toMatch(/"heartbeats": \{\s+"sent": [1-9]\d*,\s+"received": [1-9]\d*,\s+"malformed": 1,/);
}

test('hosts crash and come back, one after the other: the clients lose nothing', async () => {
  const site = await Deployment.make();
  try {
    await site.start('store', 'disk-server').says(/export disk/);
    await site.start('store', 'switch').says(/udp 127.0.0.1:7000/);
    const second = site.start('two', 'backup');
    await site.start('one', 'primary').says(/a backup joined/);
    const load = site.ft86('store', 'load', 'kv:ops=1800,clients=4,rate=300', '--to', '127.0.0.1:7000', '--json');
    await second.says(/has the whole state/);
    await hearsHeartbeats(site);
    await new Promise((resolve) => setTimeout(resolve, 1000));
    site.crash('one');
    await second.says(/LIVE at icount/);
    const first = site.start('one', 'backup');
    await first.says(/has the whole state/);
    await second.says(/a backup joined/);
    site.crash('two');
    await first.says(/LIVE at icount/);
    expect([await load.ends(30_000), load.output]).toEqual([0, expect.stringMatching(/"acked": 1800,\s+"lost": 0/)]);
    expect(await site.ft86('one', 'stop', 'shop').ends()).toBe(0);
    expect(await first.ends()).toBe(0);
  } finally {
    site.close();
  }
}, 60_000);
