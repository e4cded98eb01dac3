/**
 * The arbiter in etcd, through its JSON gateway: one key for each epoch ever won.
 *
 *   ft86/PAIR/epoch/0000000000000001 = REPLICA      created by whoever won it, if no key of it or a newer one exists
 *   ft86/PAIR/clean/0000000000000001 = REPLICA      its holder ended in order
 *
 * Invariants: claiming is one transaction, so of two that claim at the same moment one creates the key and the other
 * reads it; keys are never changed or removed, so asking again gets the same answer; no answer within the time limit is
 * "unreachable", never a grant. etcd cannot fence disks; the disk server and the switch do, by the epoch.
 * Source: etcd v3 API, "gRPC gateway" and rpc.proto: TxnRequest, Compare (a range of no keys compares as revision 0).
 */
import { assert, ConfigError, ReplicaError } from '../../emulator/errors.js';
import { PAIR_PATTERN, REPLICA_PATTERN } from '../pair-names.js';
import type { Arbiter, ArbiterVerdict } from './arbiter.js';
import { base64, EtcdGateway } from './etcd-gateway.js';

const DIGITS = 16;

export class EtcdArbiter implements Arbiter {
  readonly #etcd: EtcdGateway;
  readonly #prefix: string;

  /** @param url http://HOST:PORT of an etcd server @throws ConfigError */
  constructor(url: string, pair: string) {
    this.#etcd = new EtcdGateway('--arbiter', url);
    if (!PAIR_PATTERN.test(pair)) throw new ConfigError('--name', pair, 'must be letters, digits, - and _');
    this.#prefix = `ft86/${pair}/`;
  }

  async claim(epoch: number, replicaId: string): Promise<ArbiterVerdict> {
    const key = this.#key('epoch', epoch);
    return this.#verdict(async () => {
      const found = await this.#etcd.transact(
        { key, range_end: this.#end('epoch'), target: 'CREATE', result: 'EQUAL', create_revision: '0' },
        { request_put: { key, value: base64(plain(replicaId)) } },
        { request_range: { key, range_end: this.#end('epoch'), limit: '2' } },
      );
      // The key may be our own from an earlier try whose answer was lost; a newer one is somebody's in any case.
      return found === 'done' || (found.length === 1 && found[0]?.key === key && found[0].value === base64(replicaId));
    });
  }

  async release(epoch: number, replicaId: string): Promise<ArbiterVerdict> {
    const value = base64(plain(replicaId));
    return this.#verdict(async () => {
      const held = { key: this.#key('epoch', epoch), target: 'VALUE', result: 'EQUAL', value };
      return (
        (await this.#etcd.transact(held, { request_put: { key: this.#key('clean', epoch), value } }, null)) === 'done'
      );
    });
  }

  async newestEpoch(): Promise<number> {
    return (await this.#newest('epoch')).epoch;
  }

  async lastStopWasClean(): Promise<boolean> {
    const won = await this.#newest('epoch');
    const clean = await this.#newest('clean');
    return won.epoch === clean.epoch && won.value === clean.value;
  }

  #key(what: 'epoch' | 'clean', epoch: number): string {
    assert(Number.isSafeInteger(epoch) && epoch >= 1, `epoch ${epoch} is a positive integer`);
    return base64(`${this.#prefix}${what}/${String(epoch).padStart(DIGITS, '0')}`);
  }

  /** The first key behind all keys of that kind: '0' follows '/'. */
  #end(what: 'epoch' | 'clean'): string {
    return base64(`${this.#prefix}${what}0`);
  }

  async #verdict(action: () => Promise<boolean>): Promise<ArbiterVerdict> {
    try {
      return (await action()) ? 'granted' : 'denied';
    } catch (error) {
      if (!(error instanceof ReplicaError)) throw error;
      return 'unreachable';
    }
  }

  async #newest(what: 'epoch' | 'clean'): Promise<{ readonly epoch: number; readonly value: string }> {
    const key = base64(`${this.#prefix}${what}/`);
    const range = { key, range_end: this.#end(what), limit: '1', sort_order: 'DESCEND', sort_target: 'KEY' };
    const newest = (await this.#etcd.range(range))[0];
    if (newest === undefined) return { epoch: 0, value: '' };
    const epoch = Number(Buffer.from(newest.key, 'base64').toString('latin1').slice(-DIGITS));
    if (!Number.isSafeInteger(epoch)) throw this.#etcd.unreachable('has a key that is no epoch');
    return { epoch, value: newest.value };
  }
}

function plain(replicaId: string): string {
  assert(REPLICA_PATTERN.test(replicaId), `replica id ${replicaId} is a plain word`);
  return replicaId;
}
