/** Puts a replica's report together at the end of its part. */
import { LogAccount } from '../../hypervisor/log/account.js';
import type { BackupSession } from './backup-session.js';
import type { LiveSession } from './live-session.js';
import type { ReplicaReport, Takeover } from './result.js';

/** The report of a live replica; `takeover` when it went live during the run. */
export function liveReport(session: LiveSession, role: 'primary' | 'backup', takeover: Takeover | null): ReplicaReport {
  const { end, machine, gate } = session.live;
  return {
    role,
    state: session.state,
    stop: end?.reason ?? null,
    exitCode: end?.exitCode ?? 0,
    icount: machine.icount,
    digest: end?.digest ?? null,
    seconds: session.seconds,
    mips: session.mips,
    lagMsP50: session.lag?.percentile(0.5) ?? null,
    lagMsP99: session.lag?.percentile(0.99) ?? null,
    comparedIcount: null,
    comparedDigest: null,
    log: session.account.totals(machine.icount),
    outputs: {
      released: gate.released,
      heldMsP50: session.held.percentile(0.5) ?? 0,
      heldMsP99: session.held.percentile(0.99) ?? 0,
    },
    takeover,
    transfer: session.transfer,
    checkpoints: session.checkpoints,
    error: null,
    residentBytes: process.memoryUsage.rss(),
    postCodes: machine.board.postCode.codes,
  };
}

/** The report of a backup that followed to the log's end, or that failed with `error`. */
export function backupReport(session: BackupSession, error: string | null): ReplicaReport {
  const { replica, machine } = session;
  const icount = machine?.icount ?? 0;
  return {
    role: 'backup',
    state: session.state,
    stop: replica?.end?.reason ?? null,
    exitCode: replica?.end?.exitCode ?? 0,
    icount,
    digest: replica?.end == null ? null : replica.comparedDigest,
    seconds: session.seconds,
    mips: session.seconds > 0 ? icount / session.seconds / 1e6 : 0,
    lagMsP50: session.lag.samples.percentile(0.5),
    lagMsP99: session.lag.samples.percentile(0.99),
    comparedIcount: replica?.comparedIcount ?? null,
    comparedDigest: replica?.comparedDigest ?? null,
    log: session.account.totals(icount),
    outputs: { released: 0, heldMsP50: 0, heldMsP99: 0 },
    takeover: null,
    transfer: null,
    checkpoints: null,
    error,
    residentBytes: process.memoryUsage.rss(),
    postCodes: machine?.board.postCode.codes ?? null,
  };
}

/** The log of a machine that records nothing. */
export const NO_LOG = new LogAccount().totals(0);
