/**
 * Edge: a pair's pool of spare hosts in etcd, `--pool etcd:http://HOST:PORT`.
 *
 *   ft86/PAIR/spare/REPLICA = ''                   waits; the key lives as long as the spare's lease
 *   ft86/PAIR/spare/REPLICA = tcp://HOST:PORT      was asked to join the live replica that listens there
 *
 * Invariants: a spare that is dead is out of the pool when its lease (LEASE_S) has run out; of two live replicas that ask the
 * same spare one succeeds, by the revision of its key; no answer of etcd's is a ReplicaError and changes nothing.
 * Source: etcd v3 API: LeaseGrant, LeaseKeepAlive, LeaseRevoke; Compare of MOD revisions.
 */
import { ConfigError } from '../../emulator/errors.js';
import { requireOneHost } from '../../hypervisor/channel/address.js';
import { base64, EtcdGateway, field, type KeyValue } from '../../hypervisor/ft/etcd-gateway.js';
import type { Spare } from '../../hypervisor/ft/spare-search.js';
import { PAIR_PATTERN } from '../../hypervisor/pair-names.js';

export const POOL_HELP = 'etcd:http://HOST:PORT, where spare hosts of this pair wait';

const LEASE_S = 3;
const SPARES_MAX = '1000';

/** The pool whose spares find this replica at `address`. @throws ConfigError */
export function openPool(text: string, pair: string, option: string, address: string): EtcdPool {
  requireOneHost(option, address);
  return new EtcdPool(text, pair);
}

export class EtcdPool {
  readonly #etcd: EtcdGateway;
  readonly #prefix: string;

  /** @param text of --pool @throws ConfigError */
  constructor(text: string, pair: string) {
    const match = /^etcd:(\/\/.+|https?:\/\/.+)$/.exec(text);
    if (match === null) throw new ConfigError('--pool', text, 'must be etcd:http://HOST:PORT');
    const url = match[1] ?? '';
    this.#etcd = new EtcdGateway('--pool', url.startsWith('//') ? `http:${url}` : url);
    if (!PAIR_PATTERN.test(pair)) throw new ConfigError('--name', pair, 'must be letters, digits, - and _');
    this.#prefix = `ft86/${pair}/spare/`;
  }

  /** All spares, who waits longest first. @throws ReplicaError */
  async list(): Promise<Spare[]> {
    const key = base64(this.#prefix);
    // '0' follows '/'.
    const range_end = base64(`${this.#prefix.slice(0, -1)}0`);
    const range = { key, range_end, limit: SPARES_MAX, sort_order: 'ASCEND', sort_target: 'CREATE' };
    return (await this.#etcd.range(range)).map((entry) => this.#spare(entry));
  }

  /** Ask a spare to join the live replica at `address`. False: its entry has changed. @throws ReplicaError */
  async claim({ id, revision }: Spare, address: string): Promise<boolean> {
    const key = base64(this.#prefix + id);
    const unchanged = { key, target: 'MOD', result: 'EQUAL', mod_revision: revision };
    // Put without a lease would outlive the spare: keep the one it has.
    const put = { request_put: { key, value: base64(address), ignore_lease: true } };
    return (await this.#etcd.transact(unchanged, put, null)) === 'done';
  }

  /** Enter the pool; the name of the lease. @throws ReplicaError */
  async register(id: string): Promise<string> {
    const granted = await this.#etcd.post('lease/grant', { TTL: String(LEASE_S), ID: '0' });
    const lease = field(granted, 'ID');
    if (typeof lease !== 'string') throw this.#etcd.unreachable('grants no lease');
    const key = base64(this.#prefix + id);
    const absent = { key, target: 'CREATE', result: 'EQUAL', create_revision: '0' };
    if ((await this.#etcd.transact(absent, { request_put: { key, value: '', lease } }, null)) !== 'done') {
      throw this.#etcd.unreachable(`has a spare ${id} already`);
    }
    return lease;
  }

  /** This spare's entry; null: its lease has run out. @throws ReplicaError */
  async entry(id: string): Promise<Spare | null> {
    const entry = (await this.#etcd.range({ key: base64(this.#prefix + id) }))[0];
    return entry === undefined ? null : this.#spare(entry);
  }

  /** @throws ReplicaError */
  async keepAlive(lease: string): Promise<void> {
    await this.#etcd.post('lease/keepalive', { ID: lease });
  }

  /** Leave the pool. @throws ReplicaError */
  async leave(lease: string): Promise<void> {
    await this.#etcd.post('lease/revoke', { ID: lease });
  }

  #spare({ key, value, modRevision }: KeyValue): Spare {
    const id = Buffer.from(key, 'base64').toString().slice(this.#prefix.length);
    const claim = Buffer.from(value, 'base64').toString();
    return { id, claim: claim === '' ? null : claim, revision: modRevision };
  }
}
