/**
 * Goal: a live replica without a backup takes one from the pool in etcd by itself, again and again, and no client loses anything.
 * Method: a real etcd, disk server and switch, spares as processes of their own, kill -9 of whoever is live or backs it, under a
 * load whose history is checked. LOSSES=10 is the long form.
 */
import { expect, test } from '@jest/globals';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EtcdPool } from '../../tools/replica/etcd-pool.js';
import { freePort, startEtcd, type EtcdServer } from '../hypervisor/ft/etcd-server.js';
import { ft86 } from './ft86.js';
import { Program } from './site.js';

const LOSSES = Number(process.env['LOSSES'] ?? '3');
const RATE = 150;
/** What a loss and its replacement take here, with something to spare. */
const SECONDS_A_LOSS = 3;
const NAME = 'shop';
const root = join(import.meta.dirname, '../..');

class Hosts {
  readonly #folder = mkdtempSync(join(tmpdir(), 'ft86-pool-'));
  readonly #programs: Program[] = [];
  readonly #etcd: EtcdServer;
  readonly #common: string[] = [];
  readonly pool: EtcdPool;
  udpPort = 0;

  static async start(): Promise<Hosts> {
    const hosts = new Hosts(await startEtcd());
    await hosts.#servers();
    return hosts;
  }

  private constructor(etcd: EtcdServer) {
    this.#etcd = etcd;
    this.pool = new EtcdPool(`etcd:${etcd.url}`, NAME);
  }

  async #servers(): Promise<void> {
    const [nbd, plug, udp] = [await freePort(), await freePort(), await freePort()];
    const disk = join(this.#folder, 'disk');
    writeFileSync(disk, Buffer.alloc(1 << 20));
    await this.start('disk-server', ['disk-server', disk, '--listen', `tcp://127.0.0.1:${nbd}`]).says(/export disk/);
    const uplink = ['--uplink', `host:udp=${udp}:10.86.0.2:8086`];
    await this.start('switch', ['switch', '--listen', `tcp://127.0.0.1:${plug}`, ...uplink]).says(/goes to/);
    this.udpPort = udp;
    this.#common.push(
      ...['--name', NAME, '--pool', `etcd:${this.#etcd.url}`, '--arbiter', `etcd:${this.#etcd.url}`],
      ...['--drive', `nbd://127.0.0.1:${nbd}/disk`, '--net', `switch=tcp://127.0.0.1:${plug}`],
      ...['--serial', 'none', '--detect-ms', '300'],
    );
  }

  start(name: string, args: readonly string[]): Program {
    const folder = join(this.#folder, `${name}-${this.#programs.length}`);
    mkdirSync(folder);
    const command = [process.execPath, join(root, 'ft86'), ...args];
    const program = new Program(name, command, { XDG_RUNTIME_DIR: folder });
    this.#programs.push(program);
    return program;
  }

  primary(): Program {
    return this.start('primary', ['primary', 'kv', '--channel', 'tcp://127.0.0.1:0', '--wait-backup', ...this.#common]);
  }

  /** One that waits in the pool. */
  async spare(): Promise<Program> {
    const spare = this.start('spare', ['backup', '--listen', 'tcp://127.0.0.1:0', ...this.#common]);
    await spare.says(/waits in the pool/);
    return spare;
  }

  close(): void {
    for (const { child } of this.#programs) child.kill('SIGKILL');
    this.#etcd.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

async function withHosts(use: (hosts: Hosts) => Promise<void>): Promise<void> {
  const hosts = await Hosts.start();
  try {
    await use(hosts);
  } finally {
    hosts.close();
  }
}

/** The spare that has joined, taken out of `spares`. */
async function joined(spares: Program[]): Promise<Program> {
  const end = performance.now() + 20_000;
  for (;;) {
    const index = spares.findIndex(({ output }) => output.includes('has the whole state'));
    if (index >= 0) return spares.splice(index, 1)[0]!;
    if (performance.now() > end) throw new Error(`no spare joined:\n${spares.map(({ output }) => output).join('\n')}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test(
  `${LOSSES} losses, primary and backup in turn: the pool replaces each, and nothing acknowledged is lost`,
  () =>
    withHosts(async (hosts) => {
      const spares = [await hosts.spare(), await hosts.spare()];
      let live = hosts.primary();
      let backup = await joined(spares);
      const operations = LOSSES * RATE * SECONDS_A_LOSS;
      const load = `kv:ops=${operations},clients=4,rate=${RATE}`;
      const client = hosts.start('load', ['load', load, '--to', `127.0.0.1:${hosts.udpPort}`, '--json']);
      for (let i = 0; i < LOSSES; i++) {
        const spare = hosts.spare();
        if (i % 2 === 0) {
          live.child.kill('SIGKILL');
          await backup.says(/LIVE at icount/);
          live = backup;
        } else {
          backup.child.kill('SIGKILL');
          await live.says(/live alone in epoch/);
        }
        backup = await joined(spares);
        spares.push(await spare);
      }
      await client.says(/^\}$/m, (operations / RATE) * 1000 + 60_000);
      expect(JSON.parse(client.output.slice(client.output.indexOf('{')))).toMatchObject({
        ...{ operations, acked: operations, lost: 0, duplicated: 0, completed: true },
      });
    }),
  30_000 + LOSSES * 30_000,
);

test(
  'a spare that was asked but died is passed over for the next',
  () =>
    withHosts(async (hosts) => {
      const dead = await hosts.spare();
      const next = await hosts.spare();
      // It stands still: its lease runs out while it seems to wait.
      dead.child.kill('SIGSTOP');
      const primary = hosts.primary();
      await primary.says(/asked spare-/);
      dead.child.kill('SIGKILL');
      await primary.says(/passes over spare-.*: it is gone/);
      await next.says(/has the whole state/);
      // Whoever has the state leaves the pool.
      while ((await hosts.pool.list()).length > 0) await new Promise((resolve) => setTimeout(resolve, 50));
    }),
  40_000,
);

test(
  'a spare whose live replica is gone when it comes goes back to the pool; Ctrl-C takes it out',
  () =>
    withHosts(async (hosts) => {
      const spare = await hosts.spare();
      const [entry] = await hosts.pool.list();
      expect(await hosts.pool.claim(entry!, `tcp://127.0.0.1:${await freePort()}`)).toBe(true);
      // Of two that ask for the same spare one succeeds.
      expect(await hosts.pool.claim(entry!, 'tcp://127.0.0.1:1')).toBe(false);
      await spare.says(/back to the pool[^]*waits in the pool/, 20_000);
      spare.child.kill('SIGINT');
      expect(await spare.ends()).toBe(4);
      expect(await hosts.pool.list()).toEqual([]);
    }),
  40_000,
);

test.each([
  [['--listen', 'tcp://127.0.0.1:0'], /--channel/],
  [['--pool', 'etcd:http://127.0.0.1:1'], /--listen/],
  [['--pool', 'http://127.0.0.1:1', '--listen', 'tcp://127.0.0.1:0'], /etcd:http:\/\/HOST:PORT/],
  [
    ['--pool', 'etcd:http://127.0.0.1:1', '--listen', 'tcp://0.0.0.0:0'],
    /--listen tcp:\/\/0\.0\.0\.0:0: .*spare hosts reach/,
  ],
])('a backup with only %j is a mistake', async (args, message) => {
  const { status, stderr } = await ft86(['backup', '--name', NAME, ...args]);
  expect([status, stderr]).toEqual([2, expect.stringMatching(message)]);
});

test('a primary whose spares would be sent to a wildcard address is a mistake', async () => {
  const pool = ['--pool', 'etcd:http://127.0.0.1:1'];
  const { status, stderr } = await ft86(['primary', 'timer', '--name', NAME, '--channel', 'tcp://[::]:8600', ...pool]);
  expect([status, stderr]).toEqual([2, expect.stringMatching(/--channel tcp:\/\/\[::\]:8600: .*spare hosts reach/)]);
});
