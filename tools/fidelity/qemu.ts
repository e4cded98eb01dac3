/**
 * A program on `qemu-system-i386`, held and watched through its gdb stub.
 *
 * RAM is a file both sides share; the guest's reset ROM stands where the BIOS would. The CPU is the one ft86 shows.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { closeSync, existsSync, mkdtempSync, openSync, readSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GdbClient } from './gdb-client.js';
import { LAYOUT } from './layout.js';
import { traceEnd, type Program } from './program.js';

const QEMU = 'qemu-system-i386';
/** A Pentium III with SSE2 and without what ft86 does not offer. */
const CPU = 'pentium3,+sse2,-sep,-apic,-vme,-mtrr,-mca,-mce,-pat,-pse36,-pae,-x2apic';

/** Whether the reference emulator is installed. */
export function qemuInstalled(): boolean {
  return spawnSync(QEMU, ['--version']).status === 0;
}

export class QemuMachine {
  readonly gdb: GdbClient;
  readonly #child: ChildProcess;
  readonly #folder: string;

  private constructor(gdb: GdbClient, child: ChildProcess, folder: string) {
    this.gdb = gdb;
    this.#child = child;
    this.#folder = folder;
  }

  /** Start with the program in RAM, stopped before the first instruction. */
  static async start(program: Program): Promise<QemuMachine> {
    const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'ft86-fidelity-'));
    const file = (name: string): string => join(folder, name);
    writeFileSync(file('ram'), program.image);
    truncateSync(file('ram'), LAYOUT.RAM_BYTES);
    writeFileSync(file('rom'), program.rom);
    const child = spawn(
      QEMU,
      [
        ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot', '-S', '-cpu', CPU],
        ...[
          '-accel',
          'tcg',
          '-machine',
          'pc,memory-backend=ram,hpet=off,vmport=off',
          '-m',
          `${LAYOUT.RAM_BYTES >> 20}M`,
        ],
        ...['-object', `memory-backend-file,id=ram,size=${LAYOUT.RAM_BYTES},mem-path=${file('ram')},share=on`],
        ...['-bios', file('rom'), '-gdb', `unix:${file('gdb')},server=on,wait=off`],
      ],
      { stdio: ['ignore', 'ignore', 'ignore'] },
    );
    try {
      return new QemuMachine(await GdbClient.connect(file('gdb')), child, folder);
    } catch (error) {
      child.kill('SIGKILL');
      rmSync(folder, { recursive: true, force: true });
      throw error;
    }
  }

  /** The first bytes of RAM as they are now. */
  readRam(bytes: number): Buffer {
    const ram = Buffer.alloc(bytes);
    const file = openSync(join(this.#folder, 'ram'), 'r');
    readSync(file, ram, 0, ram.length, 0);
    closeSync(file);
    return ram;
  }

  stop(): void {
    this.gdb.close();
    this.#child.kill('SIGKILL');
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Run a program to the monitor's end, or to a shutdown of the processor, or for a time; RAM is what it left in both cases. */
export async function runQemu(program: Program, timeoutMs: number): Promise<{ ram: Buffer; finished: boolean }> {
  const machine = await QemuMachine.start(program);
  try {
    await machine.gdb.setBreakpoint(program.symbols.finish);
    const finished = await machine.gdb.resume(timeoutMs);
    return { ram: machine.readRam(traceEnd(program)), finished };
  } finally {
    machine.stop();
  }
}
