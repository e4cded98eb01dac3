/**
 * Rounds of a soak test, each a run of its own: a key-value server under steady load on a pair whose replicas die at
 * random moments and are replaced, and a client that knows what it was told.
 */
import { SeededRandom } from '../load/seeded-random.js';
import type { Replication } from '../replica/replication.js';

/** Operations a second: what a pair on a busy host keeps up with. */
const RATE = 300;
const CLIENTS = 8;
const FIRST_KILL_MS = 800;
const BETWEEN_KILLS_MS = { min: 300, max: 2500 } as const;
const AFTER_KILLS_MS = 2000;

export interface Round {
  readonly kills: number;
  /** The arguments of `ft86 pair`. */
  readonly args: readonly string[];
}

/** Round `index` of a soak with this seed; the same numbers give the same round. */
export function makeRound(seed: number, index: number, replication: Replication, killsMax: number): Round {
  const random = new SeededRandom(seed, index);
  const kills = 1 + random.below(killsMax);
  let atMs = FIRST_KILL_MS;
  const schedule: string[] = [];
  for (let i = 0; i < kills; i++) {
    schedule.push('--kill', `${random.below(3) < 2 ? 'primary' : 'backup'}@ms:${atMs}`);
    atMs += BETWEEN_KILLS_MS.min + random.below(BETWEEN_KILLS_MS.max - BETWEEN_KILLS_MS.min);
  }
  const operations = Math.ceil(((atMs + AFTER_KILLS_MS) * RATE) / 1000);
  const load = `kv:ops=${operations},clients=${CLIENTS},rate=${RATE},seed=${1 + random.below(1_000_000)}`;
  const mode = replication === 'log' ? [] : ['--replication', replication];
  return { kills, args: ['kv', '--load', load, '--replace', ...mode, ...schedule, '--json'] };
}
