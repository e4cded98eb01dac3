/**
 * Measures take-overs: pairs that serve clients, each loses its primary once, and the longest silence that a client saw is
 * taken. Nothing else dies, so that each silence is one of a kill. A backup that was given up on a busy host (a short --detect-ms
 * has false alarms there) is replaced, so that the kill finds a pair that is whole.
 */
import { SeededRandom } from '../load/seeded-random.js';
import type { Replication } from '../replica/replication.js';
import { percentile, type RoundResult } from './totals.js';

const RATE = 300;
const CLIENTS = 8;
const KILL_MS = { from: 1000, spread: 500 } as const;
const OPERATIONS = 750;
/** What the product promises for `--detect-ms 100`. */
export const GAP_MS_MAX = 250;

/** The arguments of `ft86 pair` for kill `index`. */
export function takeOverRun(seed: number, index: number, detectMs: number, replication: Replication): string[] {
  const random = new SeededRandom(seed, index);
  const kill = `primary@ms:${KILL_MS.from + random.below(KILL_MS.spread)}`;
  const load = `kv:ops=${OPERATIONS},clients=${CLIENTS},rate=${RATE},seed=${1 + random.below(1_000_000)}`;
  const mode = replication === 'log' ? [] : ['--replication', replication];
  return ['kv', '--load', load, '--kill', kill, '--detect-ms', String(detectMs), '--replace', ...mode, '--json'];
}

export interface TakeOverTotals {
  readonly kills: number;
  readonly gapMsP50: number;
  readonly gapMsP95: number;
  readonly gapMsP99: number;
  /** Kills with a silence of at most GAP_MS_MAX. */
  readonly within250Ms: number;
  readonly takeoverMsP50: number;
  readonly takeoverMsP95: number;
  readonly failures: readonly string[];
}

/** Sum up. How long it took is measured, not judged: on a busy host it says as much about the host. */
export function totalsOfTakeOvers(results: readonly RoundResult[], failures: readonly string[]): TakeOverTotals {
  const measured = results.filter(({ replicas }) => replicas.some(({ takeover }) => takeover !== null));
  const gaps = measured.map(({ client }) => client.gapMs);
  const takeovers = measured.flatMap(({ replicas }) => replicas.flatMap(({ takeover }) => takeover?.totalMs ?? []));
  const faults = results.flatMap(({ client }, index) => {
    const { lost, duplicated, completed, acked, operations } = client;
    if (!completed) return [`kill ${index}: the clients gave up: ${acked} of ${operations} operations acknowledged`];
    return lost > 0 || duplicated > 0 ? [`kill ${index}: ${lost} lost, ${duplicated} duplicated`] : [];
  });
  return {
    kills: measured.length,
    gapMsP50: percentile(gaps, 0.5),
    gapMsP95: percentile(gaps, 0.95),
    gapMsP99: percentile(gaps, 0.99),
    within250Ms: gaps.filter((gap) => gap <= GAP_MS_MAX).length,
    takeoverMsP50: percentile(takeovers, 0.5),
    takeoverMsP95: percentile(takeovers, 0.95),
    failures: [...failures, ...faults],
  };
}
