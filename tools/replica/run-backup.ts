/**
 * A replica that joins a live one: `backup`. It follows the log to its end, or goes live in the primary's place
 * and runs the guest to its end. Returns its report.
 */
import { randomUUID } from 'node:crypto';
import { ConfigError, DivergenceError, ReplicaError } from '../../emulator/errors.js';
import type { ConsoleSink } from '../../hypervisor/backend/backend.js';
import { checkAddress } from '../../hypervisor/channel/address.js';
import { encodeMessage } from '../../hypervisor/channel/messages.js';
import type { FrameConnection, Listener } from '../../hypervisor/channel/transport.js';
import type { Arbiter } from '../../hypervisor/ft/arbiter.js';
import { ClockPolicy } from '../../hypervisor/ft/clock-policy.js';
import type { Machine } from '../../hypervisor/machine/machine.js';
import { OwnDisks } from './backup-disk-host.js';
import { BackupSession } from './backup-session.js';
import type { BackupEvent } from './backup-session-options.js';
import { controlHandler, SnapshotRequests, type ReplicaParts } from './control-handler.js';
import { ControlServer } from './control-server.js';
import { CopyReceiver } from './copy-receiver.js';
import { connectPatiently, dialAgain } from './dial-primary.js';
import type { EtcdPool } from './etcd-pool.js';
import { LiveSession } from './live-session.js';
import type { SessionEvent } from './live-session-options.js';
import { explainDivergence } from './divergence.js';
import { checkReplication, type DriveOptions } from './drive-options.js';
import type { FollowerOptions } from './follower.js';
import type { NicOptions } from './net-options.js';
import { openDisks, say, type OpenDisks } from './open-disks.js';
import { plugIn, type PluggedPort } from './network-ports.js';
import type { ParentLink } from './parent-link.js';
import { checkDrives } from './power-on.js';
import { backupReport, liveReport } from './report.js';
import type { ReplicaReport, Takeover } from './result.js';
import { killSelf, onStopSignals, savingDivergence } from './run-live.js';
import { openConsole } from './surroundings.js';
import { TRANSFER_PROGRESS_MS } from './state-sender.js';
import type { SpareEvent } from './spare-finder.js';
import { takeBackups } from './take-backups.js';
import { leaveFinalState } from './final-state.js';
import { divergedSnapshot, takeSnapshot } from './take-snapshot.js';
import { throttled } from './throttled.js';

export interface BackupRunOptions {
  readonly name: string;
  readonly runDirectory: string;
  readonly channel: string;
  /** Where it takes a backup of its own once it is live; undefined: nowhere. */
  readonly listen: string | undefined;
  /** Where it looks for that backup; null: one comes by itself. */
  readonly pool: EtcdPool | null;
  readonly drives: readonly DriveOptions[];
  readonly nics: readonly NicOptions[];
  readonly serial: string;
  readonly quiet: boolean;
  readonly snapshot: string | undefined;
  readonly parent: ParentLink | null;
  readonly key: Uint8Array | null;
  readonly arbiter: Arbiter;
  readonly detectMs: number;
  readonly lagMs: number;
  readonly digestMs: number;
  readonly until: number;
  readonly killAt: number | undefined;
  /** Flip a byte of RAM at an icount, for tests of divergence. */
  readonly corruptAt: { readonly icount: number; readonly address: number } | undefined;
  /** Share of full speed at which it follows. */
  readonly throttle: number | undefined;
  readonly connectMs: number;
  readonly onEvent: (
    event:
      | BackupEvent
      | SessionEvent
      | SpareEvent
      | { readonly kind: 'live'; readonly takeover: Takeover }
      | { readonly kind: 'waiting-for-backup'; readonly channel: string },
  ) => void;
  readonly onProgress: (parts: ReplicaParts) => void;
}

const PROGRESS_MS = 250;

export async function runBackup(options: BackupRunOptions): Promise<ReplicaReport> {
  const replicaId = `backup-${randomUUID()}`;
  const disks = await openDisks(options.drives, options.key);
  const own = new OwnDisks(disks.backends, say);
  const console = openConsole(options.serial, options.quiet, false, options.parent);
  const snapshots = new SnapshotRequests();
  // The user's mistakes come before anything that leaves a trace.
  if (options.listen !== undefined) checkAddress('--listen', options.listen, options.key);
  const connection = await connectPatiently(options).catch(async (error: unknown) => {
    await disks.close();
    await console.close();
    throw error;
  });
  const backup: BackupSession = new BackupSession({
    connection,
    replicaId,
    arbiter: options.arbiter,
    detectMs: options.detectMs,
    checkConfig: (config, drives) => {
      checkReplication(options.drives, drives);
      checkDrives(
        { config },
        disks.backends.map((disk) => disk.sectors),
      );
    },
    disks: { drives: disks.drives.map((drive) => ({ ...drive, served: drive.served !== null })), host: own },
    copies: copiesOf(disks, connection, own, options.onEvent),
    couldServe: () => couldServe(disks, options.arbiter),
    dial: (timeoutMs) => dialAgain(options, timeoutMs),
    onSnapshot: (name) => {
      onSnapshot(options, snapshots, backup.machine, name);
    },
    onEvent: options.onEvent,
    ...{ lagMs: options.lagMs, throttle: options.throttle },
    ...breakOf(options, () => backup.machine),
  });
  const parts: ReplicaParts = { name: options.name, replicaId, role: 'backup', live: null, backup };
  const control = await ControlServer.listen(options.runDirectory, 'backup', controlHandler(parts, snapshots));
  const progress = setInterval(() => {
    options.onProgress(parts);
  }, PROGRESS_MS);
  try {
    if ((await follow(options, backup, own.failed)) === 'live')
      return await goLive(options, parts, disks, console, snapshots);
    const report = backupReport(backup, null);
    if (backup.machine !== null) await leaveFinalState(backup.machine, 'backup', options.snapshot, options.parent);
    return report;
  } catch (error) {
    if (!(error instanceof DivergenceError)) throw error;
    return backupReport(backup, explainDivergence(error, backup.replica?.comparedIcount ?? null, options.runDirectory));
  } finally {
    clearInterval(progress);
    control.close();
    backup.close();
    await disks.close();
    await console.close();
    backup.machine?.dispose();
  }
}

/** Makes this replica's own disks equal to the live replica's. */
function copiesOf(
  { drives }: OpenDisks,
  connection: FrameConnection,
  own: OwnDisks,
  onEvent: BackupRunOptions['onEvent'],
): CopyReceiver {
  return new CopyReceiver(
    drives.map(({ copy }) => copy),
    {
      answer: (message) => {
        connection.send(encodeMessage(message));
      },
      failed: (error) => {
        own.fail(error);
      },
      progress: throttled(TRANSFER_PROGRESS_MS, (progress) => {
        onEvent({ kind: 'receiving', progress });
      }),
    },
  );
}

/** Follow the log; a signal ends a backup that nobody's parent started. */
async function follow(
  options: BackupRunOptions,
  backup: BackupSession,
  failed: Promise<never>,
): Promise<'finished' | 'live'> {
  let interrupt: () => void = () => undefined;
  const interrupted = new Promise<never>((_, reject) => {
    interrupt = () => {
      if (options.parent === null)
        reject(new ReplicaError('interrupted: the live replica goes on without this backup'));
    };
  });
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
  try {
    return await Promise.race([backup.follow(), interrupted, failed]);
  } finally {
    process.off('SIGINT', interrupt);
    process.off('SIGTERM', interrupt);
  }
}

/** The test-and-set is won: re-issue disk I/O, announce the MAC, open the outputs, run. In this order. */
async function goLive(
  options: BackupRunOptions,
  parts: ReplicaParts,
  disks: OpenDisks,
  console: ConsoleSink,
  snapshots: SnapshotRequests,
): Promise<ReplicaReport> {
  const backup = parts.backup as BackupSession;
  const machine = backup.machine as Machine;
  for (const [i, { served }] of disks.drives.entries()) served?.adopt(backup.replica!.disks.unflushed(i));
  await disks.attach({ pair: options.name, replicaId: parts.replicaId, epoch: backup.epoch });
  const { offset, bytes } = backup.replica!.takeConsole();
  const ports: (PluggedPort | null)[] = [];
  const session = new LiveSession({
    machine,
    clock: new ClockPolicy(machine.config.clock),
    disks: disks.backends,
    drives: disks.drives,
    console,
    ports,
    arbiter: options.arbiter,
    replicaId: parts.replicaId,
    epoch: backup.epoch,
    detectMs: options.detectMs,
    lagMs: options.lagMs,
    checkpointMs: backup.checkpointMs,
    until: options.until,
    digestMs: options.digestMs,
    recorder: null,
    account: backup.account,
    settings: backup.replica!.settings,
    consoleOffset: offset + bytes.length,
    firstSeq: backup.replica!.receivedSeq + 1,
    onSnapshot: (name) => {
      onSnapshot(options, snapshots, machine, name);
    },
    onEvent: savingDivergence(machine, options.runDirectory, options.onEvent),
    ...(options.killAt === undefined ? {} : { breakAt: { icount: options.killAt, reached: killSelf } }),
  });
  parts.live = session;
  session.live.reissueDiskRequests();
  const identity = { pair: options.name, replicaId: parts.replicaId, epoch: backup.epoch, key: options.key };
  ports.push(
    ...(await plugIn(options.nics, identity, 'takes-over', (input) => {
      session.input(input);
    })),
  );
  session.repeatConsole(offset, bytes);
  const takeover = backup.takeover();
  options.onEvent({ kind: 'live', takeover });
  const signals = onStopSignals(session, options.parent);
  let listener: Listener | null = null;
  try {
    const run = session.start();
    listener = await Promise.race([openChannel(options, session), run.then(() => null)]);
    await Promise.race([run, disks.lost]);
    await leaveFinalState(machine, 'backup', options.snapshot, options.parent);
    await options.arbiter.release(session.epoch, parts.replicaId);
    return mergeReports(liveReport(session, 'backup', takeover), backupReport(backup, null));
  } finally {
    signals.dispose();
    session.close();
    await listener?.close();
    for (const port of ports) port?.close();
  }
}

/** Take a backup from now on. An address that is taken meanwhile costs redundancy, not the guest. */
async function openChannel(options: BackupRunOptions, session: LiveSession): Promise<Listener | null> {
  const { listen: address, key, pool, onEvent } = options;
  if (address === undefined) return null;
  try {
    const listener = await takeBackups({ address, option: '--listen', key, session, pool, onEvent });
    options.onEvent({ kind: 'waiting-for-backup', channel: listener.address });
    options.parent?.send({ type: 'listening', channel: listener.address });
    return listener;
  } catch (error) {
    if (!(error instanceof ReplicaError || error instanceof ConfigError)) throw error;
    process.stderr.write(`ft86: no backup can join: ${error.message}\n`);
    return null;
  }
}

/** What a backup measured while it followed belongs into its report as a live replica, too. */
function mergeReports(live: ReplicaReport, followed: ReplicaReport): ReplicaReport {
  const { lagMsP50, lagMsP99, comparedIcount, comparedDigest } = followed;
  return { ...live, lagMsP50, lagMsP99, comparedIcount, comparedDigest };
}

function onSnapshot(
  options: BackupRunOptions,
  snapshots: SnapshotRequests,
  machine: Machine | null,
  name: string,
): void {
  if (machine === null) return;
  if (name === 'diverged-backup') takeSnapshot(machine, 'backup', divergedSnapshot(options.runDirectory, 'backup'));
  else snapshots.reached(name, machine, 'backup');
}

/** The fault that a test wants of a backup at an icount. */
function breakOf(options: BackupRunOptions, machine: () => Machine | null): Pick<FollowerOptions, 'breakAt'> {
  const { killAt, corruptAt } = options;
  if (killAt !== undefined) return { breakAt: { icount: killAt, reached: killSelf } };
  if (corruptAt === undefined) return {};
  const { icount, address } = corruptAt;
  const reached = (): void => {
    const ram = machine()?.vcpu.ram;
    ram?.write(address, Uint8Array.of((ram.readU8(address) ?? 0) ^ 0xff));
  };
  return { breakAt: { icount, reached } };
}

async function couldServe(disks: OpenDisks, arbiter: Arbiter): Promise<boolean> {
  try {
    await arbiter.newestEpoch();
  } catch (error) {
    if (!(error instanceof ReplicaError)) throw error;
    return false;
  }
  return disks.reachable();
}
