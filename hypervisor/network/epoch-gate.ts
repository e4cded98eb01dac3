/**
 * Decides which replica of a pair may put frames on the network. Fencing for the network, as the disk
 * server does it for the disk: a replica that was paused while its peer went live can hurt nothing.
 *
 * Invariants: the newest epoch of a pair never goes down; frames pass only from the newest epoch; once a
 * replica has announced itself in an epoch, only that replica passes in it.
 * Not covered: a switch that restarts forgets; until the live replica is back, it cannot know an old one.
 */

/** Pairs remembered; a hello of one more is refused. */
export const PAIRS_MAX = 4096;

interface Pair {
  epoch: number;
  /** Replica that announced itself in this epoch. */
  liveId: string | null;
}

export class EpochGate {
  readonly #pairs = new Map<string, Pair>();

  /** Note the epoch a replica says it is in. False: no room for one more pair. */
  attach(name: string, epoch: number): boolean {
    const pair = this.#pairs.get(name);
    if (pair === undefined) {
      if (this.#pairs.size >= PAIRS_MAX) return false;
      this.#pairs.set(name, { epoch, liveId: null });
    } else {
      raise(pair, epoch);
    }
    return true;
  }

  /** A replica of an attached pair says it is live in `epoch`. False: the epoch is old or another replica has it. */
  announce(name: string, replicaId: string, epoch: number): boolean {
    const pair = this.#pairs.get(name);
    if (pair === undefined) return false;
    raise(pair, epoch);
    if (epoch < pair.epoch || (pair.liveId !== null && pair.liveId !== replicaId)) return false;
    pair.liveId = replicaId;
    return true;
  }

  /** Whether a frame of that replica may pass. */
  passes(name: string, replicaId: string, epoch: number): boolean {
    const pair = this.#pairs.get(name);
    return pair !== undefined && epoch === pair.epoch && (pair.liveId === null || pair.liveId === replicaId);
  }
}

function raise(pair: Pair, epoch: number): void {
  if (epoch <= pair.epoch) return;
  pair.epoch = epoch;
  pair.liveId = null;
}
