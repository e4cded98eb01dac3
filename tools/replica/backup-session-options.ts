/** What a backup's session is connected to and how it behaves, and what it tells. */
import type { DriveReplication } from '../../hypervisor/backend/drive-replication.js';
import type { Arbiter } from '../../hypervisor/ft/arbiter.js';
import type { BackupDisksOptions } from '../../hypervisor/ft/backup-disks.js';
import type { MachineConfig } from '../../hypervisor/machine/machine-config.js';
import type { BackupChannelOptions } from './backup-channel.js';
import type { CopyReceiver } from './copy-receiver.js';
import type { FollowerOptions } from './follower.js';
import type { Takeover } from './result.js';
import type { TransferProgress } from './state-sender.js';

export interface BackupSessionOptions extends FollowerOptions, BackupChannelOptions {
  readonly arbiter: Arbiter;
  /** Refuse a machine that this replica cannot serve (drives, NICs). @throws ConfigError */
  readonly checkConfig: (config: MachineConfig, drives: readonly DriveReplication[]) => void;
  /** What it does with disks itself; undefined: nothing. */
  readonly disks?: BackupDisksOptions | undefined;
  /** Makes its own copies of disks equal to the live replica's; undefined: it has none. */
  readonly copies?: Pick<CopyReceiver, 'take'> | undefined;
  readonly onSnapshot: (name: string) => void;
  readonly onEvent: (event: BackupEvent) => void;
}

/** How following ended. */
export type BackupOutcome = 'finished' | 'live';

export type BackupEvent =
  | { readonly kind: 'receiving'; readonly progress: TransferProgress }
  | { readonly kind: 'joined'; readonly primaryId: string }
  /** It holds the whole state: from here on it can go live. */
  | { readonly kind: 'following'; readonly icount: number }
  /** The log goes on over a new connection, `ms` after the old one had carried something. */
  | { readonly kind: 'channel-resumed'; readonly ms: number }
  | { readonly kind: 'primary-silent'; readonly reason: Takeover['reason']; readonly detectMs: number }
  | { readonly kind: 'drained'; readonly icount: number; readonly ms: number }
  | { readonly kind: 'waiting-for-arbiter' }
  | { readonly kind: 'won'; readonly epoch: number; readonly ms: number };
