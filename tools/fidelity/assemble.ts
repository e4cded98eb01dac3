/**
 * The guest's own code, assembled with the compiler that the native core needs anyway.
 * Each file is linked as a flat binary at its address; the names of LAYOUT are preprocessor symbols in it.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { projectRoot } from '../images/manifest.js';
import { LAYOUT } from './layout.js';

const FOLDER = 'tools/fidelity/guest';

export interface GuestCode {
  readonly monitor: Buffer;
  readonly realMode: Buffer;
  readonly rom: Buffer;
}

function run(command: string, args: readonly string[]): void {
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} failed: ${error?.message ?? stderr}`);
}

function assembleFile(name: string, address: number, folder: string): Buffer {
  const defines = Object.entries(LAYOUT).map(([symbol, value]) => `-D${symbol}=${value}`);
  const object = join(folder, `${name}.o`);
  const binary = join(folder, `${name}.bin`);
  const source = join(projectRoot(), FOLDER, `${name}.S`);
  run('gcc', ['-m32', '-x', 'assembler-with-cpp', '-c', ...defines, '-o', object, source]);
  run('ld', ['-m', 'elf_i386', '-Ttext', `0x${address.toString(16)}`, '--oformat', 'binary', '-o', binary, object]);
  return readFileSync(binary);
}

let assembled: GuestCode | undefined;

/** Assemble monitor, real-mode stubs and ROM; once for each process. */
export function guestCode(): GuestCode {
  if (assembled !== undefined) return assembled;
  const folder = mkdtempSync(join(tmpdir(), 'ft86-fidelity-'));
  try {
    assembled = {
      monitor: assembleFile('monitor', LAYOUT.MONITOR, folder),
      realMode: assembleFile('real-mode', LAYOUT.REAL_MONITOR, folder),
      rom: assembleFile('reset', 0, folder),
    };
    return assembled;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Addresses that monitor.S gives at its offset 16. */
export interface MonitorSymbols {
  readonly stubs: number;
  readonly stubBytes: number;
  readonly doubleFault: number;
  readonly finish: number;
  readonly marked: number;
  readonly stepping: number;
  readonly gateTarget32: number;
  readonly gateTarget16: number;
  readonly watching: number;
}

export function monitorSymbols(monitor: Buffer): MonitorSymbols {
  const word = (index: number): number => monitor.readUInt32LE(16 + 4 * index);
  return {
    stubs: word(0),
    stubBytes: word(1),
    doubleFault: word(2),
    finish: word(3),
    marked: word(4),
    stepping: word(5),
    gateTarget32: word(6),
    gateTarget16: word(7),
    watching: word(8),
  };
}
