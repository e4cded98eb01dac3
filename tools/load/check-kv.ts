/**
 * Judges a kv history: replays each client's acknowledged operations through a model of its own keys. Every key
 * belongs to one client and a client has one operation in flight, so the model knows each answer beforehand.
 *
 * After a finding the model takes over what the guest said, so that one fault is counted once.
 */
import {
  Findings,
  isAcknowledged,
  numberOf,
  type Acknowledged,
  type Action,
  type Invocation,
  type Verdict,
} from './history.js';

/** What a key holds: a value, nothing (null), or not known yet (undefined). */
type Held = Uint8Array | null | undefined;

class KeyModel {
  readonly #findings: Findings;
  readonly #held = new Map<string, Held>();
  /** Keys that something was added to: a wrong value can be judged as too low or too high. */
  readonly #numbers = new Set<string>();

  constructor(findings: Findings) {
    this.#findings = findings;
  }

  apply(invocation: Acknowledged): void {
    const { action, outcome } = invocation;
    // "full" changes nothing: the guest had no room.
    if (outcome.status === 'full') return;
    switch (action.op) {
      case 'put':
        this.#held.set(action.key, action.value);
        return;
      case 'get':
        this.#get(invocation, action.key);
        return;
      case 'delete':
        this.#delete(invocation, action.key);
        return;
      case 'add':
        this.#add(invocation, action);
        return;
      default:
        this.#findings.addLost(invocation, 'does not belong into this history');
    }
  }

  #get(invocation: Acknowledged, key: string): void {
    const held = this.#held.get(key);
    const got = invocation.outcome.status === 'ok' ? invocation.outcome.value : null;
    this.#held.set(key, got);
    if (held === undefined || equal(held, got)) return;
    const what = `${key} is ${show(got)}, the acknowledged state is ${show(held)}`;
    if (this.#numbers.has(key) && asNumber(got) > asNumber(held)) this.#findings.addDuplicated(invocation, what);
    else this.#findings.addLost(invocation, what);
  }

  #delete(invocation: Acknowledged, key: string): void {
    const held = this.#held.get(key);
    const found = invocation.outcome.status === 'ok';
    this.#held.set(key, null);
    if (held === undefined || found === (held !== null)) return;
    const what = `${key} was ${found ? 'there' : 'not there'}, the acknowledged state is ${show(held)}`;
    // A delete that was sent twice and did not find its key has most likely deleted it the first time.
    if (!found && invocation.attempts > 1) this.#findings.addDuplicated(invocation, what);
    else this.#findings.addLost(invocation, what);
  }

  #add(invocation: Acknowledged, { key, operand }: Extract<Action, { op: 'add' }>): void {
    const got = numberOf(invocation.outcome);
    if (got === null) {
      this.#findings.addLost(invocation, `${key} is no number: ${invocation.outcome.status}`);
      return;
    }
    const held = this.#held.get(key);
    this.#numbers.add(key);
    this.#held.set(key, invocation.outcome.value);
    if (held === undefined) return;
    const expected = BigInt.asUintN(64, asNumber(held) + BigInt(operand));
    if (got === expected) return;
    const what = `${key} is ${got}, the acknowledged additions make ${expected}`;
    if (got > expected) this.#findings.addDuplicated(invocation, what);
    else this.#findings.addLost(invocation, what);
  }
}

/** Judge the history of a whole run; each client's invocations are in order. */
export function checkKv(history: readonly Invocation[]): Verdict {
  const findings = new Findings();
  const models = new Map<number, KeyModel>();
  for (const invocation of history) {
    if (!isAcknowledged(invocation)) continue;
    let model = models.get(invocation.client);
    if (model === undefined) models.set(invocation.client, (model = new KeyModel(findings)));
    model.apply(invocation);
  }
  return findings;
}

function equal(a: Uint8Array | null, b: Uint8Array | null): boolean {
  return a === null || b === null ? a === b : Buffer.compare(a, b) === 0;
}

/** A key's value as a number: nothing is 0, and so is what is no number. */
function asNumber(value: Uint8Array | null): bigint {
  return value?.length === 8 ? Buffer.from(value).readBigUInt64BE() : 0n;
}

function show(value: Uint8Array | null): string {
  return value === null ? 'nothing' : `"${Buffer.from(value).toString('hex')}"`;
}
