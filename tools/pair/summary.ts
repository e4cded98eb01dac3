/** The JSON result of `pair`, from the reports of both replicas, their final snapshots and the client. */
import { existsSync } from 'node:fs';
import type { PostCodes } from '../../devices/post-code.js';
import type { StopReason } from '../../hypervisor/log/entry.js';
import { diffSnapshots, type SnapshotDiff } from '../../hypervisor/snapshot/diff.js';
import { readSnapshot } from '../../hypervisor/snapshot/snapshot-file.js';
import type { LoadResult } from '../load/load-result.js';
import { JSON_VERSION, type Checkpoints, type ReplicaReport, type Takeover, type Transfer } from '../replica/result.js';

/** What the parent last heard of a replica that could not report. */
export interface LastHeard {
  readonly icount: number;
  readonly mips: number;
  readonly log: ReplicaReport['log'];
  readonly checkpoints: Checkpoints | null;
}

export interface ReplicaSummary {
  readonly icount: number;
  readonly digest: string | null;
  readonly seconds: number;
  readonly mips: number;
  readonly residentBytes: number | null;
  /** False for a replica that was killed. */
  readonly survived: boolean;
}

export interface PairResult {
  readonly version: number;
  readonly image: string;
  readonly stop: StopReason | null;
  readonly exitCode: number;
  readonly icount: number;
  readonly identical: boolean | null;
  readonly comparedIcount: number | null;
  readonly digest: string | null;
  readonly diff: Pick<SnapshotDiff, 'registers' | 'pages' | 'devices'>;
  readonly primary: ReplicaSummary;
  readonly backup: ReplicaSummary & { readonly lagMsP50: number | null; readonly lagMsP99: number | null };
  readonly log: ReplicaReport['log'];
  readonly outputs: ReplicaReport['outputs'];
  readonly takeover: Takeover | null;
  readonly transfer: Transfer | null;
  /** Null when the backup follows the log. */
  readonly checkpoints: Checkpoints | null;
  readonly client: LoadResult | null;
  readonly postCodes: PostCodes | null;
  readonly error: string | null;
}

export interface PairEvidence {
  readonly image: string;
  readonly primary: ReplicaReport | null;
  readonly backup: ReplicaReport | null;
  readonly primaryLast: LastHeard;
  readonly backupLast: LastHeard;
  /** Host seconds from the guest's start to now, for a replica that did not report. */
  readonly seconds: number;
  readonly snapshots: { readonly primary: string; readonly backup: string };
  readonly client: LoadResult | null;
}

const NO_DIFF = { registers: [], pages: [], devices: [] };

export function summarise(evidence: PairEvidence): PairResult {
  const { primary, backup, client } = evidence;
  const survivor = primary ?? backup;
  const diff = compareFinal(evidence);
  const { identical, comparedIcount } = verdict(evidence, diff);
  return {
    version: JSON_VERSION,
    image: evidence.image,
    stop: survivor?.stop ?? null,
    exitCode: survivor?.exitCode ?? 0,
    icount: survivor?.icount ?? 0,
    identical,
    comparedIcount,
    digest: survivor?.digest ?? null,
    diff: diff === null ? NO_DIFF : { registers: diff.registers, pages: diff.pages, devices: diff.devices },
    primary: replica(primary, evidence.primaryLast, evidence.seconds),
    backup: {
      ...replica(backup, evidence.backupLast, evidence.seconds),
      lagMsP50: backup?.lagMsP50 ?? primary?.lagMsP50 ?? null,
      lagMsP99: backup?.lagMsP99 ?? primary?.lagMsP99 ?? null,
    },
    log: primary?.log ?? backup?.log ?? evidence.primaryLast.log,
    outputs: survivor?.outputs ?? { released: 0, heldMsP50: 0, heldMsP99: 0 },
    takeover: backup?.takeover ?? null,
    transfer: primary?.transfer ?? null,
    checkpoints: primary === null ? evidence.primaryLast.checkpoints : primary.checkpoints,
    client,
    postCodes: survivor?.postCodes ?? null,
    error: backup?.error ?? primary?.error ?? null,
  };
}

/** Compare the two final snapshots byte by byte; null when there are not two of the same icount. */
function compareFinal(evidence: PairEvidence): SnapshotDiff | null {
  const { primary, backup, snapshots } = evidence;
  if (primary === null || backup === null || primary.icount !== backup.icount) return null;
  if (!existsSync(snapshots.primary) || !existsSync(snapshots.backup)) return null;
  using a = readSnapshot(snapshots.primary);
  using b = readSnapshot(snapshots.backup);
  return diffSnapshots(a, b);
}

function verdict(evidence: PairEvidence, diff: SnapshotDiff | null): Pick<PairResult, 'identical' | 'comparedIcount'> {
  const { primary, backup } = evidence;
  if (backup?.error != null) return { identical: false, comparedIcount: backup.icount };
  if (diff !== null && primary !== null && backup !== null) {
    return { identical: diff.identical && primary.digest === backup.digest, comparedIcount: primary.icount };
  }
  // One of them died: the last digest that both had reached.
  if (backup?.comparedIcount != null) return { identical: true, comparedIcount: backup.comparedIcount };
  return { identical: null, comparedIcount: null };
}

function replica(report: ReplicaReport | null, last: LastHeard, seconds: number): ReplicaSummary {
  if (report === null) {
    return { icount: last.icount, digest: null, seconds, mips: last.mips, residentBytes: null, survived: false };
  }
  const { icount, digest, mips, residentBytes } = report;
  return { icount, digest, seconds: report.seconds, mips, residentBytes, survived: true };
}
