/**
 * One round of crashes: a pair at work, with its disk server and switch, loses parts by kill -9; then it is looked at what
 * the guest was told and what is there.
 *
 *   ledger   says which records are durable; after the round its disk is read here, and once more by the guest
 *   kv       clients know what they were told; a last load reads everything back
 */
import { spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { projectRoot } from '../images/manifest.js';
import { runLoad } from '../load/load-run.js';
import type { LoadSpec } from '../load/load-spec.js';
import { checkLedger } from './check-ledger.js';
import { CrashPair } from './crash-pair.js';
import type { CrashRound, Strike, Victim } from './crash-plan.js';
import { CrashServer } from './crash-server.js';

const DISK_BYTES = 1 << 20;
const SLOTS = 32;
/** How long the guest works before the first strike. */
const FIRST_MS = 300;
const LOAD: LoadSpec = { kind: 'kv', operations: 250, clients: 4, ratePerSecond: 250, timeoutMs: 20_000, seed: 1 };

export interface CrashOutcome {
  readonly kills: readonly Victim[];
  readonly takeovers: number;
  /** Records that the guest was told are durable. */
  readonly durable: number;
  /** Operations that clients were told are done. */
  readonly acked: number;
  readonly faults: readonly string[];
}

export async function runCrashRound(round: CrashRound): Promise<CrashOutcome> {
  const folder = mkdtempSync(join(tmpdir(), 'ft86-crash-'));
  const site = new CrashSite(round, folder);
  try {
    return await site.run();
  } finally {
    await site.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

class CrashSite {
  readonly #round: CrashRound;
  readonly #disk: string;
  readonly #console: string;
  readonly #folder: string;
  readonly #diskServer: CrashServer | null;
  #switch: CrashServer | null = null;
  #pair: CrashPair | null = null;
  readonly #kills: Victim[] = [];
  readonly #faults: string[] = [];
  #acked = 0;

  constructor(round: CrashRound, folder: string) {
    this.#round = round;
    this.#folder = folder;
    this.#disk = join(folder, 'disk');
    this.#console = join(folder, 'console');
    writeFileSync(this.#disk, '');
    truncateSync(this.#disk, DISK_BYTES);
    const socket = join(folder, 'disks');
    const server = {
      ft86: () => CrashServer.ft86(socket, ['disk-server', this.#disk]),
      forgetful: () => CrashServer.forgetful(socket, this.#disk),
    };
    this.#diskServer = round.disk === 'own' ? null : server[round.server]();
  }

  async run(): Promise<CrashOutcome> {
    await this.#diskServer?.start();
    const port = this.#round.guest === 'kv' ? await this.#startSwitch() : 0;
    const pair = new CrashPair(this.#arguments());
    this.#pair = pair;
    await pair.whole();
    await sleep(FIRST_MS);
    let over = false;
    const strikes = this.#strikes(pair).finally(() => (over = true));
    if (this.#round.guest === 'kv') await this.#load(port, strikes, () => over);
    await strikes;
    await Promise.all([this.#diskServer?.back(), this.#switch?.back()]);
    if (!this.#kills.includes('everything')) await this.#stop(pair);
    const durable = this.#round.guest === 'ledger' ? this.#checkDisk(pair.live) : 0;
    return { kills: this.#kills, takeovers: pair.takeovers, durable, acked: this.#acked, faults: this.#faults };
  }

  async close(): Promise<void> {
    await this.#pair?.killAll();
    for (const server of [this.#diskServer, this.#switch]) {
      await server?.back().catch(() => undefined);
      await server?.kill();
    }
  }

  #arguments(): string[] {
    const { guest, disk } = this.#round;
    const name = this.#round.server === 'ft86' ? 'disk' : '';
    const served = `nbd+unix:///${name}?socket=${join(this.#folder, 'disks')}`;
    const drive = { own: `file=${this.#disk},shared=off`, shared: served, 'backup-reads': `${served},backup-reads=on` }[
      disk
    ];
    const network = guest === 'kv' ? ['--net', `switch=unix:${join(this.#folder, 'switch')}`, '--load', 'none'] : [];
    const append = guest === 'ledger' ? ['--append', 'records=0'] : [];
    const replication = ['--replication', this.#round.replication];
    return [guest, ...append, '--drive', drive, ...network, ...replication, '--serial', `file:${this.#console}`];
  }

  async #startSwitch(): Promise<number> {
    const port = await freePort();
    const uplink = `host:udp=${port}:10.86.0.2:8086`;
    this.#switch = CrashServer.ft86(join(this.#folder, 'switch'), ['switch', '--uplink', uplink]);
    await this.#switch.start();
    return port;
  }

  async #strikes(pair: CrashPair): Promise<void> {
    for (const strike of this.#round.strikes) {
      if (strike.victim === 'primary' || strike.victim === 'backup') await pair.whole();
      await sleep(strike.afterMs);
      await this.#strike(pair, strike);
      this.#kills.push(strike.victim);
    }
    if (!this.#kills.includes('everything')) await pair.whole();
  }

  async #strike(pair: CrashPair, { victim, awayMs }: Strike): Promise<void> {
    switch (victim) {
      case 'primary':
      case 'backup':
        pair.kill(victim);
        return;
      case 'disk-server':
        this.#diskServer?.strike(awayMs);
        return;
      case 'switch':
        this.#switch?.strike(awayMs);
        return;
      case 'everything':
        // A server that is just coming back comes back first: what is killed here stays dead.
        await this.#diskServer?.back();
        await Promise.all([pair.killAll(), this.#diskServer?.kill()]);
    }
  }

  /** Clients ask until the last strike is over, and the last of them read back everything after it. */
  async #load(port: number, strikes: Promise<void>, over: () => boolean): Promise<void> {
    let last = false;
    for (let run = 0; !last; run++) {
      last = over();
      const result = await runLoad(
        { ...LOAD, seed: run },
        { host: '127.0.0.1', port },
        { beforeCheck: () => (last ? strikes : Promise.resolve()) },
      );
      this.#acked += result.acked;
      const { lost, duplicated, findings } = result;
      if (lost > 0 || duplicated > 0)
        this.#faults.push(`${lost} lost, ${duplicated} duplicated: ${findings.join('; ')}`);
    }
  }

  async #stop(pair: CrashPair): Promise<void> {
    const { identical, error, stop, copies } = await pair.stop();
    if (identical === false) this.#faults.push(`the replicas differ: ${error ?? 'see diff'}`);
    if (stop !== 'stopped') this.#faults.push(`the guest ended by itself: ${stop ?? ''}: ${lastLine(this.#console)}`);
    if (copies.some((copy) => copy.identical === false)) this.#faults.push('the copies of the disk differ');
  }

  /** Everything that was said to be durable is there, and the guest itself finds it. */
  #checkDisk(live: string): number {
    const said = [...readFileSync(this.#console, 'utf8').matchAll(/ledger: durable (\d+)\r?\n/g)];
    const durable = Math.max(0, ...said.map(([, record]) => Number(record)));
    if (durable === 0) this.#faults.push('the guest was never told that anything is durable');
    // Of disks of their own the live replica's counts; a run that ended in order has put it where it was.
    const moved = this.#round.disk === 'own' && this.#kills.includes('everything') && live !== 'primary';
    const disk = moved ? `${this.#disk}.${live}` : this.#disk;
    this.#faults.push(...checkLedger(readFileSync(disk), SLOTS, durable));
    const command = [
      join(projectRoot(), 'ft86'),
      'boot',
      'ledger',
      '--append',
      'records=16',
      '--drive',
      `file=${disk}`,
    ];
    const { status, stdout, stderr } = spawnSync(process.execPath, command, { encoding: 'utf8' });
    const newest = Number(/newest record (\d+)/.exec(stdout)?.[1] ?? NaN);
    if (status !== 0 || !(newest >= durable)) {
      this.#faults.push(`the guest finds record ${newest}, ${durable} is durable: ${lastLineOf(stdout + stderr)}`);
    }
    return durable;
  }
}

function lastLine(path: string): string {
  return lastLineOf(readFileSync(path, 'utf8'));
}

function lastLineOf(text: string): string {
  return text.trim().split('\n').at(-1) ?? '';
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** A UDP port of this machine that is free now. */
async function freePort(): Promise<number> {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  socket.close();
  return port;
}
