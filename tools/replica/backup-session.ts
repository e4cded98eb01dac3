/**
 * Edge: a backup among its surroundings: it joins a live replica, follows its log, and when the live one falls
 * silent drains what it holds, contends at the arbiter and hands its machine over to go live. The decisions are
 * those of backup-state.ts; this file performs them.
 *
 *   connect -> HELLO -> WELCOME, PAGES ..., STATE -> LOG ... -> silent -> drain -> test-and-set -> live
 *   (backup-channel.ts: the connection, and those that take its place)
 */
import { DecodeError, DivergenceError, ReplicaError } from '../../emulator/errors.js';
import type { Message } from '../../hypervisor/channel/messages.js';
import type { BackupReplica } from '../../hypervisor/ft/backup-replica.js';
import { nextBackup, type BackupEffect, type BackupInput, type BackupState } from '../../hypervisor/ft/backup-state.js';
import type { HeartbeatCounts } from '../../hypervisor/ft/heartbeat-session.js';
import { LogAccount } from '../../hypervisor/log/account.js';
import type { Machine } from '../../hypervisor/machine/machine.js';
import { BackupChannel } from './backup-channel.js';
import { ExecutionLag } from './execution-lag.js';
import { Follower } from './follower.js';
import { ownHello } from './handshake.js';
import { hostMs } from './host-time.js';
import { Joiner } from './joiner.js';
import type { BackupOutcome, BackupSessionOptions } from './backup-session-options.js';
import { PrimaryWatch } from './primary-watch.js';
import type { Takeover } from './result.js';
import { TRANSFER_PROGRESS_MS, type TransferProgress } from './state-sender.js';
import { TakeoverTimes } from './takeover-times.js';
import { throttled } from './throttled.js';

const ARBITER_RETRY_MS = 200;

export class BackupSession {
  readonly account = new LogAccount();
  readonly lag = new ExecutionLag();
  readonly #joiner: Joiner;
  readonly #options: BackupSessionOptions;
  readonly #watch: PrimaryWatch;
  readonly #channel: BackupChannel;
  #state: BackupState = 'joining';
  #follower: Follower | null = null;
  #epoch = 0;
  readonly #times = new TakeoverTimes();
  readonly #progress: (progress: TransferProgress) => void;
  #startMs = hostMs();
  #resolve: ((outcome: BackupOutcome) => void) | null = null;
  #reject: ((error: unknown) => void) | null = null;

  constructor(options: BackupSessionOptions) {
    this.#options = options;
    this.#watch = new PrimaryWatch(options.detectMs, {
      heard: (nowMs) => {
        if (this.#state === 'joining' || this.#state === 'replaying') this.#times.heard(nowMs);
      },
      look: () => {
        this.#guard(() => {
          if (this.#channel.quiet) this.#acknowledge();
        });
      },
      heardBeside: () => {
        this.#channel.heardBeside();
      },
      silent: () => {
        this.#guard(() => {
          this.#suspect('silent');
        });
      },
    });
    this.#channel = this.#openChannel();
    this.#joiner = new Joiner(options.checkConfig);
    this.#progress = throttled(TRANSFER_PROGRESS_MS, (progress) => {
      options.onEvent({ kind: 'receiving', progress });
    });
  }

  get state(): BackupState {
    return this.#state;
  }
  get replica(): BackupReplica | null {
    return this.#follower?.replica ?? null;
  }
  get machine(): Machine | null {
    return this.#joiner.machine;
  }
  /** The epoch won, or that of the primary. */
  get epoch(): number {
    return this.#epoch;
  }
  /** Time between the live replica's checkpoints; null: its log is followed. */
  get checkpointMs(): number | null {
    return this.#joiner.checkpointMs;
  }
  /** Heartbeats over UDP; null: none. */
  get heartbeats(): HeartbeatCounts | null {
    return this.#watch.heartbeats;
  }
  /** Since the state was complete. */
  get seconds(): number {
    return (hostMs() - this.#startMs) / 1000;
  }

  /** The take-over's times, when the outputs are opened now. */
  takeover(): Takeover {
    return this.#times.live(this.machine?.icount ?? 0);
  }

  /** Join and follow until the log ends or this replica has won the right to go live. */
  follow(): Promise<BackupOutcome> {
    this.#channel.start();
    this.#watch.start();
    this.#channel.send({ type: 'hello', hello: ownHello(this.#options.replicaId) });
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** Nothing more is to be said: the machine is another's, or the run is over. */
  close(): void {
    this.#channel.close();
  }

  #openChannel(): BackupChannel {
    return new BackupChannel(this.#options, {
      received: (message) => {
        this.#guard(() => {
          this.#receive(message);
        });
      },
      nextSeq: () => {
        const { replica } = this;
        return replica === null || this.#state !== 'replaying' ? null : replica.receivedSeq + 1;
      },
      dropped: () => {
        this.#joiner.dropStaged();
      },
      resumed: (ms) => {
        this.#acknowledge();
        this.#options.onEvent({ kind: 'channel-resumed', ms });
      },
      ended: (reason) => {
        this.#guard(() => {
          this.#suspect(reason);
        });
      },
    });
  }

  #receive(message: Message): void {
    this.#watch.heard();
    switch (message.type) {
      case 'refused':
        throw new ReplicaError(`the live replica refuses this backup: ${message.reason}`);
      case 'welcome':
        this.#welcome(message);
        return;
      case 'blob':
      case 'pages':
      case 'zeros':
        this.#joiner.take(message);
        this.#progress(this.#joiner.progress);
        return;
      case 'round':
        this.#joiner.roundEnded(message.round);
        this.#channel.send({ type: 'stored', round: message.round });
        return;
      case 'digests':
      case 'block':
      case 'blocks-end':
        if (this.#state === 'joining') this.#options.copies?.take(message);
        return;
      case 'state':
        this.#stateComplete(message);
        return;
      case 'log':
        this.#log(message.frame);
        return;
      case 'heartbeat':
        this.replica?.consoleReleased(message.consoleReleased);
        return;
      case 'yield':
        this.#suspect('handed-over');
        return;
      case 'bye':
        if (this.#state === 'replaying' && this.replica?.end == null) this.#suspect('bye');
        return;
      default:
        throw new DecodeError('bad-type', 0, `a live replica does not send ${message.type}`);
    }
  }

  #welcome(message: Extract<Message, { type: 'welcome' }>): void {
    const { epoch, primaryId } = this.#joiner.welcome(message);
    this.#epoch = epoch;
    this.#channel.welcomed(message.welcome.resume);
    this.#watch.joined(this.#options.connection, message.welcome);
    this.#options.onEvent({ kind: 'joined', primaryId });
  }

  /** The whole state at the join, or the newest checkpoint: what comes next starts there. */
  #stateComplete(message: Extract<Message, { type: 'state' }>): void {
    const joins = this.#follower === null;
    if (!joins && this.#state !== 'replaying') return;
    this.#follower?.stop();
    const { disks, onSnapshot } = this.#options;
    const replica = this.#joiner.complete(message, {
      ...{ disks, onSnapshot, known: this.#follower?.replica.disks.known() ?? [] },
      onFrame: (frame) => {
        this.account.addFrame(frame);
      },
    });
    if (joins) this.#startMs = hostMs();
    this.#follower = new Follower(replica, this.lag, this.#options, {
      starved: () => {
        if (this.#state === 'draining') this.#drained(replica);
      },
      progressed: () => {
        this.#acknowledge();
      },
      ended: () => {
        this.#logEnded(replica);
      },
      failed: (error) => {
        this.#failed(error);
      },
    });
    if (joins) this.#input({ kind: 'state-complete' });
    this.#acknowledge();
    if (joins) this.#options.onEvent({ kind: 'following', icount: replica.machine.icount });
  }

  #log(frame: Uint8Array): void {
    if (this.#follower === null) throw new DecodeError('bad-order', 0, 'a log frame before the state');
    if (this.#state !== 'replaying') return;
    if (this.#follower.receive(frame)) this.#acknowledge();
  }

  #acknowledge(): void {
    const { replica } = this;
    if (replica === null || this.#state !== 'replaying') return;
    const { receivedSeq, executedSeq } = replica;
    const icount = replica.machine.icount;
    this.#channel.send({ type: 'ack', receivedSeq, executedSeq, icount, lagMs: this.lag.ms });
  }

  #logEnded(replica: BackupReplica): void {
    this.#acknowledge();
    const digest = replica.comparedDigest ?? '';
    this.#channel.send({ type: 'end', end: { digest, icount: replica.machine.icount } });
    this.#input({ kind: 'log-ended' });
  }

  // --- the primary's silence ---

  #suspect(reason: Takeover['reason']): void {
    if (this.#state !== 'joining' && this.#state !== 'replaying') return;
    const detectMs = this.#times.suspected(reason);
    this.#input({ kind: 'primary-silent' });
    this.#options.onEvent({ kind: 'primary-silent', reason, detectMs });
    this.#follower?.wake();
  }

  #drained(replica: BackupReplica): void {
    this.#options.onEvent({ kind: 'drained', icount: replica.machine.icount, ms: this.#times.drained() });
    this.#input({ kind: 'log-drained' });
  }

  async #contend(): Promise<void> {
    const verdict = await this.#options.arbiter.claim(this.#epoch + 1, this.#options.replicaId);
    this.#guard(() => {
      const ms = this.#times.won();
      if (verdict === 'granted') this.#options.onEvent({ kind: 'won', epoch: ++this.#epoch, ms });
      this.#input({ kind: 'arbiter', verdict });
    });
  }

  // --- the state machine ---

  #input(input: BackupInput): void {
    const [state, effects] = nextBackup(this.#state, input);
    this.#state = state;
    for (const effect of effects) this.#perform(effect);
  }

  #perform(effect: BackupEffect): void {
    switch (effect) {
      case 'close-channel':
        this.#watch.endHeartbeats();
        this.#channel.close();
        return;
      case 'test-and-set':
        void this.#contend();
        return;
      case 'retry-test-and-set':
        this.#options.onEvent({ kind: 'waiting-for-arbiter' });
        setTimeout(() => void this.#contend(), ARBITER_RETRY_MS);
        return;
      case 'power-off':
        this.#over();
        this.#reject?.(new ReplicaError(this.#powerOffReason()));
        return;
      case 'report-end':
        this.#over();
        this.#resolve?.('finished');
        return;
      case 'open-outputs':
        this.#over();
        this.#resolve?.('live');
        return;
      case 'leave-snapshot':
        this.#options.onSnapshot('diverged-backup');
        return;
      case 'start-replay':
      case 'reissue-disk-io':
      case 'announce-mac':
        // Performed by whoever takes the machine over: go-live.ts does them in this order before it opens outputs.
        return;
    }
  }

  #powerOffReason(): string {
    if (this.#follower === null) return 'the live replica went away before this backup had its whole state';
    return `another replica won epoch ${this.#epoch + 1}; this backup powers off`;
  }

  #guard(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.#failed(error);
    }
  }

  #failed(error: unknown): void {
    if (error instanceof DivergenceError) this.#diverged(error);
    this.#over();
    this.#reject?.(error);
  }

  #diverged(error: DivergenceError): void {
    this.#channel.send({ type: 'diverged', what: error.message });
    this.#input({ kind: 'diverged' });
  }

  #over(): void {
    this.#watch.stop();
    this.#channel.close();
    this.#follower?.stop();
  }
}
