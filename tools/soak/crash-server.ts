/**
 * A server of the site that can die and come back, as a process of its own: `ft86 disk-server`, `ft86 switch`, or nbdkit
 * with a cache that is lost with it, as a disk server's host loses what was not flushed.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { rmSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { projectRoot } from '../images/manifest.js';

const LOOK_MS = 20;
const START_MS = 20_000;

export class CrashServer {
  readonly #socket: string;
  readonly #command: readonly string[];
  #child: ChildProcess | null = null;
  #back: Promise<void> = Promise.resolve();

  /** @param socket where it listens */
  private constructor(socket: string, command: readonly string[]) {
    this.#socket = socket;
    this.#command = command;
  }

  /** `ft86 ARGS`, which listens at `socket` by itself. */
  static ft86(socket: string, args: readonly string[]): CrashServer {
    const command = [process.execPath, join(projectRoot(), 'ft86'), ...args, '--listen', `unix:${socket}`];
    return new CrashServer(socket, command);
  }

  /** A disk server that loses, when it dies, what was written and not flushed. */
  static forgetful(socket: string, disk: string): CrashServer {
    return new CrashServer(socket, ['nbdkit', '-f', '-U', socket, '--filter=cache', 'file', disk, 'cache=writeback']);
  }

  /** Resolves when it serves. @throws Error when it ends before that */
  async start(): Promise<void> {
    rmSync(this.#socket, { force: true });
    const [program = '', ...args] = this.#command;
    const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, NO_COLOR: '1' } });
    this.#child = child;
    let said = '';
    const gone = new AbortController();
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-4000)));
    child.on('error', (error) => (said += error.message));
    child.on('close', () => {
      gone.abort();
    });
    const endMs = performance.now() + START_MS;
    while (!(await answers(this.#socket))) {
      if (gone.signal.aborted || performance.now() > endMs) throw new Error(`${program} does not serve: ${said}`);
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
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

/** Whether somebody listens at a UNIX socket. */
export function answers(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createConnection(socket);
    probe.on('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.on('error', () => {
      resolve(false);
    });
  });
}
