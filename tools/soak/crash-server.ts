/** A server of the site that can die and come back: `ft86 disk-server` or `ft86 switch` as a process of its own. */
import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { projectRoot } from '../images/manifest.js';

const READY = /listens at/;

export class CrashServer {
  readonly #args: readonly string[];
  #child: ChildProcess | null = null;
  #back: Promise<void> = Promise.resolve();

  /** @param args what `ft86` gets */
  constructor(args: readonly string[]) {
    this.#args = args;
  }

  /** Resolves when it serves. @throws Error when it ends before that */
  start(): Promise<void> {
    const child = spawn(process.execPath, [join(projectRoot(), 'ft86'), ...this.#args], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, NO_COLOR: '1' },
    });
    this.#child = child;
    let said = '';
    return new Promise((resolve, reject) => {
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        said = (said + text).slice(-4000);
        if (READY.test(said)) resolve();
      });
      child.on('close', () => {
        reject(new Error(`ft86 ${this.#args[0] ?? ''} ended: ${said}`));
      });
    });
  }

  /** kill -9. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('close', resolve));
    child.kill('SIGKILL');
    await gone;
  }

  /** kill -9, and start it again after that time. */
  strike(awayMs: number): void {
    this.#back = this.#back.then(async () => {
      await this.kill();
      await new Promise((resolve) => setTimeout(resolve, awayMs));
      await this.start();
    });
    this.#back.catch(() => undefined);
  }

  /** Resolves when it is there after the last strike. @throws Error when it did not come back */
  back(): Promise<void> {
    return this.#back;
  }
}
