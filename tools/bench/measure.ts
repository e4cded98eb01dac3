/** Runs one configuration of a benchmark as a process of its own and takes its figures. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ReplicaError } from '../../emulator/errors.js';
import { projectRoot } from '../images/manifest.js';

/** Figures of one run; absent where a configuration has none. */
export interface Figures {
  /** Millions of guest instructions a second of host time. */
  readonly mips?: number;
  readonly seconds?: number;
  readonly residentBytes?: number;
  readonly bytesPerInterrupt?: number;
  readonly lagMsP99?: number;
  /** Millions of words a second through the IDE data port. */
  readonly megawords?: number;
  /** Millions of bits of payload a second through the network card. */
  readonly megabits?: number;
  /** Round trips or disk requests a second. */
  readonly operations?: number;
  /** Median round trip. */
  readonly p50Ms?: number;
  readonly logBytes?: number;
}

/** One row of the benchmark. */
export interface Configuration {
  readonly name: string;
  /** The configuration whose speed is 1 in this row's ratio. */
  readonly base: string;
  readonly measure: () => Figures | Promise<Figures>;
}

/** What a row is compared by: work in a unit of time, whichever work it was. */
export function speedOf({ mips, megawords, megabits, operations, seconds }: Figures): number {
  return mips ?? megawords ?? megabits ?? operations ?? 1 / (seconds ?? NaN);
}

/** Run `ft86 ARGS --json`. @throws ReplicaError when it fails */
export function runFt86(args: readonly string[]): Record<string, unknown> {
  const { status, stdout, stderr } = run(process.execPath, [join(projectRoot(), 'ft86'), ...args, '--json']);
  if (status !== 0) throw new ReplicaError(`ft86 ${args.join(' ')} ended with status ${status}: ${stderr.slice(-400)}`);
  return JSON.parse(stdout) as Record<string, unknown>;
}

/** Run a program and return what it printed. */
export function run(
  program: string,
  args: readonly string[],
): { status: number; stdout: string; stderr: string; seconds: number } {
  const start = performance.now();
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: 'utf8', maxBuffer: 1 << 26 });
  if (error !== undefined) throw new ReplicaError(`${program} cannot be run`, { cause: error });
  return { status: status ?? -1, stdout, stderr, seconds: (performance.now() - start) / 1000 };
}

/** Whether a program is installed. */
export function installed(program: string): boolean {
  return spawnSync(program, ['--version'], { stdio: 'ignore' }).error === undefined;
}

const QEMU = 'qemu-system-i386';

/** QEMU's ways of running a Multiboot guest that are compared with ours; empty where QEMU is not installed. */
export function qemuModes(): readonly { readonly name: string; readonly args: (scratch: string) => string[] }[] {
  if (!installed(QEMU)) return [];
  return [
    { name: 'qemu tcg', args: () => [] },
    { name: 'qemu icount', args: () => ['-icount', 'shift=1'] },
    { name: 'qemu record', args: (scratch) => ['-icount', `shift=1,rr=record,rrfile=${join(scratch, 'rr.bin')}`] },
  ];
}

/** A kernel that ends itself with exit code 0 through the debug-exit port. */
export interface QemuGuest {
  readonly kernel: string;
  readonly append: string;
  readonly memory: string;
  /** Further arguments: initrd, drives. */
  readonly devices: readonly string[];
}

/** A shipped guest for QEMU. */
export function shippedForQemu(guest: string, append: string, devices: readonly string[] = []): QemuGuest {
  return { kernel: join(projectRoot(), 'build/images', `${guest}.elf`), append, memory: '64', devices };
}

/** Run a guest under QEMU: seconds of the whole process. @throws ReplicaError when it does not end as it should */
export function runQemu({ kernel, append, memory, devices }: QemuGuest, mode: readonly string[]): Figures {
  const fixed = '-nodefaults -no-user-config -display none -machine pc -accel tcg -net none -no-reboot -serial stdio';
  const exit = ['-device', 'isa-debug-exit,iobase=0xf4,iosize=1'];
  const guest = ['-m', memory, '-kernel', kernel, '-append', append];
  const { seconds, status, stderr } = run(QEMU, [...fixed.split(' '), ...exit, ...mode, ...devices, ...guest]);
  if (status !== 1) throw new ReplicaError(`QEMU ended with status ${status}: ${stderr.slice(-400)}`);
  return { seconds };
}

/** Use a folder that is removed afterwards. */
export function withScratch<T>(use: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'ft86-bench-'));
  const remove = (): void => {
    rmSync(folder, { recursive: true, force: true });
  };
  let result;
  try {
    result = use(folder);
  } catch (error) {
    remove();
    throw error;
  }
  if (result instanceof Promise) return result.finally(remove) as T;
  remove();
  return result;
}
