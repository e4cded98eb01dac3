/**
 * What each client of a load asks for: a repeatable sequence of actions and their encoding.
 *
 * kv: a client works on keys of its own (`c3.k0`, `c3.k1`, ... and `c3.sum` for additions), the same in every run,
 * so that a disk that is kept does not fill up; what they hold at first is read first.
 */
import type { Action } from './history.js';
import type { LoadKind } from './load-spec.js';
import { SeededRandom } from './seeded-random.js';
import {
  COUNTER_INCREMENT,
  COUNTER_READ,
  ECHO,
  KV_ADD,
  KV_DELETE,
  KV_GET,
  KV_PUT,
  encodeRequest,
} from './service-protocol.js';

const VALUE_KEYS = 3;
const VALUE_BYTES_MIN = 4;
const VALUE_BYTES_MAX = 48;
const OPERAND_MAX = 9;
const ECHO_BYTES_MAX = 128;
/** Percent of kv operations, in this order; the rest are additions. */
const PUT_PERCENT = 40;
const GET_PERCENT = 20;
const DELETE_PERCENT = 10;
const NOTHING = new Uint8Array(0);

export class Workload {
  readonly #kind: LoadKind;
  readonly #client: number;
  readonly #random: SeededRandom;

  /** `client` is the client's index; the same kind, seed and index give the same actions. */
  constructor(kind: LoadKind, seed: number, client: number) {
    this.#kind = kind;
    this.#client = client;
    this.#random = new SeededRandom(seed, client);
  }

  /** Reads to make before (and again after) everything else, so that a change can be told from a loss. */
  reads(): Action[] {
    switch (this.#kind) {
      case 'kv':
        return this.#keys().map((key) => ({ op: 'get', key }));
      case 'counter':
        return this.#client === 0 ? [{ op: 'read' }] : [];
      case 'echo':
        return [];
    }
  }

  next(): Action {
    switch (this.#kind) {
      case 'kv':
        return this.#nextKv();
      case 'counter':
        return { op: 'increment' };
      case 'echo':
        return { op: 'echo', payload: this.#random.bytes(1 + this.#random.below(ECHO_BYTES_MAX)) };
    }
  }

  #nextKv(): Action {
    const random = this.#random;
    const percent = random.below(100);
    const keys = this.#keys();
    const key = keys[random.below(VALUE_KEYS)] ?? '';
    if (percent < PUT_PERCENT) {
      const length = VALUE_BYTES_MIN + random.below(VALUE_BYTES_MAX - VALUE_BYTES_MIN + 1);
      return { op: 'put', key, value: random.bytes(length) };
    }
    if (percent < PUT_PERCENT + GET_PERCENT) return { op: 'get', key: keys[random.below(keys.length)] ?? '' };
    if (percent < PUT_PERCENT + GET_PERCENT + DELETE_PERCENT) return { op: 'delete', key };
    return { op: 'add', key: keys[VALUE_KEYS] ?? '', operand: 1 + random.below(OPERAND_MAX) };
  }

  #keys(): string[] {
    const keys = Array.from({ length: VALUE_KEYS }, (_, i) => `c${this.#client}.k${i}`);
    return [...keys, `c${this.#client}.sum`];
  }
}

/** The datagram that asks for `action`. */
export function encodeAction(action: Action, client: number, sequence: number): Uint8Array {
  const { op, key, value } = fields(action);
  return encodeRequest({ client, sequence, op, key: Buffer.from(key), value });
}

function fields(action: Action): { op: number; key: string; value: Uint8Array } {
  switch (action.op) {
    case 'put':
      return { op: KV_PUT, key: action.key, value: action.value };
    case 'get':
      return { op: KV_GET, key: action.key, value: NOTHING };
    case 'delete':
      return { op: KV_DELETE, key: action.key, value: NOTHING };
    case 'add': {
      const operand = Buffer.alloc(4);
      operand.writeUInt32BE(action.operand);
      return { op: KV_ADD, key: action.key, value: operand };
    }
    case 'increment':
      return { op: COUNTER_INCREMENT, key: '', value: NOTHING };
    case 'read':
      return { op: COUNTER_READ, key: '', value: NOTHING };
    case 'echo':
      return { op: ECHO, key: '', value: action.payload };
  }
}
