/** The JSON result of `pair`, from the reports of both replicas, their final states and the client. */
import { existsSync } from 'node:fs';
import type { PostCodes } from '../../devices/post-code.js';
import type { StopReason } from '../../hypervisor/log/entry.js';
import { NO_DIFFERENCE, diffSnapshots, type SnapshotDiff } from '../../hypervisor/snapshot/diff.js';
import { openSnapshot } from '../../hypervisor/snapshot/snapshot-file.js';
import type { LoadResult } from '../load/load-result.js';
import { NO_LOG } from '../replica/report.js';
import { JSON_VERSION, type Checkpoints, type ReplicaReport, type Takeover, type Transfer } from '../replica/result.js';
import type { CopyResult } from './own-copies.js';
import { sameFinal } from './final-states.js';
import type { Member } from './fleet.js';

/** What a summary needs to know of a replica. */
type Evidence = Pick<Member, 'name' | 'report' | 'final' | 'last' | 'takeover' | 'lostAs'>;

export interface ReplicaSummary {
  readonly icount: number;
  readonly digest: string | null;
  readonly seconds: number;
  readonly mips: number;
  readonly residentBytes: number | null;
  /** False for a replica that was killed. */
  readonly survived: boolean;
}

/** A replica that ended before its run did: killed, failed or diverged. */
export interface Loss {
  readonly replica: string;
  /** What it was then. */
  readonly role: 'primary' | 'backup';
  /** Last heard of. */
  readonly icount: number;
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
  /** All of them in the order in which they were started. */
  readonly replicas: readonly (ReplicaSummary & { readonly name: string; readonly takeover: Takeover | null })[];
  readonly losses: readonly Loss[];
  readonly log: ReplicaReport['log'];
  readonly outputs: ReplicaReport['outputs'];
  readonly takeover: Takeover | null;
  readonly transfer: Transfer | null;
  /** Null when the backup follows the log. */
  readonly checkpoints: Checkpoints | null;
  readonly client: LoadResult | null;
  /** Drives with shared=off. */
  readonly copies: readonly CopyResult[];
  readonly postCodes: PostCodes | null;
  readonly error: string | null;
}

export interface PairEvidence {
  readonly image: string;
  /** In the order in which they were started: the first primary, the first backup, their successors. */
  readonly members: readonly Evidence[];
  /** The replica that was live at the end, and its backup. */
  readonly live: Evidence | null;
  readonly backup: Evidence | null;
  readonly transfer: Transfer | null;
  /** Host seconds from the guest's start to now, for a replica that did not report. */
  readonly seconds: number;
  /** In what the final states of `live` and `backup` differ; null when there are not two of the same icount. */
  readonly diff: SnapshotDiff | null;
  readonly client: LoadResult | null;
  readonly copies: readonly CopyResult[];
}

const NO_DIFF = { registers: [], pages: [], devices: [] };

export function summarise(evidence: PairEvidence): PairResult {
  const { members, live, backup, seconds, diff } = evidence;
  const survivor = live?.report ?? members.find(({ report }) => report !== null)?.report ?? null;
  const { identical, comparedIcount } = verdict(evidence);
  const lag = [backup?.report, live?.report].find((report) => report?.lagMsP50 != null);
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
    primary: summaryOf(members[0], seconds),
    backup: {
      ...summaryOf(members[1], seconds),
      lagMsP50: lag?.lagMsP50 ?? null,
      lagMsP99: lag?.lagMsP99 ?? null,
    },
    replicas: members.map((member) => ({
      name: member.name,
      ...summaryOf(member, seconds),
      takeover: member.takeover,
    })),
    losses: members.flatMap(({ name, lostAs, last }) =>
      lostAs === null ? [] : [{ replica: name, role: lostAs, icount: last.icount }],
    ),
    log: survivor?.log ?? members[0]?.last.log ?? NO_LOG,
    outputs: survivor?.outputs ?? { released: 0, heldMsP50: 0, heldMsP99: 0 },
    takeover: members.findLast(({ takeover }) => takeover !== null)?.takeover ?? null,
    transfer: evidence.transfer,
    checkpoints:
      survivor?.checkpoints ?? members.find(({ last }) => last.checkpoints !== null)?.last.checkpoints ?? null,
    client: evidence.client,
    copies: evidence.copies,
    postCodes: survivor?.postCodes ?? null,
    error: divergence(evidence)?.error ?? null,
  };
}

/** The report of a replica that found a difference. */
function divergence({ members }: PairEvidence): ReplicaReport | null {
  return members.find(({ report }) => report?.error != null)?.report ?? null;
}

/**
 * Compare the two final states: their digests, and byte by byte if those differ; null when there are not two of the same icount.
 * @param snapshotOf where the replica of that name left its final state
 */
export function compareFinal(
  live: Evidence | null,
  backup: Evidence | null,
  snapshotOf: (name: string) => string,
): SnapshotDiff | null {
  if (live?.report == null || backup?.report == null || live.report.icount !== backup.report.icount) return null;
  if (live.final !== null && backup.final !== null && sameFinal(live.final, backup.final)) return NO_DIFFERENCE;
  const paths = [snapshotOf(live.name), snapshotOf(backup.name)] as const;
  if (!paths.every((path) => existsSync(path))) {
    // One that differs was heard of too late to ask for more.
    return live.final === null || backup.final === null ? null : { ...NO_DIFFERENCE, identical: false };
  }
  using a = openSnapshot(paths[0]);
  using b = openSnapshot(paths[1]);
  return diffSnapshots(a, b);
}

function verdict(evidence: PairEvidence): Pick<PairResult, 'identical' | 'comparedIcount'> {
  const live = evidence.live?.report;
  const backup = evidence.backup?.report;
  const { diff } = evidence;
  const diverged = divergence(evidence);
  if (diverged !== null) return { identical: false, comparedIcount: diverged.icount };
  if (diff !== null && live != null && backup != null) {
    return { identical: diff.identical && live.digest === backup.digest, comparedIcount: live.icount };
  }
  // One of them died: the last digest that both had reached.
  const compared = backup?.comparedIcount ?? live?.comparedIcount;
  return compared == null ? { identical: null, comparedIcount: null } : { identical: true, comparedIcount: compared };
}

function summaryOf(member: Evidence | undefined, seconds: number): ReplicaSummary {
  const report = member?.report ?? null;
  if (report === null) {
    const { icount, mips } = member?.last ?? { icount: 0, mips: 0 };
    return { icount, digest: null, seconds, mips, residentBytes: null, survived: false };
  }
  const { icount, digest, mips, residentBytes } = report;
  return { icount, digest, seconds: report.seconds, mips, residentBytes, survived: true };
}
