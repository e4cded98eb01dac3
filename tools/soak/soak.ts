/**
 * `make soak`: a key-value server that loses replicas again and again, for as long as you like.
 *
 *   node build/js/tools/soak/soak.js [--minutes N] [--seed N] [--replication log|checkpoint] [--json]
 *   node build/js/tools/soak/soak.js --calm [--minutes N] [--detect-ms N]     nothing dies: are there false alarms?
 *   node build/js/tools/soak/soak.js --take-overs N [--detect-ms 100]      N kills of a primary: how long are clients left alone?
 *
 * Exit status 0: nothing was lost, duplicated or different; 1: something was, and the totals name the round; 2: a
 * mistake in the options. Ctrl-C ends after the round that runs.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import type * as z from 'zod';
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { ConfigError } from '../../emulator/errors.js';
import { projectRoot } from '../images/manifest.js';
import { parseCount } from '../key-values.js';
import { REPLICATIONS } from '../replica/replication.js';
import { calmRun, calmSchema, totalsOfCalm } from './calm.js';
import { ResidentWatch, residentFaults } from './resident.js';
import { makeRound } from './rounds.js';
import { takeOverRun, totalsOfTakeOvers } from './take-overs.js';
import { roundSchema, totalsOf, type RoundResult, type SoakTotals } from './totals.js';

const KILLS_MAX = 12;
const CALM_SECONDS_MIN = 10;

const args = await yargs(hideBin(process.argv))
  .scriptName('make soak')
  .option('minutes', { type: 'string', default: '30', describe: 'begin no new round after this time' })
  .option('seed', { type: 'string', default: '1', describe: 'another seed: other kills at other moments' })
  .option('kills', { type: 'string', default: String(KILLS_MAX), describe: 'kills in a round at most' })
  .option('replication', { choices: REPLICATIONS, default: 'log' as const, describe: 'as for pair' })
  .option('json', { type: 'boolean', default: false, describe: 'print one JSON object' })
  .option('calm', { type: 'boolean', default: false, describe: 'full load on two cores, and no kills: false alarms' })
  .option('take-overs', { type: 'string', describe: 'kill so many primaries, one a pair, and measure the silence' })
  .option('detect-ms', { type: 'string', default: '500', describe: 'silence that is an alarm (--calm, --take-overs)' })
  .example('make soak MINUTES=5', 'a short one')
  .example('make soak MINUTES=10 ARGS=--calm', 'ten minutes without a death')
  .example('make soak ARGS="--take-overs 100 --detect-ms 100"', 'silence of a hundred take-overs')
  .strict()
  .parseAsync();

/** Of a run that is interrupted after a time, and what is done with what it says. */
interface Watch {
  readonly stopMs: number;
  readonly heard: (stderr: string) => void;
}

/** Run a pair to its end, or interrupt it after a time. @throws Error when it gives no result */
function runPair<T>(pairArgs: readonly string[], schema: z.ZodType<T>, watch?: Watch): Promise<T> {
  return new Promise((resolve, reject) => {
    const command = [join(projectRoot(), 'ft86'), 'pair', ...pairArgs];
    // A group of its own: the terminal's Ctrl-C is for this process, which lets the round end.
    const child = spawn(process.execPath, command, { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr = (stderr + text).slice(-4000);
      watch?.heard(stderr);
    });
    child.on('error', reject);
    const timer = watch === undefined ? undefined : setTimeout(() => child.kill('SIGINT'), watch.stopMs);
    child.on('close', (status) => {
      clearTimeout(timer);
      try {
        resolve(schema.parse(JSON.parse(stdout)));
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
      const result = await runPair(makeRound(seed, index, args.replication, killsMax).args, roundSchema);
      rounds.push({ index, result });
      const { acked, lost, duplicated, gapMs } = result.client;
      const line = `${result.losses.length} replicas lost, ${acked} acknowledged, ${lost} lost, ${duplicated} duplicated`;
      process.stderr.write(`round ${index}: ${line}, longest silence ${gapMs.toFixed(0)} ms\n`);
    } catch (error) {
      failures.push(`round ${index}: ${(error as Error).message}`);
      process.stderr.write(`${failures.at(-1) ?? ''}\n`);
    }
  }
  report({ version: 1, seed, replication: args.replication, ...totalsOf(rounds, failures) });
}

async function calm(minutes: number, detectMs: number): Promise<void> {
  const seconds = Math.max(CALM_SECONDS_MIN, minutes * 60);
  const resident = new ResidentWatch();
  const heard = (stderr: string): void => {
    resident.heard(stderr);
  };
  try {
    const result = await runPair(calmRun(detectMs, args.replication), calmSchema, { stopMs: seconds * 1000, heard });
    const { failures, ...totals } = totalsOfCalm(result, seconds, detectMs);
    const memory = resident.totals;
    const faults = [...failures, ...residentFaults(memory)];
    report({ version: 2, replication: args.replication, ...totals, ...memory, failures: faults });
  } finally {
    resident.end();
  }
}

async function takeOvers(count: number, seed: number, detectMs: number): Promise<void> {
  const results: RoundResult[] = [];
  const failures: string[] = [];
  for (let index = 0; index < count; index++) {
    try {
      const result = await runPair(takeOverRun(seed, index, detectMs, args.replication), roundSchema);
      results.push(result);
      process.stderr.write(`kill ${index}: longest silence ${result.client.gapMs.toFixed(0)} ms\n`);
    } catch (error) {
      failures.push(`kill ${index}: ${(error as Error).message}`);
      process.stderr.write(`${failures.at(-1) ?? ''}\n`);
    }
  }
  report({ version: 1, seed, detectMs, replication: args.replication, ...totalsOfTakeOvers(results, failures) });
}

function report(totals: Readonly<Record<string, unknown>> & Pick<SoakTotals, 'failures'>): void {
  if (args.json) process.stdout.write(`${JSON.stringify(totals, null, 2)}\n`);
  else for (const [name, value] of Object.entries(totals)) process.stdout.write(`${name}: ${String(value)}\n`);
  process.exitCode = totals.failures.length === 0 ? 0 : 1;
}

try {
  const minutes = parseCount('--minutes', args.minutes, 0, 100_000);
  const seed = parseCount('--seed', args.seed, 0, 2 ** 31);
  const detectMs = parseCount('--detect-ms', args.detectMs, 50, 10_000);
  if (args.calm) await calm(minutes, detectMs);
  else if (args.takeOvers !== undefined) {
    await takeOvers(parseCount('--take-overs', args.takeOvers, 1, 100_000), seed, detectMs);
  } else await soak(minutes, seed, parseCount('--kills', args.kills, 1, 1000));
} catch (error) {
  if (!(error instanceof ConfigError)) throw error;
  process.stderr.write(`soak: ${error.message}\n`);
  process.exitCode = 2;
}
