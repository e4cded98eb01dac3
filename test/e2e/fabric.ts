/**
 * Hosts with networks of their own on this machine, each two of them joined by a cable that can be cut, also in one direction.
 *
 *   host a ── veth ──┐ bridge of the link a-b, in a namespace of the fabric ┌── veth ── host b
 *
 * A cut is silent: an entry of the bridge's table leads frames for the receiver back to where they came from, where a bridge
 * never sends them. Nobody is told, as when a switch dies somewhere between.
 *
 * Each namespace is held by a `cat` that ends with this process, and has no name: nothing is left behind, whatever happens.
 * Root is not needed where user namespaces are allowed.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { readlinkSync } from 'node:fs';

const ROOT = process.getuid?.() === 0;

interface Link {
  /** The link's number: network 10.87.NUMBER.0/24. */
  readonly number: number;
  readonly hosts: readonly [string, string];
}

export class Fabric {
  readonly #links: Link[] = [];
  readonly #namespaces = new Map<string, ChildProcess>();
  readonly #cuts = new Set<string>();

  private constructor(hosts: readonly string[]) {
    hosts.forEach((a, i) => {
      for (const b of hosts.slice(i + 1)) this.#links.push({ number: this.#links.length + 1, hosts: [a, b] });
    });
  }

  /** Make the hosts, with a cable between each two. */
  static async make(hosts: readonly string[]): Promise<Fabric> {
    const fabric = new Fabric(hosts);
    try {
      await fabric.#make(hosts);
    } catch (cause) {
      fabric.close();
      throw new Error('no network namespaces here: they need root or user namespaces, and ip (make extras)', { cause });
    }
    return fabric;
  }

  /** The address of `host` on its cable to `peer`. */
  address(host: string, peer: string): string {
    const { number, hosts } = this.#link(host, peer);
    return `10.87.${number}.${hosts.indexOf(host) + 1}`;
  }

  /** The command line that runs `command` on `host`. */
  on(host: string, command: readonly string[]): string[] {
    return ['nsenter', ...this.#enter(host), '--', ...command];
  }

  /** Nothing gets from one host to the other any more. */
  async cut(from: string, to: string): Promise<void> {
    await this.#divert('add', from, to);
    this.#cuts.add(`${from} ${to}`);
  }

  /** Every cable is whole again. */
  async heal(): Promise<void> {
    for (const cut of this.#cuts) await this.#divert('del', ...(cut.split(' ') as [string, string]));
    this.#cuts.clear();
  }

  /** TCP between two hosts sends again what was lost after `ms` at the earliest, whatever it has measured. */
  async retransmitAfter(a: string, b: string, ms: number): Promise<void> {
    const { number } = this.#link(a, b);
    const route = (host: string): string =>
      `route replace 10.87.${number}.0/24 dev l${number} src ${this.address(host, host === a ? b : a)} rto_min ${ms}ms`;
    await Promise.all([a, b].map((host) => this.#ip(host, [route(host)])));
  }

  close(): void {
    for (const holder of this.#namespaces.values()) holder.kill('SIGKILL');
  }

  async #make(hosts: readonly string[]): Promise<void> {
    await this.#hold('fabric', ['unshare', ...(ROOT ? [] : ['-U', '-r']), '-n', 'cat']);
    await Promise.all(hosts.map((host) => this.#hold(host, [...this.#inUserNamespace(), 'unshare', '-n', 'cat'])));
    const middle = this.#links.flatMap((link) => {
      const [bridge, ...ports] = [`br${link.number}`, ...link.hosts.map((_, side) => portOf(link, side))];
      const cables = link.hosts.map((host, side) => {
        const holder = this.#namespaces.get(host)?.pid;
        return `link add ${ports[side]} type veth peer name l${link.number} address ${macOf(link, side)} netns ${holder}`;
      });
      const plugged = ports.flatMap((port) => [`link set ${port} master ${bridge}`, `link set ${port} up`]);
      return [`link add ${bridge} type bridge`, `link set ${bridge} up`, ...cables, ...plugged];
    });
    await this.#ip('fabric', middle);
    for (const link of this.#links) {
      for (const side of [0, 1]) await this.#bridge('link', 'set', 'dev', portOf(link, side), 'learning', 'off');
    }
    await Promise.all(hosts.map((host) => this.#ip(host, this.#interfaces(host))));
  }

  #interfaces(host: string): string[] {
    const own = this.#links.filter(({ hosts }) => hosts.includes(host));
    const cables = own.flatMap((link) => {
      const side = link.hosts.indexOf(host);
      const [name, peer] = [`l${link.number}`, `10.87.${link.number}.${2 - side}`];
      return [
        `addr add 10.87.${link.number}.${side + 1}/24 dev ${name}`,
        `link set ${name} up`,
        `neigh add ${peer} lladdr ${macOf(link, 1 - side)} dev ${name} nud permanent`,
      ];
    });
    return ['link set lo up', ...cables];
  }

  #divert(operation: 'add' | 'del', from: string, to: string): Promise<void> {
    const link = this.#link(from, to);
    const [port, mac] = [portOf(link, link.hosts.indexOf(from)), macOf(link, link.hosts.indexOf(to))];
    return this.#bridge('fdb', operation, mac, 'dev', port, 'master', 'static');
  }

  #link(a: string, b: string): Link {
    const link = this.#links.find(({ hosts }) => hosts.includes(a) && hosts.includes(b) && a !== b);
    if (link === undefined) throw new Error(`no cable between ${a} and ${b}`);
    return link;
  }

  async #hold(name: string, command: readonly string[]): Promise<void> {
    const [file, ...args] = command as [string, ...string[]];
    const holder = spawn(file, args, { stdio: ['pipe', 'ignore', 'inherit'] });
    this.#namespaces.set(name, holder);
    const failed = new Promise<never>((_, reject) => {
      holder.on('error', reject);
      holder.on('exit', () => {
        reject(new Error(`${command.join(' ')} ended`));
      });
    });
    failed.catch(() => undefined);
    const entered = async (): Promise<void> => {
      const outer = readlinkSync(`/proc/${name === 'fabric' ? 'self' : this.#namespaces.get('fabric')?.pid}/ns/net`);
      while ([outer, readlinkSync('/proc/self/ns/net')].includes(readlinkSync(`/proc/${holder.pid}/ns/net`))) {
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    };
    await Promise.race([entered(), failed]);
  }

  #inUserNamespace(): string[] {
    const pid = this.#namespaces.get('fabric')?.pid;
    return ROOT ? [] : ['nsenter', '-t', String(pid), '-U', '--preserve-credentials'];
  }

  #enter(name: string): string[] {
    const pid = String(this.#namespaces.get(name)?.pid);
    return ['-t', pid, ...(ROOT ? [] : ['-U', '--preserve-credentials']), '-n'];
  }

  #ip(name: string, lines: readonly string[]): Promise<void> {
    return run(['nsenter', ...this.#enter(name), '--', 'ip', '-batch', '-'], `${lines.join('\n')}\n`);
  }

  #bridge(...args: string[]): Promise<void> {
    return run(['nsenter', ...this.#enter('fabric'), '--', 'bridge', ...args], '');
  }
}

function portOf({ number }: Link, side: number): string {
  return `p${number}s${side}`;
}

function macOf({ number }: Link, side: number): string {
  return `02:87:00:00:0${number}:0${side + 1}`;
}

function run(command: readonly string[], input: string): Promise<void> {
  const [file, ...args] = command as [string, ...string[]];
  return new Promise((resolve, reject) => {
    const child = execFile(file, args, (error, _stdout, stderr) => {
      if (error === null) resolve();
      else reject(new Error(`${command.join(' ')}: ${stderr}`, { cause: error }));
    });
    // A command that reads nothing may have ended already.
    child.stdin?.on('error', () => undefined).end(input);
  });
}
