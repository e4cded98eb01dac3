/**
 * Edge: a live replica among its surroundings: the loop that steps it by host time, disks, the switch, the
 * console, one backup, the arbiter. The decisions are those of primary-state.ts; this file performs them.
 *
 *   listener -> acceptBackup() -> BackupDesk: state transfer, log      backup
 *   loop: LiveReplica.step(now) -> frames, packets, disk requests, console bytes
 *   watch (timer): heartbeats, silence of the backup -> test-and-set
 */
import { ReplicaError } from '../../emulator/errors.js';
import type { FrameConnection } from '../../hypervisor/channel/transport.js';
import type { Input } from '../../hypervisor/ft/input.js';
import { LiveReplica, type RunEnd } from '../../hypervisor/ft/live-replica.js';
import { LOG_WINDOW_BYTES } from '../../hypervisor/ft/flow-control.js';
import { OutputGate } from '../../hypervisor/ft/output-gate.js';
import {
  nextPrimary,
  type PrimaryEffect,
  type PrimaryInput,
  type PrimaryState,
} from '../../hypervisor/ft/primary-state.js';
import { LogAccount } from '../../hypervisor/log/account.js';
import { FrameWriter } from '../../hypervisor/log/frame.js';
import { BackupDesk } from './backup-desk.js';
import { ConsoleTail } from './console-tail.js';
import type { HeartbeatPort } from './heartbeat-socket.js';
import { hostMs, hostNs } from './host-time.js';
import { Samples, type Checkpoints, type Transfer } from './result.js';
import { liveHost } from './live-host.js';
import type { LiveSessionOptions } from './live-session-options.js';
import { RunClock } from './run-clock.js';
import { RunLoop } from './run-loop.js';

/** Largest time between looks at the clock for heartbeats and silence. */
const WATCH_MS_MAX = 50;
const ARBITER_RETRY_MS = 200;
/** A slice that takes longer waited for a processor meanwhile. (Asking for its time costs more than a short slice.) */
const WORK_MS_MAX = 3;

export class LiveSession {
  readonly live: LiveReplica;
  readonly account: LogAccount;
  readonly held = new Samples();
  readonly #options: LiveSessionOptions;
  readonly #writer: FrameWriter;
  #state: PrimaryState;
  #epoch: number;
  readonly #desk: BackupDesk;
  readonly #console: ConsoleTail;
  #stopped = false;
  #backupEnded = false;
  readonly #loop = new RunLoop(
    () => this.#step(),
    (error) => {
      this.#failed(error);
    },
  );
  #watch: NodeJS.Timeout | null = null;
  readonly #clock = new RunClock();
  #finish: ((end: RunEnd) => void) | null = null;
  #fail: ((error: unknown) => void) | null = null;

  /** The caller has won `epoch`; the guest does not run before start(). */
  constructor(options: LiveSessionOptions) {
    this.#options = options;
    this.#state = nextPrimary('starting', { kind: 'arbiter', verdict: 'granted' })[0];
    this.#epoch = options.epoch;
    this.account = options.account ?? new LogAccount();
    this.#console = new ConsoleTail(options.console, options.consoleOffset);
    this.#writer = new FrameWriter({ ...options, at: options.machine.icount, account: this.account });
    this.live = new LiveReplica({
      machine: options.machine,
      clock: options.clock,
      gate: new OutputGate(true, (ms) => {
        this.held.add(ms);
      }),
      host: liveHost(options, {
        input: (input) => {
          this.input(input);
        },
        frame: (bytes, lastSeq) => {
          this.#desk.sendLog(bytes, lastSeq);
        },
        console: (offset, bytes) => {
          this.#console.write(offset, bytes);
        },
      }),
      writer: this.#writer,
      until: options.until,
      // Checkpoints are what they are: a digest of each would show nothing.
      digestNs: options.checkpointMs === null ? options.digestMs * 1e6 : Infinity,
      beforeEnd: () => {
        this.#desk.lastCheckpoint();
      },
      onSnapshot: options.onSnapshot,
      consoleOffset: options.consoleOffset,
      ...(options.settings === undefined ? {} : { settings: options.settings }),
      ...(options.breakAt === undefined ? {} : { breakAt: options.breakAt }),
    });
    this.live.recorder.setLogging(options.recorder !== null);
    this.#desk = this.#openDesk();
  }

  get state(): PrimaryState {
    return this.#state;
  }
  get epoch(): number {
    return this.#epoch;
  }
  get transfer(): Transfer | null {
    return this.#desk.transfer;
  }
  get checkpoints(): Checkpoints | null {
    return this.#desk.checkpoints;
  }
  /** Heartbeats over UDP with the backup there is; null: none. */
  get heartbeats(): BackupDesk['heartbeats'] {
    return this.#desk.heartbeats;
  }
  /** The backup's execution lag over the run, and now. */
  get lag(): Samples | null {
    return this.#desk.lag;
  }
  get lagMs(): number | null {
    return this.#desk.link?.lagMs ?? null;
  }
  get seconds(): number {
    return this.#clock.seconds;
  }
  get underWay(): BackupDesk['underWay'] {
    return this.#desk.underWay;
  }
  get mips(): number {
    return this.#clock.mips(this.live.machine.icount);
  }

  /** Run the guest to its end. @throws ReplicaError when another replica won the test-and-set */
  start(): Promise<RunEnd> {
    this.#clock.start(this.live.machine.icount);
    const watchMs = Math.min(WATCH_MS_MAX, this.#options.detectMs / 4);
    this.#watch = setInterval(() => {
      this.#guard(() => {
        this.#look();
      });
    }, watchMs);
    return new Promise((resolve, reject) => {
      this.#finish = resolve;
      this.#fail = reject;
      this.#loop.start();
    });
  }

  /** Console bytes of the guest from before this replica was live, once more. */
  repeatConsole(offset: number, bytes: Uint8Array): void {
    if (bytes.length > 0) this.#console.write(offset, bytes);
  }

  /** An input for the guest. One that stands still takes no packets. */
  input(input: Input): void {
    if (input.kind === 'packet' && this.#desk.full) return;
    this.live.input(input);
    this.#loop.wake();
  }

  /** Let a connection join as the backup. Resolves when it has joined or was refused. */
  acceptBackup(connection: FrameConnection, heartbeats: HeartbeatPort | null): Promise<void> {
    return this.#desk.accept(connection, heartbeats);
  }

  /** Let go of everything that keeps the process alive. */
  close(): void {
    this.#over();
    this.#desk.cancelTransfer();
    this.#desk.release('the run is over');
  }

  // --- the loop ---

  /** One slice; returns the ms until the next one, null when something must wake the loop first. */
  #step(): number | null {
    if (this.#desk.paused) return null;
    const start = hostNs();
    if (this.#desk.standStill()) return this.#desk.checkpoint(start / 1e6);
    const restLeftMs = this.#desk.restMs(start / 1e6);
    if (restLeftMs > 0) return restLeftMs;
    const step = this.live.step(start);
    if (step.kind === 'stopped') return this.#guestStopped();
    const now = hostNs();
    this.live.slice.ended(now, this.live.machine.icount);
    const restMs = this.#desk.rest(Math.min((now - start) / 1e6, WORK_MS_MAX), now / 1e6);
    const checkpointMs = this.#desk.checkpoint(now / 1e6) ?? Infinity;
    if (step.kind === 'running') return restMs;
    const idleMs = step.untilNs === null ? Infinity : Math.max(restMs, (step.untilNs - now) / 1e6);
    return Math.min(idleMs, checkpointMs) === Infinity ? null : Math.min(idleMs, checkpointMs);
  }

  #guard(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.#failed(error);
    }
  }

  #failed(error: unknown): void {
    this.#over();
    this.#fail?.(error);
  }

  // --- the backup's life ---

  #openDesk(): BackupDesk {
    const { checkpointMs, onEvent, logWindowBytes = LOG_WINDOW_BYTES } = this.#options;
    return new BackupDesk(
      { ...this.#options, live: this.live, console: this.#console, logWindowBytes },
      {
        vacant: () => this.#state === 'alone',
        epoch: () => this.#epoch,
        joinBegan: () => {
          this.#input({ kind: 'join-began' });
        },
        joinFailed: () => {
          if (this.#state === 'transferring') this.#input({ kind: 'join-failed' });
          this.#loop.wake();
        },
        stateSent: () => {
          this.#backupEnded = false;
          this.#input({ kind: 'state-sent' });
          this.#loop.wake();
        },
        acknowledged: (seq, executedSeq) => {
          this.live.gate.acknowledged(seq, hostMs());
          this.live.gate.fence.executed(executedSeq);
          if (this.#desk.executed(executedSeq) || checkpointMs !== null) this.#loop.wake();
          this.#checkFinished();
        },
        ended: () => {
          this.#backupEnded = true;
          this.#checkFinished();
        },
        closed: () => {
          if (!this.#backupEnded) this.#backupLost('its channel closed');
        },
        diverged: (what) => {
          onEvent({ kind: 'diverged', what });
          this.#backupLost(`divergence: ${what}`);
        },
        failed: (error) => {
          this.#failed(error);
        },
      },
    );
  }

  #look(): void {
    this.#desk.heartbeat(this.#options.console.released);
    if (this.#desk.link?.suspects() !== true) return;
    // This process itself may have been stopped: what lies unread in the socket counts as life.
    setImmediate(() => {
      this.#guard(() => {
        if (this.#desk.link?.suspects() === true) this.#backupLost(`silent for more than ${this.#options.detectMs} ms`);
      });
    });
  }

  #backupLost(reason: string): void {
    if (this.#state !== 'paired' && this.#state !== 'finishing') return;
    this.#options.onEvent({ kind: 'backup-lost', reason });
    this.#input({ kind: 'backup-silent' });
    this.#loop.wake();
  }

  #guestStopped(): null {
    if (this.#stopped) return null;
    this.#stopped = true;
    this.#clock.end();
    this.#input({ kind: 'guest-stopped' });
    this.#checkFinished();
    return null;
  }

  #checkFinished(): void {
    if (this.#state !== 'finishing' || this.#desk.link === null || !this.#backupEnded) return;
    if (this.#desk.link.ackedSeq < this.live.recorder.lastSeq) return;
    this.#input({ kind: 'all-acknowledged' });
  }

  #input(input: PrimaryInput): void {
    const [state, effects] = nextPrimary(this.#state, input);
    this.#state = state;
    for (const effect of effects) this.#perform(effect);
  }

  #perform(effect: PrimaryEffect): void {
    switch (effect) {
      case 'start-guest':
        return;
      case 'close-gate':
        this.live.gate.close(this.#writer.nextSeq - 1);
        return;
      case 'start-logging':
        this.live.startLogging();
        return;
      case 'cancel-transfer':
        this.#desk.cancelTransfer();
        return;
      case 'close-channel':
        this.#desk.release('this backup was given up');
        return;
      case 'test-and-set':
        void this.#contend();
        return;
      case 'retry-test-and-set':
        this.#options.onEvent({ kind: 'waiting-for-arbiter' });
        setTimeout(() => void this.#contend(), ARBITER_RETRY_MS);
        return;
      case 'stop-logging':
        this.live.recorder.setLogging(this.#options.recorder !== null);
        return;
      case 'open-outputs':
        for (const port of this.#options.ports) port?.announce(this.#epoch);
        this.live.gate.open(hostMs());
        this.#loop.wake();
        this.#options.onEvent({ kind: 'alone', epoch: this.#epoch });
        return;
      case 'power-off':
        this.#over();
        this.#fail?.(new ReplicaError(`another replica went live in epoch ${this.#epoch + 1}; this one powers off`));
        return;
      case 'report-end':
        this.#over();
        if (this.live.end !== null) this.#finish?.(this.live.end);
    }
  }

  async #contend(): Promise<void> {
    const { arbiter, replicaId } = this.#options;
    const verdict = arbiter === null ? 'granted' : await arbiter.claim(this.#epoch + 1, replicaId);
    if (verdict === 'granted') this.#epoch++;
    this.#guard(() => {
      this.#input({ kind: 'arbiter', verdict });
    });
  }

  #over(): void {
    this.#clock.end();
    this.#loop.stop();
    if (this.#watch !== null) clearInterval(this.#watch);
    this.#watch = null;
  }
}
