/**
 * Edge: one request to an etcd server through its JSON gateway.
 *
 * Invariant: what does not answer within the time limit, or not with status 200, is a ReplicaError, never a result.
 * Source: etcd v3 API, "gRPC gateway" (keys and values in base64, 64-bit numbers as text) and rpc.proto.
 */
import { ConfigError, ReplicaError } from '../../emulator/errors.js';

const TIMEOUT_MS = 2000;

export interface KeyValue {
  /** In base64, like the value. */
  readonly key: string;
  readonly value: string;
  readonly modRevision: string;
}

export class EtcdGateway {
  readonly #url: string;

  /** @param text `http://HOST:PORT`, which the user gave as `etcd:http://HOST:PORT` to `option` @throws ConfigError */
  constructor(option: string, text: string) {
    if (!URL.canParse(text) || !/^https?:\/\//.test(text)) {
      throw new ConfigError(option, `etcd:${text}`, 'must be etcd:http://HOST:PORT');
    }
    this.#url = text.replace(/\/+$/, '');
  }

  /** @throws ReplicaError when etcd does not answer, or does not carry it out */
  async post(
    what: 'kv/txn' | 'kv/range' | `lease/${'grant' | 'keepalive' | 'revoke'}`,
    body: object,
  ): Promise<unknown> {
    try {
      const signal = AbortSignal.timeout(TIMEOUT_MS);
      const response = await fetch(`${this.#url}/v3/${what}`, { method: 'POST', body: JSON.stringify(body), signal });
      if (!response.ok) throw new Error(`status ${response.status}`);
      return await response.json();
    } catch (error) {
      throw this.unreachable(`does not answer (${(error as Error).message})`);
    }
  }

  /** Put if the comparison holds, else read. @throws ReplicaError */
  async transact(compare: object, success: object, failure: object | null): Promise<'done' | KeyValue[]> {
    const answer = await this.post('kv/txn', {
      compare: [compare],
      success: [success],
      failure: failure ? [failure] : [],
    });
    if (field(answer, 'succeeded') === true) return 'done';
    const responses = field(answer, 'responses');
    return Array.isArray(responses) ? keyValues(field(responses[0], 'response_range')) : [];
  }

  /** @throws ReplicaError */
  async range(range: object): Promise<KeyValue[]> {
    return keyValues(await this.post('kv/range', range));
  }

  unreachable(what: string): ReplicaError {
    return new ReplicaError(`etcd at ${this.#url} ${what}`);
  }
}

export function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}

export function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}

function keyValues(range: unknown): KeyValue[] {
  const kvs = field(range, 'kvs');
  if (!Array.isArray(kvs)) return [];
  // An empty value is left out.
  return kvs.map((kv) => ({ key: text(kv, 'key'), value: text(kv, 'value'), modRevision: text(kv, 'mod_revision') }));
}

function text(kv: unknown, name: string): string {
  const value = field(kv, name);
  return typeof value === 'string' ? value : '';
}
