/**
 * `make fidelity`: ft86's processor against QEMU's, instruction by instruction, on seeded random programs.
 *
 *   node build/js/tools/fidelity/fidelity.js [--seed N] [--count N] [--json]
 *
 * Exit status 0: every difference is one of known-differences.ts; 1: another was found; 2: QEMU is missing.
 */
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { ConfigError } from '../../emulator/errors.js';
import { parseCount } from '../key-values.js';
import { Progress } from '../progress.js';
import { describe } from './describe.js';
import { compareMany, type Summary } from './many.js';
import { qemuInstalled } from './qemu.js';

/** Unknown differences that are shown in full. */
const SHOWN_MAX = 20;

const args = await yargs(hideBin(process.argv))
  .scriptName('make fidelity')
  .option('seed', { type: 'string', default: '1', describe: 'another seed: other programs' })
  .option('count', { type: 'string', default: '100000', describe: 'instructions to compare at least' })
  .option('json', { type: 'boolean', default: false, describe: 'print one JSON object' })
  .example('make fidelity SEED=7 N=1000000', 'a million instructions of seed 7')
  .strict()
  .parseAsync();

function render(summary: Summary): string {
  const { seed, compared, sequences, onlyUndefined, known, disturbed, unknown } = summary;
  const lines = [
    `seed ${seed}: ${compared} instructions of ${sequences} sequences compared with QEMU`,
    `${onlyUndefined} sequences differ in undefined flags only`,
    ...Object.entries(known).map(([id, count]) => `known: ${id} ${count} times (docs/fidelity.md)`),
    `${disturbed} vanish when their sequence runs alone: another one had written into the trace or left the FPU's pointers or VIF`,
    unknown.length === 0 ? 'nothing that is not known' : `${unknown.length} UNKNOWN differences:`,
    ...unknown.slice(0, SHOWN_MAX).map(describe),
  ];
  return lines.join('\n');
}

try {
  const seed = parseCount('--seed', args.seed, 0, 2 ** 31);
  const count = parseCount('--count', args.count, 1, 1e9);
  if (!qemuInstalled()) throw new ConfigError('qemu-system-i386', '', 'is missing; install it with: make extras');
  const progress = new Progress(!args.json);
  const summary = await compareMany(seed, count, (compared) => {
    progress.show(`${compared} of ${count} instructions`);
  });
  progress.clear();
  const { unknown, ...totals } = summary;
  if (args.json)
    process.stdout.write(`${JSON.stringify({ version: 1, ...totals, unknown: unknown.map(describe) }, null, 2)}\n`);
  else process.stdout.write(`${render(summary)}\n`);
  process.exitCode = unknown.length === 0 ? 0 : 1;
} catch (error) {
  if (!(error instanceof ConfigError)) throw error;
  process.stderr.write(`fidelity: ${error.message}\n`);
  process.exitCode = 2;
}
