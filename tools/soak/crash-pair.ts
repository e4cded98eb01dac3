/** A pair as a process of its own, of which one knows who is live, who follows, and what it ended with. */
import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import * as z from 'zod';
import { projectRoot } from '../images/manifest.js';

const resultSchema = z.object({
  stop: z.string().nullable(),
  exitCode: z.number(),
  identical: z.boolean().nullable(),
  error: z.string().nullable(),
  copies: z.array(z.object({ identical: z.boolean().nullable() })),
});
type Result = z.infer<typeof resultSchema>;

const WHOLE_MS = 30_000;
const END_MS = 40_000;
const LOOK_MS = 5;

export class CrashPair {
  readonly #child: ChildProcess;
  readonly #ended: Promise<number | null>;
  #stdout = '';
  #said = '';
  #read = 0;
  readonly #pids = new Map<string, number>();
  #live = 'primary';
  #backup: string | null = 'backup';
  #whole = false;
  #takeovers = 0;
  #over = false;

  /** @param args what `ft86 pair` gets */
  constructor(args: readonly string[]) {
    const command = [join(projectRoot(), 'ft86'), 'pair', ...args, '--replace', '--json'];
    // A group of its own, so that all of it can die at once.
    const child = spawn(process.execPath, command, {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
      env: { ...process.env, NO_COLOR: '1' },
    });
    this.#child = child;
    child.stdout.setEncoding('utf8').on('data', (text: string) => (this.#stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#said += text;
      this.#listen();
    });
    this.#ended = new Promise((resolve) => {
      child.on('close', (status) => {
        this.#over = true;
        resolve(status);
      });
    });
  }

  get takeovers(): number {
    return this.#takeovers;
  }
  /** Name of the replica that is live, or was last. */
  get live(): string {
    return this.#live;
  }
  /** The last of what it said. */
  get tail(): string {
    return this.#said.trim().split('\n').slice(-12).join('\n');
  }

  /** Resolves when the live replica has a backup that could take its place. @throws Error when it gets none */
  async whole(): Promise<void> {
    const endMs = performance.now() + WHOLE_MS;
    while (!this.#whole) {
      if (this.#over) throw new Error(`the pair ended:\n${this.tail}`);
      if (performance.now() > endMs) throw new Error(`no backup within ${WHOLE_MS} ms:\n${this.tail}`);
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }

  /** kill -9 whoever has that part now. */
  kill(victim: 'primary' | 'backup'): void {
    const pid = this.#pids.get(victim === 'primary' ? this.#live : (this.#backup ?? ''));
    this.#whole = false;
    if (pid !== undefined) signal(pid, 'SIGKILL');
  }

  /** kill -9 all of it. */
  async killAll(): Promise<void> {
    signal(-(this.#child.pid ?? 0), 'SIGKILL');
    await this.#ended;
  }

  /** End the run in order. @throws Error when it does not */
  async stop(): Promise<Result> {
    this.#child.kill('SIGINT');
    const timer = setTimeout(() => void this.killAll(), END_MS);
    const status = await this.#ended;
    clearTimeout(timer);
    try {
      return resultSchema.parse(JSON.parse(this.#stdout));
    } catch (cause) {
      throw new Error(`the pair ended with status ${status ?? 'of a signal'} and no result:\n${this.tail}`, { cause });
    }
  }

  /** Learn from the lines that are complete. */
  #listen(): void {
    const end = this.#said.lastIndexOf('\n') + 1;
    if (end <= this.#read) return;
    const lines = this.#said.slice(this.#read, end).split('\n');
    this.#read = end;
    for (const line of lines) this.#line(line);
  }

  #line(line: string): void {
    const started = /primary is process (\d+), backup is process (\d+)/.exec(line);
    if (started !== null) {
      this.#pids.set('primary', Number(started[1])).set('backup', Number(started[2]));
    }
    const replaced = /── (backup-\d+) takes the place of the lost one, process (\d+)/.exec(line);
    if (replaced?.[1] !== undefined) {
      this.#pids.set(replaced[1], Number(replaced[2]));
      this.#backup = replaced[1];
    }
    const live = /── (\S+): LIVE at/.exec(line)?.[1];
    if (live !== undefined) {
      this.#takeovers++;
      this.#live = live;
      if (this.#backup === live) this.#backup = null;
      this.#whole = false;
    }
    const follows = /── (\S+): has the whole state/.exec(line)?.[1];
    if (follows !== undefined && follows === this.#backup) this.#whole = true;
    if (/── \S+: lost its backup/.test(line)) this.#whole = false;
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
