/**
 * Crashes, again and again: primary, backup, disk server and switch die by kill -9 at random instants, and what guests and
 * clients were told must be there afterwards.
 *
 *   node build/js/tools/soak/crash-soak.js [--kills N] [--seed N] [--server ft86|forgetful]
 *       [--replication log|checkpoint] [--json]
 *
 * Exit status 0: it was; 1: it was not, and the totals name the round; 2: a mistake in the options.
 */
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { ConfigError } from '../../emulator/errors.js';
import { parseCount } from '../key-values.js';
import { REPLICATIONS } from '../replica/replication.js';
import { planCrashRound, VICTIMS, type CrashWays, type Victim } from './crash-plan.js';
import { runCrashRound } from './crash-round.js';

const KILLS_PER_ROUND = 10;

const args = await yargs(hideBin(process.argv))
  .scriptName('make soak')
  .option('kills', { type: 'string', default: '200', describe: 'kills in all' })
  .option('seed', { type: 'string', default: '1', describe: 'another seed: other kills at other moments' })
  .option('server', {
    choices: ['ft86', 'forgetful'] as const,
    default: 'ft86' as const,
    describe: 'of shared disks: ours, or nbdkit with a cache that is lost with it',
  })
  .option('replication', { choices: REPLICATIONS, default: 'log' as const, describe: 'as for pair' })
  .option('json', { type: 'boolean', default: false, describe: 'print one JSON object' })
  .strict()
  .parseAsync();

async function soak(killsWanted: number, seed: number, ways: CrashWays): Promise<void> {
  const kills: Record<Victim, number> = { primary: 0, backup: 0, 'disk-server': 0, switch: 0, everything: 0 };
  const totals = { version: 1, seed, rounds: 0, kills: 0, ...{ takeovers: 0, durable: 0, acked: 0 } };
  const failures: string[] = [];
  for (let index = 0; totals.kills < killsWanted; index++) {
    const round = planCrashRound(seed, index, Math.min(KILLS_PER_ROUND, killsWanted - totals.kills), ways);
    const name = `round ${index} (${round.guest}, disk ${round.disk})`;
    totals.rounds++;
    totals.kills += round.strikes.length;
    for (const { victim } of round.strikes) kills[victim]++;
    try {
      const { takeovers, durable, acked, faults } = await runCrashRound(round);
      totals.takeovers += takeovers;
      totals.durable += durable;
      totals.acked += acked;
      failures.push(...faults.map((fault) => `${name}: ${fault}`));
      const told = round.guest === 'ledger' ? `${durable} records durable` : `${acked} operations acknowledged`;
      const end = faults.length === 0 ? 'all there' : faults.join('; ');
      process.stderr.write(`${name}: ${round.strikes.length} kills, ${takeovers} take-overs, ${told}: ${end}\n`);
    } catch (error) {
      failures.push(`${name}: ${(error as Error).message}`);
      process.stderr.write(`${failures.at(-1) ?? ''}\n`);
    }
  }
  const result = { ...totals, killsOf: kills, failures };
  if (args.json) process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
  else {
    const victims = VICTIMS.map((victim) => `${victim} ${kills[victim]}`).join(', ');
    process.stdout.write(
      `${totals.kills} kills (${victims}) in ${totals.rounds} rounds, ${totals.takeovers} take-overs\n`,
    );
    process.stdout.write(`${totals.durable} durable records, ${totals.acked} acknowledged operations\n`);
    process.stdout.write(failures.length === 0 ? 'nothing was lost\n' : `${failures.join('\n')}\n`);
  }
  process.exitCode = failures.length === 0 ? 0 : 1;
}

try {
  const { server, replication } = args;
  const seed = parseCount('--seed', args.seed, 0, 2 ** 31);
  await soak(parseCount('--kills', args.kills, 1, 1_000_000), seed, { server, replication });
} catch (error) {
  if (!(error instanceof ConfigError)) throw error;
  process.stderr.write(`soak: ${error.message}\n`);
  process.exitCode = 2;
}
