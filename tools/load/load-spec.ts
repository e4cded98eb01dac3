/**
 * The text of `--load`: which guest is asked, how often, by how many clients.
 *
 *   kv:ops=5000,clients=8,rate=2000,timeout-ms=30000,seed=1
 */
import { ConfigError } from '../../emulator/errors.js';
import { parseCount, parseKeyValues } from '../key-values.js';

const OPTION = '--load';
const KINDS = ['kv', 'echo', 'counter'] as const;
const OPERATIONS_MAX = 1_000_000;
/** The shipped services remember this many clients. */
const CLIENTS_MAX = 256;

export type LoadKind = (typeof KINDS)[number];

export interface LoadSpec {
  readonly kind: LoadKind;
  /** Operations of all clients together, without greetings and the reads that check. */
  readonly operations: number;
  readonly clients: number;
  /** Operations a second of all clients together; null: as fast as they are answered. */
  readonly ratePerSecond: number | null;
  /** The run fails when nothing at all is heard for that long. */
  readonly timeoutMs: number;
  readonly seed: number;
}

/** @throws ConfigError naming the part at fault and what is allowed */
export function parseLoad(text: string): LoadSpec {
  const colon = text.indexOf(':');
  const name = colon < 0 ? text : text.slice(0, colon);
  const kind = KINDS.find((known) => known === name);
  if (kind === undefined) {
    throw new ConfigError(
      OPTION,
      text,
      `must be ${KINDS.join(', ')} with :ops=N,clients=C, e.g. kv:ops=5000,clients=4`,
    );
  }
  const allowed = { ops: null, clients: null, rate: null, 'timeout-ms': null, seed: null };
  const given = colon < 0 ? {} : parseKeyValues(OPTION, text.slice(colon + 1), allowed);
  const number = (key: string, fallback: number, min: number, max: number): number => {
    const value = given[key];
    return value === undefined ? fallback : parseCount(`${OPTION} ${name}:${key}=`, value, min, max);
  };
  const operations = number('ops', 2000, 1, OPERATIONS_MAX);
  return {
    kind,
    operations,
    clients: Math.min(operations, number('clients', 4, 1, CLIENTS_MAX)),
    ratePerSecond: given['rate'] === undefined ? null : number('rate', 0, 1, OPERATIONS_MAX),
    timeoutMs: number('timeout-ms', 30_000, 100, 3_600_000),
    seed: number('seed', 1, 0, 0xffffffff),
  };
}

const GUEST_PORTS: Readonly<Record<LoadKind, number>> = { kv: 8086, echo: 7, counter: 8087 };

/** The UDP port on which the shipped guest of that kind serves. */
export function guestPort(spec: LoadSpec): number {
  return GUEST_PORTS[spec.kind];
}
