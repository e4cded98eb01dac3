/** What a pair is made of, and what it tells while it runs. */
import type { ConsoleSink } from '../../hypervisor/backend/backend.js';
import type { LoadSpec } from '../load/load-spec.js';
import type { MachinePlan } from '../replica/machine-options.js';
import type { BoundForward } from '../switch/uplink.js';
import type { Kill } from './kill.js';
import type { PairTyping } from './pair-typing.js';

export interface PairOptions {
  readonly name: string;
  readonly runDirectory: string;
  readonly plan: MachinePlan;
  /** The options of the machine as given, for the primary. */
  readonly machineArguments: readonly string[];
  readonly detectMs: number;
  readonly lagMs: number;
  readonly digestMs: number;
  /** Time between checkpoints; null: the backup follows the log. */
  readonly checkpointMs: number | null;
  /** Log and held outputs under way at most; undefined: as much as a backup takes. */
  readonly logWindowBytes?: number;
  /** --arbiter of the replicas; null: the disk server that is started. */
  readonly arbiter: string | null;
  /** Put a disk server between the replicas and the files of their drives. */
  readonly diskServer: boolean;
  /** Key file of replicas, switch and disk server; undefined: none. */
  readonly keyFile?: string | undefined;
  /** Start although the last run of this name did not end in order. */
  readonly force?: boolean;
  readonly record: string | undefined;
  readonly kills: readonly Kill[];
  /** Start a new backup after each loss. */
  readonly replace: boolean;
  /** The first backup's RAM is damaged there (its --corrupt-at). */
  readonly corruptAt: string | undefined;
  /** The backups' --throttle. */
  readonly throttle: string | undefined;
  readonly load: LoadSpec | null;
  /** Uplinks of the switch; none: a virtual host. */
  readonly uplinks: readonly string[];
  /** A capture of the switch's frames, or null. */
  readonly pcap: string | null;
  readonly console: ConsoleSink;
  /** Who types on the guest's console. */
  readonly typing?: PairTyping | null;
  readonly onEvent: (event: PairEvent) => void;
  /** Ctrl-C: end the run in order. */
  readonly interrupted: Promise<void>;
}

/** `who` is a replica's name: `primary`, `backup`, then `backup-2` and so on, whatever has become of them. */
export type PairEvent =
  | {
      readonly kind: 'started';
      readonly primaryPid: number;
      readonly backupPid: number;
      readonly forwards: readonly BoundForward[];
    }
  | {
      readonly kind: 'replica';
      readonly who: string;
      readonly event: { readonly kind: string; readonly [field: string]: unknown };
    }
  | { readonly kind: 'killed'; readonly who: string; readonly icount: number }
  | { readonly kind: 'replacing'; readonly who: string; readonly pid: number }
  | { readonly kind: 'not-replaced'; readonly attempts: number }
  | {
      readonly kind: 'progress';
      readonly who: string;
      readonly live: boolean;
      readonly icount: number;
      readonly mips: number;
    }
  | { readonly kind: 'load-progress'; readonly acked: number; readonly operations: number };
