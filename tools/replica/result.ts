/** Parts of the JSON results that replicas report, and the percentiles in them. */
import type { PostCodes } from '../../devices/post-code.js';
import type { LogTotals } from '../../hypervisor/log/account.js';
import type { StopReason } from '../../hypervisor/log/entry.js';

import type { CopyTotals } from './copy-sender.js';

/** Version of the JSON results (docs/json.md). */
export const JSON_VERSION = 1;

export interface Takeover {
  readonly reason: 'silent' | 'connection-refused' | 'bye' | 'handed-over';
  /** From the last sign of life to the suspicion. */
  readonly detectMs: number;
  readonly drainMs: number;
  readonly arbiterMs: number;
  /** From the last sign of life to the outputs being open. */
  readonly totalMs: number;
  readonly icount: number;
}

export interface Transfer {
  readonly bytes: number;
  readonly rounds: number;
  /** Blocks of disks that are not shared: compared, and sent because they differed or were written meanwhile. */
  readonly blocks: CopyTotals;
  readonly pauseMs: number;
  readonly totalMs: number;
}

/** What state transfer as replication cost. */
export interface Checkpoints {
  readonly count: number;
  /** Bytes of all frames, and the pages in them. */
  readonly bytes: number;
  readonly pages: number;
  /** How long the guest stood still for one. */
  readonly pauseMsP50: number;
  readonly pauseMsP99: number;
}

/** What a replica says at the end of its part. */
export interface ReplicaReport {
  readonly role: 'primary' | 'backup';
  readonly state: string;
  readonly stop: StopReason | null;
  readonly exitCode: number;
  readonly icount: number;
  readonly digest: string | null;
  readonly seconds: number;
  readonly mips: number;
  readonly lagMsP50: number | null;
  readonly lagMsP99: number | null;
  readonly comparedIcount: number | null;
  readonly comparedDigest: string | null;
  readonly log: LogTotals;
  readonly outputs: { readonly released: number; readonly heldMsP50: number; readonly heldMsP99: number };
  readonly takeover: Takeover | null;
  readonly transfer: Transfer | null;
  /** Null when backups follow the log. */
  readonly checkpoints: Checkpoints | null;
  readonly error: string | null;
  readonly residentBytes: number;
  /** Null: the replica never had a machine. */
  readonly postCodes: PostCodes | null;
}

/** A bounded set of samples; when it is full every second one is dropped and only every second is taken from then on. */
export class Samples {
  #values: number[] = [];
  #stride = 1;
  #skipped = 0;

  add(value: number): void {
    if (++this.#skipped < this.#stride) return;
    this.#skipped = 0;
    this.#values.push(value);
    if (this.#values.length < 100_000) return;
    this.#values = this.#values.filter((_, i) => i % 2 === 0);
    this.#stride *= 2;
  }

  /** The value below which `share` (0 to 1) of the samples lie; null without samples. */
  percentile(share: number): number | null {
    if (this.#values.length === 0) return null;
    const sorted = [...this.#values].sort((a, b) => a - b);
    const value = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] as number;
    return Math.round(value * 1000) / 1000;
  }
}

/** Exit status of a run by how it ended: 0 orderly, 1 the guest failed. */
export function guestExitStatus(stop: StopReason | null): number {
  return stop === 'triple-fault' ? 1 : 0;
}
