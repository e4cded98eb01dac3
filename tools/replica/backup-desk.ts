/**
 * Edge: a live replica's one backup, from its hello to its loss.
 *
 *   accept() -> hello -> StateSender (the guest runs) -> sent -> PrimaryLink -> release()
 *            -> resume -> the PrimaryLink there is, on another connection
 *
 * Tells what happens through its hooks and decides nothing: that is primary-state.ts.
 */
import { randomBytes } from 'node:crypto';
import { ReplicaError } from '../../emulator/errors.js';
import type { Welcome } from '../../hypervisor/channel/messages.js';
import type { FrameConnection } from '../../hypervisor/channel/transport.js';
import { RESUME_SECRET_BYTES, type Resume } from '../../hypervisor/channel/resume-messages.js';
import { FlowControl } from '../../hypervisor/ft/flow-control.js';
import { HandOver } from '../../hypervisor/ft/hand-over.js';
import type { HeartbeatCounts } from '../../hypervisor/ft/heartbeat-session.js';
import type { LiveReplica } from '../../hypervisor/ft/live-replica.js';
import { awaitFirst, refuse } from './admission.js';
import { Checkpointer } from './checkpointer.js';
import type { ConsoleTail } from './console-tail.js';
import { machineHeader } from './handshake.js';
import type { HeartbeatPeer, HeartbeatPort } from './heartbeat-socket.js';
import { hostMs } from './host-time.js';
import { awayMs, settle, type OpenDrive } from './open-disks.js';
import { PrimaryLink, type PrimaryLinkHooks } from './primary-link.js';
import type { Checkpoints, Samples, Transfer } from './result.js';
import type { SessionEvent } from './live-session-options.js';
import { StateSender, TRANSFER_PROGRESS_MS } from './state-sender.js';
import { throttled } from './throttled.js';

export interface DeskOptions {
  readonly live: LiveReplica;
  readonly console: ConsoleTail;
  readonly replicaId: string;
  /** How a backup has each drive. */
  readonly drives: readonly OpenDrive[];
  readonly detectMs: number;
  readonly lagMs: number;
  /** Log and outputs under way at most, before the guest stands still. */
  readonly logWindowBytes: number;
  /** Time between checkpoints; null: the backup follows the log. */
  readonly checkpointMs: number | null;
  readonly onEvent: (event: SessionEvent) => void;
}

/** Time between questions whether the backup's process is there. */
const ASK_MS = 10;

export interface DeskHooks extends Omit<PrimaryLinkHooks, 'broken' | 'diskThere'> {
  /** Whether a backup may join now. */
  readonly vacant: () => boolean;
  readonly epoch: () => number;
  joinBegan(): void;
  /** The transfer broke off before its last frame was handed over; the guest may go on. */
  joinFailed(): void;
  /** The last frame of the state was handed over, in this very step. */
  stateSent(): void;
  /** Something that should not happen. */
  failed(error: unknown): void;
}

export class BackupDesk {
  readonly #options: DeskOptions;
  readonly #hooks: DeskHooks;
  readonly #flow: FlowControl;
  #handOver = new HandOver();
  #stoodStill = false;
  #sender: StateSender | null = null;
  #paused = false;
  /** Host time before which the guest rests, in ms, so that the backup keeps up; 0: it does not rest. */
  #restUntilMs = 0;
  #link: PrimaryLink | null = null;
  #secret: string | null = null;
  #heartbeat: HeartbeatPeer | null = null;
  #transfer: Transfer | null = null;
  #lag: Samples | null = null;
  #checkpointer: Checkpointer | null = null;
  #checkpoints: Checkpoints | null = null;
  #lastCheckpointTaken = false;

  constructor(options: DeskOptions, hooks: DeskHooks) {
    this.#options = options;
    this.#hooks = hooks;
    this.#flow = new FlowControl(options.logWindowBytes, -1);
  }

  /** The guest stands still for the last step of a transfer. */
  get paused(): boolean {
    return this.#paused;
  }
  /** So much is under way that the guest stands still. */
  get full(): boolean {
    return this.#flow.full(this.#options.live.gate.heldBytes);
  }
  /** The same, asked by whoever runs the guest; executed() tells it when to ask again. */
  standStill(): boolean {
    this.#stoodStill = this.full;
    return this.#stoodStill;
  }
  /** Memory of the log that the backup has yet to execute and of outputs that wait; whether the guest stands still for it. */
  get underWay(): { readonly bytes: number; readonly full: boolean } {
    return { bytes: this.#flow.bytes + this.#options.live.gate.heldBytes, full: this.full };
  }
  get link(): PrimaryLink | null {
    return this.#link;
  }
  /** The newest transfer that was completed. */
  get transfer(): Transfer | null {
    return this.#transfer;
  }
  /** Execution lag of the newest backup. */
  get lag(): Samples | null {
    return this.#lag;
  }

  /** Heartbeats over UDP with the newest backup; null: none. */
  get heartbeats(): HeartbeatCounts | null {
    return this.#heartbeat?.counts ?? null;
  }

  /** What the checkpoints of the newest backup came to; null when backups follow the log. */
  get checkpoints(): Checkpoints | null {
    return this.#checkpointer?.totals ?? this.#checkpoints;
  }

  /** Let a connection join as the backup. Resolves when it has joined or was refused. */
  async accept(connection: FrameConnection, heartbeats: HeartbeatPort | null): Promise<void> {
    const first = await awaitFirst(connection);
    if (first === null) return;
    if ('nextSeq' in first) {
      this.#resume(connection, first);
      return;
    }
    const { replicaId } = first;
    if (!this.#hooks.vacant()) {
      refuse(connection, 'there is a backup already, or the run is over');
      return;
    }
    this.#hooks.joinBegan();
    try {
      this.#sender = this.#senderTo(connection, replicaId, this.#beginHeartbeats(heartbeats));
      await this.#sender.run();
    } catch (error) {
      this.#heartbeat?.end();
      connection.close();
      if (!(error instanceof ReplicaError)) {
        this.#hooks.failed(error);
        return;
      }
      this.#options.onEvent({ kind: 'join-failed', replicaId, reason: error.message });
      this.#hooks.joinFailed();
    } finally {
      this.#sender = null;
      this.#paused = false;
    }
  }

  /** The backup that there is comes on another connection. */
  #resume(connection: FrameConnection, resume: Resume): void {
    const result = this.#link?.resume(connection, resume) ?? 'this backup was given up';
    if (typeof result === 'string') refuse(connection, result);
    else this.#options.onEvent({ kind: 'channel-resumed', ms: result });
  }

  #awaits(link: PrimaryLink): boolean {
    return link === this.#link && link.broken;
  }

  /** The channel is broken. As long as the backup's process is there it may come back; the detector decides how long. */
  async #askForBackup(link: PrimaryLink, heartbeat: HeartbeatPeer | null): Promise<void> {
    while (heartbeat !== null && this.#awaits(link)) {
      const gone = await heartbeat.refused();
      if (gone && this.#awaits(link)) {
        this.#hooks.closed();
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, ASK_MS));
    }
  }

  /** The run is over: a transfer under way is pointless. */
  cancelTransfer(): void {
    this.#sender?.cancel('the run is over');
  }

  /** Give this backup up. */
  release(reason: string): void {
    this.#checkpoints = this.checkpoints;
    this.#checkpointer = null;
    // Without them the backup hears silence, whatever becomes of the connection.
    this.#heartbeat?.end();
    this.#link?.close(reason);
    this.#link = null;
    this.#restUntilMs = 0;
    this.#flow.restart(-1);
  }

  /** A frame of the log. Under checkpoints only what ends the run goes to the backup. */
  sendLog(frame: Uint8Array, lastSeq: number): void {
    if (this.#link === null || (this.#checkpointer !== null && !this.#lastCheckpointTaken)) return;
    this.#flow.sent(lastSeq, frame.length);
    this.#link.sendLog(frame, lastSeq);
  }

  /** Make a checkpoint if one is due; the ms until the next, or null. Only between runs. */
  checkpoint(nowMs: number): number | null {
    return this.#lastCheckpointTaken ? null : (this.#checkpointer?.step(nowMs) ?? null);
  }

  /** The run ends here: the backup gets the state and then the end of the log. */
  lastCheckpoint(): void {
    if (this.#checkpointer === null) return;
    this.#checkpointer.take();
    this.#flow.restart(this.#options.live.recorder.lastSeq);
    this.#lastCheckpointTaken = true;
  }

  /** The backup has executed the log up to `seq`. Returns true when the guest stood still or rested and may go on. */
  executed(seq: number): boolean {
    this.#flow.executed(seq);
    const rested = this.#restUntilMs > 0 && this.#link?.rested === true;
    if (rested) this.#restUntilMs = 0;
    return rested || (this.#stoodStill && !this.full);
  }

  heartbeat(consoleReleased: number): void {
    // A guest that has ended asks nothing of its disks.
    const { live, drives } = this.#options;
    if (live.end === null && this.#handOver.asks(awayMs(drives), hostMs())) this.#link?.askForDisk();
    this.#sender?.heartbeat();
    this.#link?.heartbeat(consoleReleased);
    this.#heartbeat?.beat();
  }

  /** What is left at `nowMs` of the guest's rest. It is kept, whatever else wakes the guest. */
  restMs(nowMs: number): number {
    return Math.max(0, this.#restUntilMs - nowMs);
  }

  /** How long the guest rests for its backup's sake after `workedMs` of work that ended at `nowMs`. */
  rest(workedMs: number, nowMs: number): number {
    const restMs = this.#sender === null ? (this.#link?.restMs(workedMs) ?? 0) : workedMs * this.#sender.restShare;
    this.#restUntilMs = restMs === 0 ? 0 : nowMs + restMs;
    return restMs;
  }

  #beginHeartbeats(port: HeartbeatPort | null): Welcome['heartbeat'] {
    const begun = port?.begin(this.#hooks.epoch(), () => this.#link?.heard());
    this.#heartbeat = begun?.peer ?? null;
    return begun?.welcome ?? null;
  }

  #senderTo(connection: FrameConnection, replicaId: string, heartbeat: Welcome['heartbeat']): StateSender {
    const { live, console, detectMs, onEvent } = this.#options;
    const { machine, recorder } = live;
    // A UNIX socket breaks only when a process ends.
    this.#secret = connection.remoteHost === null ? null : randomBytes(RESUME_SECRET_BYTES).toString('hex');
    const header = machineHeader(machine.config, 0, machine.icount);
    const welcome = {
      epoch: this.#hooks.epoch(),
      primaryId: this.#options.replicaId,
      checkpointMs: this.#options.checkpointMs,
      heartbeat,
      resume: this.#secret,
      drives: this.#options.drives.map(({ shared, backupReads }) => ({ shared, backupReads })),
    };
    return new StateSender(
      {
        ...{ connection, machine, welcome, header, detectMs },
        copies: this.#options.drives.map(({ copy }) => copy),
        settle: () => settle(this.#options.drives),
      },
      {
        pause: () => {
          this.#paused = true;
        },
        cut: () => {
          const firstSeq = recorder.cut(machine.icount);
          const { offset, bytes } = console.unreleased();
          return { firstSeq, consoleOffset: offset, console: bytes, settings: live.settings, unflushed: [] };
        },
        sent: (transfer) => {
          this.#sent(connection, replicaId, transfer);
        },
        progress: throttled(TRANSFER_PROGRESS_MS, (progress) => {
          onEvent({ kind: 'transfer', replicaId, progress });
        }),
      },
    );
  }

  /** The backup may hold the state whole: from here on its silence is a matter for the arbiter. */
  #sent(connection: FrameConnection, replicaId: string, transfer: Transfer): void {
    const { checkpointMs: intervalMs, console, detectMs, drives, lagMs, live, onEvent } = this.#options;
    this.#transfer = transfer;
    const firstSeq = live.recorder.lastSeq + 1;
    const link: PrimaryLink = new PrimaryLink(
      connection,
      { detectMs, lagMs, firstSeq, secret: this.#secret, replicaId },
      {
        ...this.#hooks,
        diskThere: () => {
          if (live.end !== null || !this.#handOver.there(awayMs(this.#options.drives), hostMs())) return;
          onEvent({ kind: 'hands-over' });
          link.yield();
        },
        broken: (reason) => {
          onEvent({ kind: 'channel-broken', reason });
          void this.#askForBackup(link, this.#heartbeat);
        },
      },
    );
    this.#link = link;
    this.#handOver = new HandOver();
    this.#lag = this.#link.lag;
    this.#flow.restart(live.recorder.lastSeq);
    this.#sender = null;
    this.#paused = false;
    if (intervalMs !== null) {
      const { machine, recorder, settings } = live;
      this.#checkpointer = new Checkpointer({ machine, recorder, settings, console, drives, link, intervalMs });
    }
    this.#hooks.stateSent();
    onEvent({ kind: 'backup-joined', replicaId, transfer });
  }
}
