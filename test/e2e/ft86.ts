/** Runs the real command line as its users do, and finds out whether it left processes behind. */
import { spawn, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

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

export interface RunningFt86 {
  /** What it has said so far. */
  stderr(): string;
  /** Wait for something it does. */
  until(condition: () => boolean, timeoutMs: number): Promise<void>;
  /** Its end. */
  readonly ended: Promise<Run>;
  /** Ctrl-C, and wait for its end. */
  stop(): Promise<Run>;
}

/** Run `ft86 ARGS` beside the test. */
export function startFt86(args: readonly string[]): RunningFt86 {
  const child = spawn(process.execPath, [join(root, 'ft86'), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: PLAIN,
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const ended = new Promise<Run>((resolve) => {
    child.on('close', (status, signal) => {
      resolve({ status, signal, stdout, stderr });
    });
  });
  return {
    ended,
    stderr: () => stderr,
    until: async (condition, timeoutMs) => {
      const end = performance.now() + timeoutMs;
      while (!condition()) {
        if (child.exitCode !== null) throw new Error(`ft86 ${args.join(' ')} ended:\n${stderr}`);
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
