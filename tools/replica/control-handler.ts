/** Answers a replica's control socket: what it does, its snapshot, its log's bandwidth, an orderly stop. */
import { ReplicaError } from '../../emulator/errors.js';
import { parseSetting } from '../../hypervisor/ft/settings.js';
import type { LogAccount } from '../../hypervisor/log/account.js';
import type { Machine } from '../../hypervisor/machine/machine.js';
import type { BackupSession } from './backup-session.js';
import type { ControlReply, ControlRequest } from './control-server.js';
import { displayOf } from './display.js';
import type { LiveSession } from './live-session.js';
import { JSON_VERSION } from './result.js';
import { takeSnapshot } from './take-snapshot.js';

/** What a replica is at the moment; a backup that goes live changes from one to the other. */
export interface ReplicaParts {
  readonly name: string;
  readonly replicaId: string;
  readonly role: 'primary' | 'backup';
  live: LiveSession | null;
  backup: BackupSession | null;
}

/** Snapshots asked for: the log carries a number, this replica knows the path. */
export class SnapshotRequests {
  readonly #waiting = new Map<string, { path: string; resolve: () => void; reject: (error: unknown) => void }>();
  #next = 1;

  add(path: string): { name: string; done: Promise<void> } {
    const name = `request-${this.#next++}`;
    const done = new Promise<void>((resolve, reject) => {
      this.#waiting.set(name, { path, resolve, reject });
    });
    return { name, done };
  }

  /** The log reached the snapshot called `name`: write it if it was asked for here. */
  reached(name: string, machine: Machine, role: string): void {
    const waiting = this.#waiting.get(name);
    if (waiting === undefined) return;
    this.#waiting.delete(name);
    try {
      takeSnapshot(machine, role, waiting.path);
      waiting.resolve();
    } catch (error) {
      waiting.reject(error);
    }
  }
}

export function controlHandler(parts: ReplicaParts, snapshots: SnapshotRequests) {
  return async (request: ControlRequest): Promise<ControlReply> => {
    switch (request.command) {
      case 'status':
        return status(parts);
      case 'bandwidth':
        return bandwidth(parts);
      case 'stop':
        requireLive(parts).input({ kind: 'control', control: { op: 'stop', reason: 'stopped', exitCode: 0 } });
        return {};
      case 'configure':
        requireLive(parts).input({ kind: 'control', control: parseSetting(request.setting ?? '') });
        return {};
      case 'snapshot':
        return snapshot(parts, snapshots, request.path);
    }
  };
}

async function snapshot(
  parts: ReplicaParts,
  snapshots: SnapshotRequests,
  path: string | undefined,
): Promise<ControlReply> {
  if (path === undefined) throw new ReplicaError('a snapshot needs a path');
  if (parts.live !== null) {
    const { name, done } = snapshots.add(path);
    parts.live.input({ kind: 'control', control: { op: 'checkpoint', name } });
    await done;
    return { path };
  }
  const machine = parts.backup?.machine;
  if (machine == null) throw new ReplicaError('this backup has no state yet');
  // A backup writes what it has between two entries; only the live replica can put a snapshot into the log.
  takeSnapshot(machine, parts.role, path);
  return { path, icount: machine.icount };
}

function requireLive(parts: ReplicaParts): LiveSession {
  if (parts.live === null) throw new ReplicaError('this replica is a backup: ask the live one');
  return parts.live;
}

function status(parts: ReplicaParts): ControlReply {
  const { live, backup } = parts;
  const machine = live?.live.machine ?? backup?.machine ?? null;
  return {
    version: JSON_VERSION,
    name: parts.name,
    role: parts.role,
    live: live !== null,
    state: live?.state ?? backup?.state ?? 'starting',
    replicaId: parts.replicaId,
    epoch: live?.epoch ?? backup?.epoch ?? 0,
    image: machine?.config.image ?? null,
    icount: machine?.icount ?? 0,
    guestNs: machine?.nowNs() ?? 0,
    mips: live?.mips ?? mipsOf(backup),
    lagMs: live === null ? (backup?.lag.ms ?? null) : live.lagMs,
    paused: (live?.live.settings ?? backup?.replica?.settings)?.paused ?? false,
    heldOutputs: live?.live.gate.held ?? 0,
    releasedOutputs: live?.live.gate.released ?? 0,
    underWay: live?.underWay ?? null,
    heartbeats: live === null ? (backup?.heartbeats ?? null) : live.heartbeats,
    comparedIcount: backup?.replica?.comparedIcount ?? null,
    log: account(parts).totals(machine?.icount ?? 0),
    residentBytes: process.memoryUsage.rss(),
    display: machine === null ? null : displayOf(machine),
  };
}

function bandwidth(parts: ReplicaParts): ControlReply {
  const icount = parts.live?.live.machine.icount ?? parts.backup?.machine?.icount ?? 0;
  const seconds = parts.live?.seconds ?? parts.backup?.seconds ?? 0;
  return { ...account(parts).bandwidth(icount, seconds) };
}

function account(parts: ReplicaParts): LogAccount {
  const part = parts.live ?? parts.backup;
  if (part === null) throw new ReplicaError('this replica has not started yet');
  return part.account;
}

function mipsOf(backup: BackupSession | null): number {
  return backup === null || backup.seconds === 0 ? 0 : (backup.machine?.icount ?? 0) / backup.seconds / 1e6;
}
