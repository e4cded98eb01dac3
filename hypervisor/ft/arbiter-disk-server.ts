/**
 * The disk server as arbiter: `ft86 disk-server` keeps the epochs of each pair and refuses the requests of a replica whose
 * epoch is over (hypervisor/nbd/claim-option.ts). Each question is a connection of its own.
 *
 * Invariant: an answer that was lost is asked for again with the same replica id, which the server answers the same way.
 */
import { ConfigError, ReplicaError } from '../../emulator/errors.js';
import { formatAddress } from '../channel/address.js';
import type { Claim, ClaimAnswer } from '../nbd/claim-option.js';
import { NbdLink } from '../nbd/nbd-link.js';
import type { NbdUri } from '../nbd/uri.js';
import type { Arbiter, ArbiterVerdict } from './arbiter.js';

const TIMEOUT_MS = 2000;
/** No drive: the connection asks and carries no requests. */
const NO_SLOT = 255;
const OBSERVER = 'observer';

export class DiskServerArbiter implements Arbiter {
  readonly #uri: NbdUri;
  readonly #key: Uint8Array | null;
  readonly #pair: string;

  constructor(uri: NbdUri, key: Uint8Array | null, pair: string) {
    this.#uri = uri;
    this.#key = key;
    this.#pair = pair;
  }

  /** Whether the server knows claims at all. @throws ReplicaError when it cannot be reached */
  async supported(): Promise<boolean> {
    return (await this.#ask('look', 0, OBSERVER)) !== 'unsupported';
  }

  claim(epoch: number, replicaId: string): Promise<ArbiterVerdict> {
    return this.#verdict('claim', epoch, replicaId);
  }

  release(epoch: number, replicaId: string): Promise<ArbiterVerdict> {
    return this.#verdict('release', epoch, replicaId);
  }

  async newestEpoch(): Promise<number> {
    return (await this.#look()).newestEpoch;
  }

  async lastStopWasClean(): Promise<boolean> {
    return (await this.#look()).clean;
  }

  async #look(): Promise<ClaimAnswer> {
    const answer = this.#known(await this.#ask('look', 0, OBSERVER));
    if (answer.verdict === 'granted') return answer;
    throw new ReplicaError(`${formatAddress(this.#uri.address)}: the disk server cannot read its epochs`);
  }

  async #verdict(operation: 'claim' | 'release', epoch: number, replicaId: string): Promise<ArbiterVerdict> {
    try {
      return this.#known(await this.#ask(operation, epoch, replicaId)).verdict;
    } catch (error) {
      if (!(error instanceof ReplicaError)) throw error;
      return 'unreachable';
    }
  }

  #known(answer: ClaimAnswer | 'unsupported'): ClaimAnswer {
    if (answer !== 'unsupported') return answer;
    const where = formatAddress(this.#uri.address);
    throw new ConfigError('--arbiter', where, 'is no "ft86 disk-server"; use file:DIR or etcd:URL');
  }

  async #ask(operation: Claim['operation'], epoch: number, replicaId: string): Promise<ClaimAnswer | 'unsupported'> {
    const link = await NbdLink.connect({
      uri: this.#uri,
      key: this.#key,
      export: null,
      claim: { operation, pair: this.#pair, epoch, replicaId, slot: NO_SLOT },
      timeoutMs: TIMEOUT_MS,
    });
    link.close();
    if (link.claimed === null) throw new ReplicaError('the disk server did not answer a claim');
    return link.claimed;
  }
}
