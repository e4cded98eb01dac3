/**
 * The errors of the whole product, by who is at fault.
 *
 *   our code       InvariantError    the replica stops, its peer goes live
 *   outside bytes  DecodeError       that file or connection is refused, nothing else
 *   the user       ConfigError       one line, exit status 2
 *   replay         DivergenceError   never go live after it, exit status 3
 *   a host part    ReplicaError      a replica or server could not do its part, exit status 4
 *
 * A guest's own mistakes never throw: they become status bits, all-ones reads or faults in the guest.
 */

/** A broken promise inside ft86 itself. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError';
}

/** Throw an {@link InvariantError} unless `condition` holds. Stays on in releases. */
export function assert(condition: boolean, message: string | (() => string)): asserts condition {
  if (!condition) throw new InvariantError(typeof message === 'string' ? message : message());
}

/** Bytes from a file or the network that are not what their format says. */
export class DecodeError extends Error {
  override readonly name = 'DecodeError';
  /** Short stable word for programs, e.g. `bad-crc`. */
  readonly code: string;
  /** Byte offset in the input at which decoding gave up. */
  readonly offset: number;

  constructor(code: string, offset: number, message: string) {
    super(`${message} (${code} at byte ${offset})`);
    this.code = code;
    this.offset = offset;
  }
}

/** A mistake of the user's: names the option, the value and what is allowed. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';

  constructor(option: string, value: string, allowed: string) {
    super(`${option} ${value}: ${allowed}`);
  }
}

/** A replica's state or behaviour differs from what the log says. */
export class DivergenceError extends Error {
  override readonly name = 'DivergenceError';
  /** Sequence number of the log entry that exposed it. */
  readonly seq: number;
  /** Instruction count at which it was noticed. */
  readonly at: number;

  constructor(seq: number, at: number, what: string, expected: string, actual: string) {
    super(`divergence at icount ${at} (log entry ${seq}): ${what}: expected ${expected}, got ${actual}`);
    this.seq = seq;
    this.at = at;
  }
}

/** A replica or server that could not do its part for a reason outside ft86 (port in use, peer gone). */
export class ReplicaError extends Error {
  override readonly name = 'ReplicaError';
}
