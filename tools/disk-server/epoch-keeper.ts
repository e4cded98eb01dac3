/**
 * The disk server's third party: which replica of each pair is live, on stable storage, and the fence that follows
 * from it.
 *
 * Invariants: claims of one pair are decided one after the other; a replica hears that it has won only when every
 * request of its predecessor has ended and no further one will begin.
 */
import { mkdir } from 'node:fs/promises';
import { DirectoryArbiter } from '../../hypervisor/ft/arbiter-directory.js';
import type { Claim, ClaimAnswer } from '../../hypervisor/nbd/claim-option.js';
import { Fence, type Ticket } from '../../hypervisor/nbd/fence.js';

const UNKNOWN: ClaimAnswer = { verdict: 'unreachable', newestEpoch: 0, clean: false };

export class EpochKeeper {
  readonly fence = new Fence();
  readonly #directory: string;
  /** The last decision of each pair that was asked for. */
  readonly #decisions = new Map<string, Promise<ClaimAnswer>>();

  /** @param directory is made at the first claim */
  constructor(directory: string) {
    this.#directory = directory;
  }

  /** @param ticket what becomes valid when a replica may attach */
  decide(claim: Claim, ticket: Ticket): Promise<ClaimAnswer> {
    const before = this.#decisions.get(claim.pair) ?? Promise.resolve(UNKNOWN);
    // What cannot be written or read is not decided; the replica asks again.
    const decision = before.then(() => this.#decide(claim, ticket)).catch(() => UNKNOWN);
    this.#decisions.set(claim.pair, decision);
    void decision.then(() => {
      if (this.#decisions.get(claim.pair) === decision) this.#decisions.delete(claim.pair);
    });
    return decision;
  }

  async #decide(claim: Claim, ticket: Ticket): Promise<ClaimAnswer> {
    const { operation, pair, epoch, replicaId } = claim;
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    const arbiter = new DirectoryArbiter(this.#directory, pair);
    let verdict: ClaimAnswer['verdict'] = 'granted';
    if (operation === 'release') verdict = await arbiter.release(epoch, replicaId);
    if (operation === 'claim' || operation === 'attach') verdict = await arbiter.claim(epoch, replicaId);
    const newestEpoch = await arbiter.newestEpoch();
    // The holder of a newer epoch asks with the one it knew when its connection broke.
    if (operation === 'attach' && verdict === 'denied' && newestEpoch > epoch) {
      verdict = await arbiter.claim(newestEpoch, replicaId);
    }
    if (verdict === 'granted' && (operation === 'claim' || operation === 'attach')) {
      await this.fence.won(pair, replicaId);
      if (operation === 'attach') await this.fence.attach(ticket);
    }
    return { verdict, newestEpoch, clean: await arbiter.lastStopWasClean() };
  }
}
