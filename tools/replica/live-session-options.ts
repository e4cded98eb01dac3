/** What a live session is connected to and how it behaves, and what it tells. */
import type { ConsoleSink, DiskBackend } from '../../hypervisor/backend/backend.js';
import type { Arbiter } from '../../hypervisor/ft/arbiter.js';
import type { ClockPolicy } from '../../hypervisor/ft/clock-policy.js';
import type { Settings } from '../../hypervisor/ft/settings.js';
import type { LogAccount } from '../../hypervisor/log/account.js';
import type { LogFileWriter } from '../../hypervisor/log/log-file.js';
import type { Machine } from '../../hypervisor/machine/machine.js';
import type { OpenDrive } from './open-disks.js';
import type { Transfer } from './result.js';
import type { TransferProgress } from './state-sender.js';

export interface LiveSessionOptions {
  readonly machine: Machine;
  readonly clock: ClockPolicy;
  readonly disks: readonly DiskBackend[];
  /** How a backup has each of them. */
  readonly drives: readonly OpenDrive[];
  readonly console: ConsoleSink;
  /** One for each NIC; null: a cable that ends nowhere. */
  readonly ports: readonly (NetworkPort | null)[];
  readonly arbiter: Arbiter | null;
  readonly replicaId: string;
  readonly epoch: number;
  readonly detectMs: number;
  readonly lagMs: number;
  /** Log and outputs under way at most, before the guest stands still; undefined: as much as a backup takes. */
  readonly logWindowBytes?: number | undefined;
  /** Time between checkpoints; null: backups follow the log. */
  readonly checkpointMs: number | null;
  readonly until: number;
  readonly digestMs: number;
  readonly recorder: LogFileWriter | null;
  readonly breakAt?: { readonly icount: number; readonly reached: () => void };
  /** Counts of the log from before this replica was live. */
  readonly account?: LogAccount;
  /** As the log had them when this replica went live. */
  readonly settings?: Settings;
  readonly consoleOffset: number;
  readonly firstSeq: number;
  readonly onSnapshot: (name: string) => void;
  /** Something a person wants to read happened. */
  readonly onEvent: (event: SessionEvent) => void;
}

/** A NIC's cable. */
export interface NetworkPort {
  send(frame: Uint8Array): void;
  /** This replica is live in `epoch`: the switch sends the guest's frames here and refuses older epochs. */
  announce(epoch: number): void;
}

export type SessionEvent =
  | { readonly kind: 'transfer'; readonly replicaId: string; readonly progress: TransferProgress }
  | { readonly kind: 'join-failed'; readonly replicaId: string; readonly reason: string }
  | { readonly kind: 'backup-joined'; readonly replicaId: string; readonly transfer: Transfer }
  /** Its disks' server is out of its reach, and within the backup's. */
  | { readonly kind: 'hands-over' }
  | { readonly kind: 'channel-broken'; readonly reason: string }
  /** The backup came back on another connection, `ms` after the old one was gone. */
  | { readonly kind: 'channel-resumed'; readonly ms: number }
  | { readonly kind: 'backup-lost'; readonly reason: string }
  | { readonly kind: 'alone'; readonly epoch: number }
  | { readonly kind: 'diverged'; readonly what: string }
  | { readonly kind: 'waiting-for-arbiter' };
