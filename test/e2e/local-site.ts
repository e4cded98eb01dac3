/** A folder, programs and proxies on this host, which all go when the test is over. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Proxy } from './proxy.js';
import { Program } from './site.js';

const root = join(import.meta.dirname, '../..');

export class LocalSite {
  readonly folder = mkdtempSync(join(tmpdir(), 'ft86-site-'));
  readonly #programs: Program[] = [];
  readonly #proxies: Proxy[] = [];

  /** `ft86 ARGS` */
  start(args: readonly string[]): Program {
    const environment = { XDG_RUNTIME_DIR: this.folder };
    const program = new Program(args[0]!, [process.execPath, join(root, 'ft86'), ...args], environment);
    this.#programs.push(program);
    return program;
  }

  /** A proxy to a port of loopback; it does not listen yet. */
  proxy(to: number): Proxy {
    const proxy = new Proxy(to);
    this.#proxies.push(proxy);
    return proxy;
  }

  close(): void {
    for (const { child } of this.#programs) child.kill('SIGKILL');
    for (const proxy of this.#proxies) proxy.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
