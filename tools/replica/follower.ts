/**
 * Edge: executes a log as it arrives, in steps between looks at the sockets.
 *
 *   frame -> receive() -> BackupReplica ... RunLoop: step() -> starved (wait for more) or ended
 */
import type { BackupReplica } from '../../hypervisor/ft/backup-replica.js';
import type { ExecutionLag } from './execution-lag.js';
import { SliceSize } from '../../hypervisor/ft/slice-size.js';
import { hostMs, hostNs } from './host-time.js';
import { RunLoop } from './run-loop.js';

const REPORT_MS_MAX = 20;
const LAG_SHARE = 1 / 10;
const DETECT_SHARE = 1 / 8;

/**
 * How long after anything was said what is executed, and received, is: a share of the execution lag that is allowed, for a
 * live replica that rests has left its backup more work than that (lag-governor.ts), and of the silence that is an alarm.
 */
export function reportMs({ lagMs, detectMs }: Pick<FollowerOptions, 'lagMs' | 'detectMs'>): number {
  return Math.min(REPORT_MS_MAX, lagMs * LAG_SHARE, detectMs * DETECT_SHARE);
}

export interface FollowerOptions {
  /** Execution lag above which the live replica is slowed. */
  readonly lagMs: number;
  /** Silence of this backup after which the live replica goes on without it. */
  readonly detectMs: number;
  /** Share of full speed at which this backup executes (for tests of the lag governor). */
  readonly throttle?: number | undefined;
  /** Called once when icount reaches `icount`. */
  readonly breakAt?: { readonly icount: number; readonly reached: () => void } | undefined;
}

export interface FollowerHooks {
  /** Every entry held is executed. */
  starved(): void;
  /** What was executed is worth a report: a live replica that rests, and writes after reads of a disk, wait for it. */
  progressed(): void;
  /** The log's stop entry was reached. */
  ended(): void;
  /** A step threw; the loop has stopped. */
  failed(error: unknown): void;
}

export class Follower {
  readonly replica: BackupReplica;
  readonly lag: ExecutionLag;
  readonly #options: FollowerOptions;
  readonly #hooks: FollowerHooks;
  readonly #loop: RunLoop;
  /** Short steps: an acknowledgement waits for the end of one. */
  readonly #slice = new SliceSize();
  #broken = false;
  /** Host time before which a throttled backup rests. */
  #restUntilMs = 0;
  #reported = { seq: -1, atMs: 0 };
  readonly #reportMs: number;

  constructor(replica: BackupReplica, lag: ExecutionLag, options: FollowerOptions, hooks: FollowerHooks) {
    this.#reportMs = reportMs(options);
    this.replica = replica;
    this.lag = lag;
    this.#options = options;
    this.#hooks = hooks;
    this.#loop = new RunLoop(
      () => this.#step(),
      (error) => {
        hooks.failed(error);
      },
    );
    replica.disks.onData = () => {
      this.#loop.wake();
    };
    this.#loop.start();
  }

  /**
   * A frame of the log.
   * @returns true: the caller acknowledges it, and says with that what is executed; false: that can wait for the next report
   * @throws DecodeError
   */
  receive(frame: Uint8Array): boolean {
    const awaited = this.replica.receive(frame);
    if (awaited) this.#reported = { seq: this.replica.executedSeq, atMs: hostMs() };
    this.lag.received(this.replica.receivedSeq);
    this.#loop.wake();
    return awaited;
  }

  /** Call starved() or ended() again although nothing new has come. */
  wake(): void {
    this.#loop.wake();
  }

  stop(): void {
    this.#loop.stop();
    this.replica.disks.stop();
  }

  #step(): number | null {
    const startMs = hostMs();
    if (startMs < this.#restUntilMs) return this.#restUntilMs - startMs;
    this.#slice.begin(hostNs(), this.replica.machine.icount);
    const { readsDone } = this.replica.disks;
    const result = this.replica.step(this.#budget());
    this.#slice.ended(hostNs(), this.replica.machine.icount);
    this.lag.executed(this.replica.executedSeq);
    this.#report(this.replica.disks.readsDone > readsDone);
    this.#checkBreak();
    if (result === 'starved') this.#hooks.starved();
    if (result === 'ended') this.#hooks.ended();
    const workedMs = hostMs() - startMs;
    const restMs = workedMs * (1 / (this.#options.throttle ?? 1) - 1);
    this.#restUntilMs = startMs + workedMs + restMs;
    return result === 'running' ? restMs : this.#reportInMs();
  }

  /** When to step again only to report; null: there is nothing to report. */
  #reportInMs(): number | null {
    if (this.replica.end !== null || this.replica.executedSeq === this.#reported.seq) return null;
    return Math.max(0, this.#reported.atMs + this.#reportMs - hostMs());
  }

  #report(atOnce: boolean): void {
    const { executedSeq } = this.replica;
    const now = hostMs();
    if (!atOnce && (executedSeq === this.#reported.seq || now - this.#reported.atMs < this.#reportMs)) return;
    this.#reported = { seq: executedSeq, atMs: now };
    this.#hooks.progressed();
  }

  #budget(): number {
    const stopAt = this.#options.breakAt?.icount;
    const { instructions } = this.#slice;
    if (stopAt === undefined || this.#broken) return instructions;
    return Math.max(1, Math.min(instructions, stopAt - this.replica.machine.icount));
  }

  #checkBreak(): void {
    if (this.#broken || this.replica.machine.icount < (this.#options.breakAt?.icount ?? Infinity)) return;
    this.#broken = true;
    this.#options.breakAt?.reached();
  }
}
