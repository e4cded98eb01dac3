/**
 * `make soak`: a key-value server that loses replicas again and again, for as long as you like.
 *
 *   node build/js/tools/soak/soak.js [--minutes N] [--seed N] [--replication log|checkpoint] [--json]
 *
 * Exit status 0: nothing was lost, duplicated or different; 1: something was, and the totals name the round; 2: a
 * mistake in the options. Ctrl-C ends after the round that runs.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { ConfigError } from '../../emulator/errors.js';
import { projectRoot } from '../images/manifest.js';
import { parseCount } from '../key-values.js';
import { makeRound } from './rounds.js';
import { roundSchema, totalsOf, type RoundResult } from './totals.js';

const KILLS_MAX = 12;

const args = await yargs(hideBin(process.argv))
  .scriptName('make soak')
  .option('minutes', { type: 'string', default: '30', describe: 'begin no new round after this time' })
  .option('seed', { type: 'string', default: '1', describe: 'another seed: other kills at other moments' })
  .option('kills', { type: 'string', default: String(KILLS_MAX), describe: 'kills in a round at most' })
  .option('replication', { choices: ['log', 'checkpoint'] as const, default: 'log' as const, describe: 'as for pair' })
  .option('json', { type: 'boolean', default: false, describe: 'print one JSON object' })
  .example('make soak MINUTES=5', 'a short one')
  .strict()
  .parseAsync();

/** Run one round to its end. @throws Error when it gives no result */
function runRound(roundArgs: readonly string[]): Promise<RoundResult> {
  return new Promise((resolve, reject) => {
    const command = [join(projectRoot(), 'ft86'), 'pair', ...roundArgs];
    // A group of its own: the terminal's Ctrl-C is for this process, which lets the round end.
    const child = spawn(process.execPath, command, { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr = (stderr + text).slice(-4000)));
    child.on('error', reject);
    child.on('close', (status) => {
      try {
        resolve(roundSchema.parse(JSON.parse(stdout)));
      } catch (cause) {
        reject(new Error(`status ${status ?? '?'}: ${stderr.trim().split('\n').at(-1) ?? ''}`, { cause }));
      }
    });
  });
}

async function soak(minutes: number, seed: number, killsMax: number): Promise<void> {
  const rounds: { index: number; result: RoundResult }[] = [];
  const failures: string[] = [];
  const interrupt = new AbortController();
  process.on('SIGINT', () => {
    interrupt.abort();
  });
  const endMs = performance.now() + minutes * 60_000;
  for (let index = 0; !interrupt.signal.aborted && (index === 0 || performance.now() < endMs); index++) {
    try {
      const result = await runRound(makeRound(seed, index, args.replication, killsMax).args);
      rounds.push({ index, result });
      const { acked, lost, duplicated, gapMs } = result.client;
      const line = `${result.losses.length} replicas lost, ${acked} acknowledged, ${lost} lost, ${duplicated} duplicated`;
      process.stderr.write(`round ${index}: ${line}, longest silence ${gapMs.toFixed(0)} ms\n`);
    } catch (error) {
      failures.push(`round ${index}: ${(error as Error).message}`);
      process.stderr.write(`${failures.at(-1) ?? ''}\n`);
    }
  }
  const totals = { version: 1, seed, replication: args.replication, ...totalsOf(rounds, failures) };
  if (args.json) process.stdout.write(`${JSON.stringify(totals, null, 2)}\n`);
  else for (const [name, value] of Object.entries(totals)) process.stdout.write(`${name}: ${String(value)}\n`);
  process.exitCode = totals.failures.length === 0 ? 0 : 1;
}

try {
  const minutes = parseCount('--minutes', args.minutes, 0, 100_000);
  await soak(minutes, parseCount('--seed', args.seed, 0, 2 ** 31), parseCount('--kills', args.kills, 1, 1000));
} catch (error) {
  if (!(error instanceof ConfigError)) throw error;
  process.stderr.write(`soak: ${error.message}\n`);
  process.exitCode = 2;
}
