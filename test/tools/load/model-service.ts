/** A service guest in TypeScript: the contract of images/service.h as an independent model, with faults on request. */
import { SERVICE_HEADER_BYTES, encodeReply, type ServiceStatus } from '../../../tools/load/service-protocol.js';

export interface Faults {
  /** Every n-th datagram from a client is not seen. */
  readonly loseEvery?: number;
  /** Retries are applied again instead of being answered from memory. */
  readonly forgetClients?: boolean;
  /** Every n-th counted or stored effect is answered but not kept. */
  readonly dropEffectEvery?: number;
  /** Every n-th effect is applied twice. */
  readonly repeatEffectEvery?: number;
  /** Answered to every request. */
  readonly alwaysStatus?: ServiceStatus;
}

const EMPTY = Buffer.alloc(0);
type Answer = readonly [ServiceStatus, Uint8Array];

export class ModelService {
  readonly #kind: 'kv' | 'counter' | 'echo';
  readonly #faults: Faults;
  readonly #last = new Map<number, { sequence: number; reply: Uint8Array }>();
  readonly #keys = new Map<string, Buffer>();
  #counter = 0n;
  #seen = 0;
  #effects = 0;

  constructor(kind: 'kv' | 'counter' | 'echo', faults: Faults = {}) {
    this.#kind = kind;
    this.#faults = faults;
  }

  get clients(): number {
    return this.#last.size;
  }

  /** The reply to a datagram; null: none. */
  answer(datagram: Uint8Array): Uint8Array | null {
    if (every(++this.#seen, this.#faults.loseEvery)) return null;
    if (this.#kind === 'echo') return Uint8Array.from(datagram);
    const bytes = Buffer.from(datagram);
    const [client, sequence, op] = [bytes.readUInt32BE(4), bytes.readUInt32BE(8), bytes.readUInt8(12)];
    const reply = ([status, value]: Answer): Uint8Array => encodeReply({ client, sequence, status, value });
    if (sequence === 0 && op === 0) return reply(['ok', EMPTY]);
    if (this.#faults.alwaysStatus !== undefined) return reply([this.#faults.alwaysStatus, EMPTY]);
    const last = this.#last.get(client);
    if (last !== undefined && this.#faults.forgetClients !== true) {
      if (sequence === last.sequence) return last.reply;
      if (sequence < last.sequence) return reply(['stale', EMPTY]);
    }
    const key = bytes.toString('latin1', SERVICE_HEADER_BYTES, SERVICE_HEADER_BYTES + bytes.readUInt8(13));
    const value = bytes.subarray(SERVICE_HEADER_BYTES + key.length);
    const answer = reply(this.#kind === 'kv' ? this.#kv(op, key, value) : this.#count(op));
    this.#last.set(client, { sequence, reply: answer });
    return answer;
  }

  #times(): number {
    this.#effects++;
    if (every(this.#effects, this.#faults.dropEffectEvery)) return 0;
    return every(this.#effects, this.#faults.repeatEffectEvery) ? 2 : 1;
  }

  #count(op: number): Answer {
    const before = this.#counter;
    if (op === 1) this.#counter += BigInt(this.#times());
    return ['ok', number(op === 1 && this.#counter === before ? before + 1n : this.#counter)];
  }

  #kv(op: number, key: string, value: Buffer): Answer {
    const held = this.#keys.get(key);
    switch (op) {
      case 1:
        if (this.#times() > 0) this.#keys.set(key, Buffer.from(value));
        return ['ok', EMPTY];
      case 2:
        return held === undefined ? ['not-found', EMPTY] : ['ok', held];
      case 3:
        this.#keys.delete(key);
        return [held === undefined ? 'not-found' : 'ok', EMPTY];
      default: {
        const sum = (held?.readBigUInt64BE() ?? 0n) + BigInt(value.readUInt32BE()) * BigInt(this.#times());
        this.#keys.set(key, number(sum));
        return ['ok', number(sum)];
      }
    }
  }
}

function every(count: number, n: number | undefined): boolean {
  return n !== undefined && count % n === 0;
}

function number(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes;
}
