/** Two hosts with the units of docs/systemd and a third one with their disk and switch, in network namespaces. */
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateKey } from '../../hypervisor/channel/key-file.js';
import { Fabric } from './fabric.js';
import { Program } from './site.js';
import { commandOf, exampleConfiguration, PROGRAM } from './units.js';

const root = join(import.meta.dirname, '../..');
export type Host = 'one' | 'two' | 'store';

/** Two hosts of a pair, and the one of its disk and its switch. */
export class Deployment {
  readonly fabric: Fabric;
  readonly #folder = mkdtempSync(join(tmpdir(), 'ft86-deployment-'));
  readonly #programs = new Map<Host, Program[]>();

  private constructor(fabric: Fabric) {
    this.fabric = fabric;
  }

  static async make(): Promise<Deployment> {
    const deployment = new Deployment(await Fabric.make(['one', 'two', 'store']));
    const folder = deployment.#folder;
    generateKey(join(folder, 'pair.key'));
    for (const host of ['one', 'two', 'store']) mkdirSync(join(folder, host));
    const disk = join(folder, 'store/disk.img');
    writeFileSync(disk, '');
    truncateSync(disk, 1 << 20);
    return deployment;
  }

  start(host: Host, unit: string): Program {
    const command = commandOf(`ft86-${unit}.service`, this.#configuration(host)).map((word) =>
      word
        .replace(PROGRAM, join(root, 'ft86'))
        .replace('/etc/ft86/', `${this.#folder}/`)
        .replace('/var/lib/ft86/', `${this.#folder}/${host}/`),
    );
    return this.#run(host, `${unit} on ${host}`, command);
  }

  ft86(host: Host, ...args: string[]): Program {
    return this.#run(host, `ft86 on ${host}`, [join(root, 'ft86'), ...args]);
  }

  /** A program for node. */
  program(host: Host, args: readonly string[]): Program {
    return this.#run(host, `node on ${host}`, [process.execPath, ...args]);
  }

  /** Everything on that host dies. */
  crash(host: Host): void {
    for (const { child } of this.#programs.get(host) ?? []) child.kill('SIGKILL');
  }

  close(): void {
    for (const host of ['one', 'two', 'store'] as const) this.crash(host);
    this.fabric.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #configuration(host: Host): Record<string, string> {
    const example = exampleConfiguration();
    if (host === 'store') return { ...example, STORE: '0.0.0.0' };
    const peer = host === 'one' ? 'two' : 'one';
    const store = this.fabric.address('store', host);
    const own = { OWN: this.fabric.address(host, peer), PEER: this.fabric.address(peer, host) };
    return { ...example, ...own, STORE: store, ARBITER: `nbds://${store}` };
  }

  #run(host: Host, name: string, command: readonly string[]): Program {
    const program = new Program(name, this.fabric.on(host, command), { XDG_RUNTIME_DIR: join(this.#folder, host) });
    this.#programs.set(host, [...(this.#programs.get(host) ?? []), program]);
    return program;
  }
}
