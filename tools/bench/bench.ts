/**
 * `make bench`: speed and memory as ratios from one interleaved run.
 *
 * Each round runs every configuration once, one after the other; the figures shown are medians over the rounds, and
 * ratios are taken within a round before the median, so that a machine that slows down slows both sides.
 *
 *   node build/js/tools/bench/bench.js [--rounds N] [--only PATTERN] [--json] [--quick]
 */
import { join } from 'node:path';
import Table from 'cli-table3';
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { projectRoot } from '../images/manifest.js';
import { deviceConfigurations } from './devices.js';
import { ideConfigurations, linuxConfigurations } from './guests.js';
import {
  qemuModes,
  run,
  runFt86,
  runQemu,
  shippedForQemu,
  speedOf,
  withScratch,
  type Configuration,
  type Figures,
} from './measure.js';

interface Row extends Figures {
  readonly name: string;
  readonly base: string;
  /** Speed as a multiple of the base's. */
  readonly ratio: number;
}

const CPU_LOOPS = { quick: 5_000_000, full: 30_000_000 };
const TIMER_INSTRUCTIONS = { quick: 300_000_000, full: 2_000_000_000 };

function configurations(size: 'quick' | 'full'): Configuration[] {
  const cpuLoops = String(CPU_LOOPS[size]);
  const cpuAppend = `n=${cpuLoops}`;
  const until = String(TIMER_INSTRUCTIONS[size]);
  return [
    { name: 'core, counting off', base: 'core, counting off', measure: () => core('uncounted', cpuLoops) },
    { name: 'core', base: 'core, counting off', measure: () => core('core', cpuLoops) },
    {
      name: 'boot bench-cpu',
      base: 'core, counting off',
      measure: () => boot(['bench-cpu', '--append', cpuAppend, '--serial', 'none']),
    },
    {
      name: 'boot bench-timer',
      base: 'boot bench-timer',
      measure: () => boot(['bench-timer', '--until', until, '--serial', 'none']),
    },
    { name: 'pair bench-timer', base: 'boot bench-timer', measure: () => pair(['bench-timer', '--until', until]) },
    ...ideConfigurations(size),
    ...deviceConfigurations(size),
    ...linuxConfigurations(),
    ...qemuModes().map((mode) => ({
      name: `${mode.name} bench-cpu`,
      base: 'boot bench-cpu',
      measure: () => withScratch((scratch) => qemuCpu(cpuAppend, mode.args(scratch))),
    })),
  ];
}

/** The native core's own loop, without Node; `variant` is the folder it was built in. */
function core(variant: 'core' | 'uncounted', loops: string): Figures {
  const native = join(projectRoot(), 'build/native');
  const { stdout } = run(join(native, variant, 'speed'), [join(native, 'speed_guest.bin'), loops]);
  return { mips: Number(/([0-9.]+) MIPS/.exec(stdout)?.[1]) };
}

function boot(args: readonly string[]): Figures {
  const result = runFt86(['boot', ...args]);
  return {
    mips: result['mips'] as number,
    seconds: result['seconds'] as number,
    residentBytes: result['residentBytes'] as number,
  };
}

function pair(args: readonly string[]): Figures {
  const result = runFt86(['pair', ...args]);
  const primary = result['primary'] as { mips: number; seconds: number; residentBytes: number };
  const backup = result['backup'] as { lagMsP99: number };
  const { bytesPerInterrupt } = result['log'] as { bytesPerInterrupt: number };
  const { mips, seconds, residentBytes } = primary;
  return { mips, seconds, residentBytes, lagMsP99: backup.lagMsP99, bytesPerInterrupt };
}

/** QEMU's own start-up is taken off by running the loop once for nothing. */
function qemuCpu(append: string, mode: readonly string[]): Figures {
  const startup = runQemu(shippedForQemu('bench-cpu', 'n=1'), mode).seconds ?? 0;
  const seconds = (runQemu(shippedForQemu('bench-cpu', append), mode).seconds ?? 0) - startup;
  const instructions = runFt86(['boot', 'bench-cpu', '--append', append, '--serial', 'none'])['icount'] as number;
  return { seconds, mips: instructions / seconds / 1e6 };
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? NaN;
}

/** Run `rounds` rounds and sum each configuration up. */
async function bench(list: readonly Configuration[], rounds: number): Promise<Row[]> {
  const seen = new Map<string, Figures[]>(list.map(({ name }) => [name, []]));
  for (let round = 1; round <= rounds; round++) {
    for (const { name, measure } of list) {
      process.stderr.write(`round ${round} of ${rounds}: ${name}\n`);
      seen.get(name)?.push(await measure());
    }
  }
  return list.map(({ name, base }) => {
    const own = seen.get(name) ?? [];
    const bases = seen.get(base) ?? [];
    const field = (key: keyof Figures): Figures => {
      const values = own.map((figures) => figures[key]).filter((value) => value !== undefined);
      return values.length === 0 ? {} : { [key]: median(values) };
    };
    const ratio = median(own.map((figures, i) => speedOf(figures) / speedOf(bases[i] ?? {})));
    return {
      name,
      base,
      ratio,
      ...field('mips'),
      ...field('seconds'),
      ...field('megawords'),
      ...field('megabits'),
      ...field('operations'),
      ...field('p50Ms'),
      ...field('logBytes'),
      ...field('residentBytes'),
      ...field('bytesPerInterrupt'),
      ...field('lagMsP99'),
    };
  });
}

function render(rows: readonly Row[]): string {
  const table = new Table({
    head: [
      'configuration',
      'rate',
      'seconds',
      'speed',
      'of',
      'p50 ms',
      'MB',
      'log bytes/interrupt',
      'log KB',
      'lag p99 ms',
    ],
    style: { head: [], border: [] },
  });
  for (const row of rows) {
    const memory = row.residentBytes === undefined ? '' : (row.residentBytes / 1e6).toFixed(0);
    const bytes = row.bytesPerInterrupt?.toFixed(2) ?? '';
    table.push([
      row.name,
      rate(row),
      row.seconds?.toFixed(2) ?? '',
      row.ratio.toFixed(2),
      row.base,
      row.p50Ms?.toFixed(2) ?? '',
      memory,
      bytes,
      row.logBytes === undefined ? '' : (row.logBytes / 1e3).toFixed(0),
      row.lagMsP99?.toFixed(1) ?? '',
    ]);
  }
  return table.toString();
}

function rate({ mips, megawords, megabits, operations }: Figures): string {
  if (mips !== undefined) return `${mips.toFixed(0)} MIPS`;
  if (megawords !== undefined) return `${megawords.toFixed(1)} Mwords/s`;
  if (megabits !== undefined) return `${megabits.toFixed(0)} Mbit/s`;
  return operations === undefined ? '' : `${operations.toFixed(0)} /s`;
}

const args = await yargs(hideBin(process.argv))
  .option('rounds', { type: 'number', default: 3, describe: 'rounds; figures are medians over them' })
  .option('only', { type: 'string', default: '', describe: 'rows whose name matches this regular expression' })
  .option('quick', {
    type: 'boolean',
    default: false,
    describe: 'small loads: shows that it works, not how fast it is',
  })
  .option('json', { type: 'boolean', default: false, describe: 'print one JSON object on stdout' })
  .strict()
  .parseAsync();
const all = configurations(args.quick ? 'quick' : 'full');
const wanted = all.filter(({ name }) => new RegExp(args.only).test(name));
// A ratio needs its base.
const chosen = all.filter(({ name }) => wanted.some((row) => row.name === name || row.base === name));
const rows = await bench(chosen, args.rounds);
if (args.json)
  process.stdout.write(
    `${JSON.stringify({ version: 1, machine: process.arch, rounds: args.rounds, rows }, null, 2)}\n`,
  );
else process.stdout.write(`${render(rows)}\n`);
