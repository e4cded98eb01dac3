/** Runs the real command line as its users do, and finds out whether it left processes behind. */
import { spawn, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Writable } from 'node:stream';

export interface Run {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Where CI is set, colours go into pipes as well: what is looked for here would not be found. */
const PLAIN = { ...process.env, NO_COLOR: '1' };
const root = join(import.meta.dirname, '../..');

/** Run `ft86 ARGS`; `onStart` gets the process, to send it signals, `onStderr` all of stderr each time there is more. */
export function ft86(
  args: readonly string[],
  onStart?: (pid: number) => void,
  onStderr?: (text: string) => void,
): Promise<Run> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [join(root, 'ft86'), ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: PLAIN,
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
      onStderr?.(stderr);
    });
    child.on('error', reject);
    child.on('close', (status, signal) => {
      resolve({ status, signal, stdout, stderr });
    });
    if (child.pid !== undefined) onStart?.(child.pid);
  });
}

/** Run a command with --json and parse the one object it prints. */
export async function ft86Json<T>(args: readonly string[], status = 0): Promise<T> {
  const run = await ft86([...args, '--json']);
  if (run.status !== status) throw new Error(`ft86 ${args.join(' ')}: status ${run.status ?? '?'}\n${run.stderr}`);
  return JSON.parse(run.stdout) as T;
}

/** A folder that is removed after `use`. */
export async function withScratch<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'ft86-test-'));
  try {
    return await use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Command lines of running processes that contain `text`. */
export function processesWith(text: string): string[] {
  const all = execFileSync('ps', ['-eo', 'pid,args'], { encoding: 'utf8' }).split('\n');
  return all.filter((line) => line.includes(text) && !line.includes('ps -eo'));
}

export const images = join(root, 'build/images');

export interface RunningProgram {
  readonly pid: number;
  readonly stdin: Writable;
  /** What it has said so far. */
  stdout(): string;
  stderr(): string;
  /** Wait for something it does, as long as it lives. */
  until(condition: () => boolean, timeoutMs: number): Promise<void>;
  /** Its end. */
  readonly ended: Promise<Run>;
  /** Ctrl-C, and wait for its end. */
  stop(): Promise<Run>;
}

/** Run `ft86 ARGS` beside the test; `before` is a command that runs another, as `unshare` does. */
export function startFt86(args: readonly string[], before: readonly string[] = []): RunningProgram {
  const running = startProgram([...before, process.execPath, join(root, 'ft86'), ...args]);
  running.stdin.end();
  return running;
}

/** Run a program beside the test. */
export function startProgram(command: readonly string[]): RunningProgram {
  const [file = '', ...args] = command;
  const child = spawn(file, args, { stdio: 'pipe', env: PLAIN });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const ended = new Promise<Run>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status, signal) => {
      resolve({ status, signal, stdout, stderr });
    });
  });
  return {
    ended,
    pid: child.pid ?? NaN,
    stdin: child.stdin,
    stdout: () => stdout,
    stderr: () => stderr,
    until: async (condition, timeoutMs) => {
      const end = performance.now() + timeoutMs;
      while (!condition()) {
        if (child.exitCode !== null) throw new Error(`${command.join(' ')} ended:\n${stderr}`);
        if (performance.now() > end) throw new Error(`not within ${timeoutMs} ms; it said:\n${stderr}`);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    },
    stop: () => {
      child.kill('SIGINT');
      return ended;
    },
  };
}

/** The process of whichever replica of a pair is live, by what `ft86 pair` has said: the newest that went live. */
export function livePid(stderr: string): number {
  const started = /primary is process (\d+), backup is process (\d+)/.exec(stderr)!;
  const pids = new Map([
    ['primary', started[1]!],
    ['backup', started[2]!],
    ...[...stderr.matchAll(/(backup-\d+)[^\n]*process (\d+)/g)].map((m): [string, string] => [m[1]!, m[2]!]),
  ]);
  const live = [...stderr.matchAll(/(backup(?:-\d+)?): LIVE/g)].at(-1)?.[1] ?? 'primary';
  return Number(pids.get(live));
}
