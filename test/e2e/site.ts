/** A pair and its arbiter as real processes on hosts of their own, with a key file, and what their consoles have shown. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateKey } from '../../hypervisor/channel/key-file.js';
import { Fabric } from './fabric.js';

export const DETECT_MS = 400;
const root = join(import.meta.dirname, '../..');

export type HostName = 'primary' | 'backup' | 'arbiter';
export type ReplicaName = 'primary' | 'backup';

/** Nothing gets from the first host to the second. */
export type Cut = readonly [HostName, HostName];
export const P_B: readonly Cut[] = [
  ['primary', 'backup'],
  ['backup', 'primary'],
];
export const P_A: readonly Cut[] = [
  ['primary', 'arbiter'],
  ['arbiter', 'primary'],
];
export const B_A: readonly Cut[] = [
  ['backup', 'arbiter'],
  ['arbiter', 'backup'],
];

/** A program on a host. */
export class Program {
  readonly child: ChildProcess;
  readonly #name: string;
  #text = '';

  constructor(name: string, command: readonly string[], environment: NodeJS.ProcessEnv) {
    this.#name = name;
    const [file, ...args] = command as [string, ...string[]];
    this.child = spawn(file, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, NO_COLOR: '1', ...environment },
    });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => (this.#text += text));
    }
    this.child.on('error', (error) => (this.#text += String(error)));
  }

  get output(): string {
    return this.#text;
  }

  get ended(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  /** Wait for a line. */
  async says(pattern: RegExp, timeoutMs = 30_000): Promise<RegExpExecArray> {
    let match: RegExpExecArray | null = null;
    await until(
      `${this.#name} says ${pattern.source}`,
      timeoutMs,
      () => {
        match = pattern.exec(this.#text);
        if (match === null && this.ended) throw new Error(`${this.#name} ended:\n${this.#text}`);
        return match !== null;
      },
      () => this.#text,
    );
    return match as unknown as RegExpExecArray;
  }

  async ends(timeoutMs = 30_000): Promise<number | null> {
    await until(
      `${this.#name} ends`,
      timeoutMs,
      () => this.ended,
      () => this.#text,
    );
    return this.child.exitCode;
  }
}

export interface SiteOptions {
  /** Who decides. */
  readonly arbiter?: 'disk-server' | 'etcd';
  /** The guest serves keys and values, its disk and its switch are on the arbiter's host; otherwise it says that it lives. */
  readonly service?: boolean;
  /** --detect-ms of both. */
  readonly detectMs?: number;
}

export class Site {
  readonly fabric: Fabric;
  readonly #options: SiteOptions;
  readonly #folder: string;
  readonly #programs: Program[] = [];
  primary!: Program;
  backup!: Program;
  switch!: Program;

  private constructor(fabric: Fabric, options: SiteOptions) {
    this.fabric = fabric;
    this.#options = options;
    this.#folder = mkdtempSync(join(tmpdir(), 'ft86-site-'));
    for (const host of ['primary', 'backup', 'arbiter']) mkdirSync(join(this.#folder, host));
  }

  /** A pair that runs. */
  static async start(options: SiteOptions = {}): Promise<Site> {
    const site = new Site(await Fabric.make(['primary', 'backup', 'arbiter']), options);
    try {
      await site.#start();
    } catch (error) {
      site.close();
      throw error;
    }
    return site;
  }

  async cut(...cuts: readonly Cut[]): Promise<void> {
    await Promise.all(cuts.map(([from, to]) => this.fabric.cut(from, to)));
  }

  replica(name: ReplicaName): Program {
    return name === 'primary' ? this.primary : this.backup;
  }

  /** Bytes that the console of a replica's host has shown, counted from the guest's first. */
  shown(name: ReplicaName): number {
    try {
      return statSync(this.#console(name)).size;
    } catch {
      return 0;
    }
  }

  /** The guest's output goes on, on that replica's host. */
  async goesOn(name: ReplicaName): Promise<void> {
    const from = this.shown(name);
    const more = (): boolean => this.shown(name) > from + 50;
    await until(`the guest goes on at the ${name}`, 30_000, more, () => this.replica(name).output);
  }

  /** Both consoles together are one run of the guest. @returns the last tick that was shown */
  lastTick(): number {
    const texts = (['primary', 'backup'] as const).map((name) =>
      this.shown(name) === 0 ? '' : readFileSync(this.#console(name), 'latin1'),
    );
    const length = Math.max(...texts.map((text) => text.length));
    let text = '';
    for (let i = 0; i < length; i++) {
      const bytes = texts.map((one) => one[i] ?? '\0').filter((byte) => byte !== '\0');
      const [byte] = bytes;
      if (byte === undefined || bytes.some((same) => same !== byte)) {
        throw new Error(`the consoles contradict each other, or leave a gap, at offset ${i}`);
      }
      text += byte;
    }
    const ticks = [...text.matchAll(/^idle: (\d+) ticks\r$/gm)].map((match) => Number(match[1]));
    ticks.forEach((tick, i) => {
      if (tick !== (i + 1) * 5) throw new Error(`tick ${tick} is line ${i + 1}`);
    });
    return ticks.at(-1) ?? 0;
  }

  close(): void {
    for (const { child } of this.#programs) child.kill('SIGKILL');
    this.fabric.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Clients of the service, on the arbiter's host. They are patient. */
  load(spec: string): Program {
    return this.#ft86('arbiter', ['load', `kv:timeout-ms=30000,${spec}`, '--to', '127.0.0.1:7000', '--json']);
  }

  async #start(): Promise<void> {
    const { arbiter, service, detectMs = DETECT_MS } = this.#options;
    const key = join(this.#folder, 'key');
    generateKey(key);
    await this.#diskServer(key);
    if (arbiter === 'etcd') await this.#etcd();
    if (service === true) await this.startSwitch();
    const { fabric } = this;
    const common = (name: ReplicaName): string[] => {
      const server = fabric.address('arbiter', name);
      return [
        ...['--name', 'site', '--key', key, '--detect-ms', String(detectMs)],
        ...['--arbiter', arbiter === 'etcd' ? `etcd:http://${server}:2379` : `nbds://${server}`],
        ...['--serial', `file:${this.#console(name)}`],
        ...(service === true ? ['--drive', `nbds://${server}/disk`, '--net', `switch=tcp://${server}:8610`] : []),
      ];
    };
    const channel = `tcp://${fabric.address('primary', 'backup')}:8600`;
    const guest = service === true ? ['kv'] : ['idle', '--append', 'hz=100 report=5'];
    const primary = ['primary', ...guest, '--channel', channel, ...common('primary'), '--wait-backup'];
    this.primary = this.#ft86('primary', primary);
    const listen = `tcp://${fabric.address('backup', 'primary')}:8600`;
    this.backup = this.#ft86('backup', ['backup', '--channel', channel, '--listen', listen, ...common('backup')]);
    await this.backup.says(/has the whole state/);
    await this.goesOn('primary');
  }

  /** Start the switch, also one that was killed. */
  async startSwitch(): Promise<void> {
    const key = join(this.#folder, 'key');
    const listen = this.#addresses().flatMap((address) => ['--listen', `tcp://${address}:8610`]);
    const uplink = ['--uplink', 'host:udp=7000:10.86.0.2:8086'];
    this.switch = this.#ft86('arbiter', ['switch', '--key', key, ...listen, ...uplink]);
    await this.switch.says(/udp 127.0.0.1:7000 goes to/);
  }

  async #diskServer(key: string): Promise<void> {
    const disk = join(this.#folder, 'arbiter/disk');
    writeFileSync(disk, Buffer.alloc(1 << 20));
    const listen = this.#addresses().flatMap((address) => ['--listen', `tcp://${address}:10809`]);
    const server = this.#ft86('arbiter', ['disk-server', disk, '--key', key, ...listen]);
    await server.says(/export disk/);
  }

  async #etcd(): Promise<void> {
    const urls = this.#addresses().map((address) => `http://${address}:2379`);
    const peer = 'http://127.0.0.1:2380';
    const etcd = this.#run('arbiter', [
      ...['etcd', '--name', 'one', '--data-dir', join(this.#folder, 'arbiter/etcd')],
      ...['--listen-client-urls', urls.join(), '--advertise-client-urls', urls.join()],
      ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer, '--initial-cluster', `one=${peer}`],
    ]);
    await etcd.says(/serving client traffic insecurely|ready to serve client requests/);
  }

  #addresses(): string[] {
    return [this.fabric.address('arbiter', 'primary'), this.fabric.address('arbiter', 'backup')];
  }

  #console(name: ReplicaName): string {
    return join(this.#folder, name, 'console');
  }

  #ft86(host: HostName, args: readonly string[]): Program {
    return this.#run(host, [process.execPath, join(root, 'ft86'), ...args]);
  }

  #run(host: HostName, command: readonly string[]): Program {
    // What a replica keeps for itself is not shared, as on another machine.
    const environment = { XDG_RUNTIME_DIR: join(this.#folder, host) };
    const program = new Program(host, this.fabric.on(host, command), environment);
    this.#programs.push(program);
    return program;
  }
}

async function until(what: string, timeoutMs: number, condition: () => boolean, explain: () => string): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`not within ${timeoutMs} ms: ${what}; it said:\n${explain()}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
