/**
 * A replica from power-on: `boot` (no channel) and `primary` (listens for a backup). Returns its report; the
 * commands decide what to print and the exit status.
 */
import { randomUUID } from 'node:crypto';
import { ConfigError, ReplicaError } from '../../emulator/errors.js';
import { checkAddress } from '../../hypervisor/channel/address.js';
import type { Listener } from '../../hypervisor/channel/transport.js';
import type { Arbiter } from '../../hypervisor/ft/arbiter.js';
import { ClockPolicy } from '../../hypervisor/ft/clock-policy.js';
import type { Input } from '../../hypervisor/ft/input.js';
import type { Machine } from '../../hypervisor/machine/machine.js';
import { LogFileWriter } from '../../hypervisor/log/log-file.js';
import { TappedConsole, type Keyboard, type Typist } from '../console/typist.js';
import { controlHandler, SnapshotRequests, type ReplicaParts } from './control-handler.js';
import { ControlServer } from './control-server.js';
import { logHeader } from './handshake.js';
import type { EtcdPool } from './etcd-pool.js';
import { LiveSession } from './live-session.js';
import type { SessionEvent } from './live-session-options.js';
import { checkDrivesFit } from './drive-options.js';
import type { MachinePlan } from './machine-options.js';
import { openDisks } from './open-disks.js';
import { plugIn, type PluggedPort } from './network-ports.js';
import type { ParentLink } from './parent-link.js';
import { powerOn } from './power-on.js';
import { liveReport } from './report.js';
import type { ReplicaReport } from './result.js';
import { openConsole } from './surroundings.js';
import type { SpareEvent } from './spare-finder.js';
import { takeBackups } from './take-backups.js';
import { leaveFinalState } from './final-state.js';
import { divergedSnapshot, takeSnapshot } from './take-snapshot.js';

export interface LiveRunOptions {
  readonly name: string;
  readonly runDirectory: string;
  readonly plan: MachinePlan;
  readonly serial: string;
  /** The guest's console must not go to stdout. */
  readonly quiet: boolean;
  readonly record: string | undefined;
  /** Write a snapshot here when the run ends. */
  readonly snapshot: string | undefined;
  /** Called with the machine as it is when the run ends. */
  readonly onEnd?: (machine: Machine) => void;
  readonly parent: ParentLink | null;
  /** Who types on the guest's console; null: nobody, or the parent. */
  readonly typist: Typist | null;
  readonly key: Uint8Array | null;
  readonly detectMs: number;
  readonly lagMs: number;
  readonly digestMs: number;
  /** Time between checkpoints; null: backups follow the log. */
  readonly checkpointMs: number | null;
  /** Log and held outputs under way at most; undefined: as much as a backup takes. */
  readonly logWindowBytes?: number;
  readonly killAt: number | undefined;
  /** Null for `boot`. */
  readonly replication: null | {
    readonly channel: string;
    readonly arbiter: Arbiter;
    readonly waitBackup: boolean;
    readonly force: boolean;
    readonly pool: EtcdPool | null;
  };
  readonly onEvent: (
    event: SessionEvent | SpareEvent | { readonly kind: 'waiting-for-backup'; readonly channel: string },
  ) => void;
  readonly onProgress: (session: LiveSession) => void;
}

const PROGRESS_MS = 250;
const STOP: Input = { kind: 'control', control: { op: 'stop', reason: 'stopped', exitCode: 0 } };

export async function runLive(options: LiveRunOptions): Promise<ReplicaReport> {
  const replicaId = `primary-${randomUUID()}`;
  // The user's mistakes come before anything that leaves a trace.
  if (options.replication !== null) checkAddress('--channel', options.replication.channel, options.key);
  checkDrivesFit(options.plan.drives, options.checkpointMs, options.record);
  const machine = powerOn(options.plan);
  const disks = await openDisks(options.plan.drives, options.key);
  const recorder =
    options.record === undefined
      ? null
      : new LogFileWriter(options.record, logHeader(machine.config, 0, machine.icount));
  const sink = openConsole(options.serial, options.quiet, true, options.parent);
  const console = options.typist === null ? sink : new TappedConsole(sink, options.typist);
  const epoch = options.replication === null ? 1 : await claimFirstEpoch(options, replicaId);
  const snapshots = new SnapshotRequests();
  const ports: (PluggedPort | null)[] = [];
  const { detectMs, lagMs, digestMs, checkpointMs, logWindowBytes } = options;
  const session = new LiveSession({
    machine,
    clock: new ClockPolicy(machine.config.clock),
    disks: disks.backends,
    drives: disks.drives,
    console,
    ports,
    arbiter: options.replication?.arbiter ?? null,
    replicaId,
    epoch,
    ...{ detectMs, lagMs, digestMs, checkpointMs, logWindowBytes, until: options.plan.until },
    recorder,
    consoleOffset: 0,
    firstSeq: 0,
    onSnapshot: (name) => {
      snapshots.reached(name, machine, 'primary');
    },
    onEvent: savingDivergence(machine, options.runDirectory, options.onEvent),
    ...(options.killAt === undefined ? {} : { breakAt: { icount: options.killAt, reached: killSelf } }),
  });
  const parts: ReplicaParts = { name: options.name, replicaId, role: 'primary', live: session, backup: null };
  const control = await ControlServer.listen(options.runDirectory, 'primary', controlHandler(parts, snapshots));
  const signals = onStopSignals(session, options.parent);
  const progress = setInterval(() => {
    options.onProgress(session);
  }, PROGRESS_MS);
  let listener: Listener | null = null;
  let ran = false;
  try {
    if (options.replication !== null) await disks.attach({ pair: options.name, replicaId, epoch });
    const identity = { pair: options.name, replicaId, epoch, key: options.key };
    ports.push(
      ...(await plugIn(options.plan.nics, identity, 'starts', (input) => {
        session.input(input);
      })),
    );
    listener = await openChannel(options, session, signals.stopped);
    options.parent?.send({ type: 'started' });
    options.typist?.start(keyboardOf(session));
    ran = true;
    // A machine from a snapshot may wait for its disks.
    session.live.reissueDiskRequests();
    await Promise.race([session.start(), disks.lost]);
    await leaveFinalState(machine, 'primary', options.snapshot, options.parent);
    options.onEnd?.(machine);
    recorder?.close();
    await options.replication?.arbiter.release(session.epoch, replicaId);
    return liveReport(session, 'primary', null);
  } catch (error) {
    recorder?.abandon();
    // A guest that never ran leaves nothing behind that a later start would have to fear.
    if (!ran) await options.replication?.arbiter.release(epoch, replicaId);
    throw error;
  } finally {
    options.typist?.close();
    clearInterval(progress);
    signals.dispose();
    control.close();
    session.close();
    await listener?.close();
    for (const port of ports) port?.close();
    await disks.close();
    await console.close();
    machine.dispose();
  }
}

/** Tells `onEvent`, after saving what a divergence has left of the live replica. */
export function savingDivergence(
  machine: Machine,
  runDirectory: string,
  onEvent: (event: SessionEvent) => void,
): (event: SessionEvent) => void {
  return (event) => {
    if (event.kind === 'diverged') takeSnapshot(machine, 'primary', divergedSnapshot(runDirectory, 'primary'));
    onEvent(event);
  };
}

async function claimFirstEpoch(options: LiveRunOptions, replicaId: string): Promise<number> {
  const replication = options.replication;
  if (replication === null) return 1;
  const { arbiter, force } = replication;
  if (!force && !(await arbiter.lastStopWasClean())) {
    throw new ConfigError(
      '--name',
      options.name,
      'the last run of this pair did not end in order, its disk may be older than what clients were told; use --force to start anyway',
    );
  }
  const epoch = (await arbiter.newestEpoch()) + 1;
  const verdict = await arbiter.claim(epoch, replicaId);
  if (verdict === 'granted') return epoch;
  throw new ReplicaError(
    verdict === 'denied' ? `another replica claimed epoch ${epoch} first` : 'the arbiter cannot be reached',
  );
}

/** Listen for a backup; with --wait-backup, until one has joined or the run is stopped. */
async function openChannel(
  options: LiveRunOptions,
  session: LiveSession,
  stopped: Promise<void>,
): Promise<Listener | null> {
  const replication = options.replication;
  if (replication === null) return null;
  let joined: () => void = () => undefined;
  const firstBackup = new Promise<void>((resolve) => {
    joined = resolve;
  });
  const { channel: address, waitBackup, pool } = replication;
  const { key, onEvent } = options;
  const listener = await takeBackups({ address, option: '--channel', key, session, joined, pool, onEvent });
  options.parent?.send({ type: 'listening', channel: listener.address });
  options.onEvent({ kind: 'waiting-for-backup', channel: listener.address });
  if (waitBackup) await Promise.race([firstBackup, stopped]);
  return listener;
}

/** What a typist's keys do to the guest. */
function keyboardOf(session: LiveSession): Keyboard {
  return {
    type: (data) => {
      session.input({ kind: 'serial', data });
    },
    end: () => {
      session.input(STOP);
    },
  };
}

/** SIGINT, SIGTERM and the parent's word end the run in order; a parent also gets the terminal's Ctrl-C and decides. */
export function onStopSignals(
  session: { input(input: Input): void },
  parent: ParentLink | null,
): { readonly stopped: Promise<void>; dispose(): void } {
  let resolve: () => void = () => undefined;
  const stopped = new Promise<void>((done) => {
    resolve = done;
  });
  const stop = (): void => {
    session.input(STOP);
    resolve();
  };
  const interrupt = parent === null ? stop : (): void => undefined;
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', stop);
  if (parent !== null) {
    parent.onMessage = (message) => {
      if (message.type === 'stop') stop();
      else session.input({ kind: 'serial', data: Buffer.from(message.base64, 'base64') });
    };
  }
  return {
    stopped,
    dispose: () => {
      process.off('SIGINT', interrupt);
      process.off('SIGTERM', stop);
    },
  };
}

/** The fault injected by --kill: as dead as the machine it runs on. */
export function killSelf(): void {
  process.kill(process.pid, 'SIGKILL');
}
