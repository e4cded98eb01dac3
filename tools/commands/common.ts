/** Options and output that several commands share. */
import type { Argv } from 'yargs';
import { ConfigError } from '../../emulator/errors.js';
import { LOG_WINDOW_BYTES } from '../../hypervisor/ft/flow-control.js';
import { parseCount } from '../key-values.js';
import { describeEvent, isProgress } from '../pair/describe-event.js';
import { Progress } from '../progress.js';
import { REPLICATIONS, type Replication } from '../replica/replication.js';

export const DEFAULT_DETECT_MS = '500';
export const DEFAULT_LAG_MS = '200';
export const DEFAULT_DIGEST_MS = '1000';
export const DEFAULT_CHECKPOINT_MS = '25';

export function withJson<T>(argv: Argv<T>): Argv<T & { json: boolean }> {
  return argv.option('json', { type: 'boolean', default: false, describe: 'print one JSON object on stdout' });
}

/** Options of everything that takes part in replication. */
export function withReplication<T>(argv: Argv<T>) {
  return argv
    .option('detect-ms', {
      type: 'string',
      default: DEFAULT_DETECT_MS,
      describe: 'silence after which a peer is suspected',
    })
    .option('lag-ms', {
      type: 'string',
      default: DEFAULT_LAG_MS,
      describe: 'execution lag above which the primary is slowed',
    })
    .option('digest-ms', {
      type: 'string',
      default: DEFAULT_DIGEST_MS,
      describe: 'time between compared state digests',
    })
    .option('kill-at', { type: 'string', hidden: true })
    .option('run-directory', { type: 'string', hidden: true });
}

/** Options of what a live replica sends to its backup. */
export function withReplicationMode<T>(argv: Argv<T>) {
  return argv
    .option('replication', {
      type: 'string',
      choices: REPLICATIONS,
      default: 'log' as const,
      describe: 'the backup follows the log, or holds the newest of many checkpoints without executing',
    })
    .option('checkpoint-ms', {
      type: 'string',
      default: DEFAULT_CHECKPOINT_MS,
      describe: 'time between checkpoints (--replication checkpoint)',
    })
    .option('log-window-kib', {
      type: 'string',
      default: String(LOG_WINDOW_BYTES >> 10),
      describe: 'log and held outputs under way at most; above it the guest stands still until the backup is done',
    });
}

/** Time between checkpoints, null when backups follow the log. @throws ConfigError */
export function checkpointInterval(args: { replication: Replication; checkpointMs: string }): number | null {
  const ms = parseCount('--checkpoint-ms', args.checkpointMs, 1, 60_000);
  return args.replication === 'checkpoint' ? ms : null;
}

/** Bytes of --log-window-kib. @throws ConfigError */
export function logWindow({ logWindowKib }: { logWindowKib: string }): number {
  return parseCount('--log-window-kib', logWindowKib, 16, LOG_WINDOW_BYTES >> 10) << 10;
}

export interface ReplicationTimes {
  readonly detectMs: number;
  readonly lagMs: number;
  readonly digestMs: number;
}

/** @throws ConfigError */
export function replicationTimes(args: { detectMs: string; lagMs: string; digestMs: string }): ReplicationTimes {
  return {
    detectMs: parseCount('--detect-ms', args.detectMs, 50, 10_000),
    lagMs: parseCount('--lag-ms', args.lagMs, 10, 10_000),
    digestMs: parseCount('--digest-ms', args.digestMs, 10, 3_600_000),
  };
}

export function optionalCount(option: string, text: string | undefined): number | undefined {
  return text === undefined ? undefined : parseCount(option, text, 0, Number.MAX_SAFE_INTEGER);
}

/** A share of full speed. @throws ConfigError */
export function parseShare(option: string, text: string): number {
  const share = /^(0?\.[0-9]{1,4}|1)$/.test(text) ? Number(text) : 0;
  if (share < 0.05) throw new ConfigError(option, text, 'must be a number from 0.05 to 1');
  return share;
}

/** The one JSON object of a command. */
export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}

/** A message for a person, on stderr. */
export function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** Tells a person on stderr what a replica does; progress in one line, overwritten, where that is a terminal. */
export function narrator(who: string, showProgress: boolean): (event: Parameters<typeof describeEvent>[1]) => void {
  const progress = new Progress(showProgress);
  return (event) => {
    if (isProgress(event)) {
      progress.show(describeEvent(who, event));
      return;
    }
    progress.clear();
    say(describeEvent(who, event));
  };
}
