/** Which parts of a pair's world die, and when: the same numbers give the same round. */
import { SeededRandom } from '../load/seeded-random.js';
import type { Replication } from '../replica/replication.js';

/** everything: the pair with its parent and the disk server, at one moment. */
export const VICTIMS = ['primary', 'backup', 'disk-server', 'switch', 'everything'] as const;
export type Victim = (typeof VICTIMS)[number];

export interface Strike {
  readonly victim: Victim;
  /** Time since the strike before it and, for a replica, since the pair is whole. */
  readonly afterMs: number;
  /** How long a server stays away. */
  readonly awayMs: number;
}

/** forgetful: loses with its process what was not flushed. */
export type DiskServerKind = 'ft86' | 'forgetful';

/** How the replicas have the disk. */
export type DiskWay = 'shared' | 'backup-reads' | 'own';

/** What the rounds of a run have in common. */
export interface CrashWays {
  readonly server: DiskServerKind;
  readonly replication: Replication;
}

export interface CrashRound extends CrashWays {
  readonly guest: 'ledger' | 'kv';
  readonly disk: DiskWay;
  readonly strikes: readonly Strike[];
}

const AFTER_MS_MAX = 500;
/** Every other strike comes while the one before it is being dealt with. */
const SOON_MS_MAX = 30;
const AWAY_MS = { min: 20, max: 400 } as const;

/** Round `index`: rounds of the guest that checks its disk and of the one that serves clients take turns. */
export function planCrashRound(seed: number, index: number, kills: number, ways: CrashWays): CrashRound {
  const random = new SeededRandom(seed, index);
  const guest = index % 2 === 0 ? 'ledger' : 'kv';
  const drawn = (['shared', 'backup-reads', 'own'] as const)[random.below(3)]!;
  // A backup that gets checkpoints reads and writes no disk.
  const disk = ways.replication === 'checkpoint' ? 'shared' : drawn;
  const victims: Victim[] = ['primary', 'primary', 'backup'];
  if (disk !== 'own') victims.push('disk-server');
  if (guest === 'kv') victims.push('switch');
  const strikes = Array.from({ length: kills }, () => ({
    victim: victims[random.below(victims.length)]!,
    afterMs: random.below(random.below(2) === 0 ? SOON_MS_MAX : AFTER_MS_MAX),
    awayMs: AWAY_MS.min + random.below(AWAY_MS.max - AWAY_MS.min),
  }));
  // Whoever serves clients has nobody left to ask afterwards.
  if (guest === 'ledger' && random.below(2) === 0)
    strikes[strikes.length - 1] = { ...strikes.at(-1)!, victim: 'everything' };
  return { ...ways, guest, disk, strikes };
}
