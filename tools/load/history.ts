/**
 * What the clients did and what they were told: the evidence that the checkers judge.
 *
 * Invariant: a client has one invocation without an outcome at most, its last one.
 */
import type { ServiceStatus } from './service-protocol.js';

/** setup: reads the state before; load: the operations asked for; verify: reads everything at the end. */
export type Phase = 'setup' | 'load' | 'verify';

export type Action =
  | { readonly op: 'put'; readonly key: string; readonly value: Uint8Array }
  | { readonly op: 'get'; readonly key: string }
  | { readonly op: 'delete'; readonly key: string }
  | { readonly op: 'add'; readonly key: string; readonly operand: number }
  | { readonly op: 'increment' }
  | { readonly op: 'read' }
  | { readonly op: 'echo'; readonly payload: Uint8Array };

export interface Outcome {
  readonly status: ServiceStatus;
  /** The reply's value; for echo the payload that came back. */
  readonly value: Uint8Array;
}

export interface Invocation {
  /** Index of the client, from 0. */
  readonly client: number;
  readonly sequence: number;
  readonly phase: Phase;
  readonly action: Action;
  readonly invokedMs: number;
  /** Datagrams sent for it. */
  attempts: number;
  /** Null until acknowledged; then the outcome is there too. */
  respondedMs: number | null;
  outcome: Outcome | null;
}

/** An invocation that was answered. */
export interface Acknowledged extends Invocation {
  readonly respondedMs: number;
  readonly outcome: Outcome;
}

export function isAcknowledged(invocation: Invocation): invocation is Acknowledged {
  return invocation.respondedMs !== null && invocation.outcome !== null;
}

/** What a checker found. */
export interface Verdict {
  /** Acknowledged effects that are missing later, and answers that no state explains. */
  readonly lost: number;
  /** Effects applied more than once. */
  readonly duplicated: number;
  /** The first findings, one line each. */
  readonly findings: readonly string[];
}

const FINDINGS_MAX = 20;

/** Counts findings and keeps the first ones. */
export class Findings implements Verdict {
  lost = 0;
  duplicated = 0;
  readonly findings: string[] = [];

  addLost(where: Invocation | null, what: string): void {
    this.lost++;
    this.#note('lost', where, what);
  }

  addDuplicated(where: Invocation | null, what: string, count = 1): void {
    this.duplicated += count;
    this.#note('duplicated', where, what);
  }

  #note(kind: string, where: Invocation | null, what: string): void {
    if (this.findings.length >= FINDINGS_MAX) return;
    const place = where === null ? '' : `client ${where.client} request ${where.sequence} (${where.action.op}): `;
    this.findings.push(`${kind}: ${place}${what}`);
  }
}

/** The unsigned 64-bit number in a reply, or null when it is not one. */
export function numberOf(outcome: Outcome): bigint | null {
  if (outcome.status !== 'ok' || outcome.value.length !== 8) return null;
  return Buffer.from(outcome.value).readBigUInt64BE();
}
