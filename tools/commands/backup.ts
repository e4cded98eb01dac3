/** `ft86 backup`: joins a live replica, follows it, goes live when it must. */
import type { Argv, CommandModule } from 'yargs';
import { ConfigError } from '../../emulator/errors.js';
import { COME_MS } from '../../hypervisor/ft/spare-search.js';
import { parseDrive } from '../replica/drive-options.js';
import { parseNet } from '../replica/net-options.js';
import { CHANNEL_OF_PARENT, ParentLink, underParent } from '../replica/parent-link.js';
import { openPool, POOL_HELP, type EtcdPool } from '../replica/etcd-pool.js';
import { guestExitStatus, type ReplicaReport } from '../replica/result.js';
import { waitInPool } from '../replica/spare.js';
import { makeRunDirectory } from '../replica/run-directory.js';
import { runBackup } from '../replica/run-backup.js';
import { ARBITER_HELP, openArbiter } from '../replica/open-arbiter.js';
import { openKey } from '../replica/surroundings.js';
import {
  narrator,
  optionalCount,
  parseShare,
  printJson,
  replicationTimes,
  say,
  withJson,
  withReplication,
} from './common.js';
import { parseCount } from '../key-values.js';

interface BackupArguments {
  readonly channel: string | undefined;
  readonly pool: string | undefined;
  readonly listen: string | undefined;
  readonly drive: readonly string[];
  readonly net: readonly string[];
  readonly serial: string;
  readonly snapshot: string | undefined;
  readonly arbiter: string | undefined;
  readonly key: string | undefined;
  readonly name: string;
  readonly until: string | undefined;
  readonly detectMs: string;
  readonly lagMs: string;
  readonly digestMs: string;
  readonly connectMs: string;
  readonly killAt: string | undefined;
  readonly corruptAt: string | undefined;
  readonly throttle: string | undefined;
  readonly runDirectory: string | undefined;
  readonly json: boolean;
}

const options = (argv: Argv) =>
  withReplication(withJson(argv))
    .option('channel', {
      type: 'string',
      describe: 'the live replica’s address, tcp://HOST:PORT or unix:PATH',
    })
    .option('pool', {
      type: 'string',
      describe: `without --channel wait until a live replica asks, after a take-over ask in turn: ${POOL_HELP}`,
    })
    .option('listen', {
      type: 'string',
      describe: 'after a take-over take a backup in turn, at tcp://HOST:PORT or unix:PATH',
    })
    .option('name', { type: 'string', demandOption: true, describe: 'name of the pair, as the live replica has it' })
    .option('drive', {
      type: 'string',
      array: true,
      default: [],
      describe: 'the live replica’s drives with the same options: file=PATH or nbd://HOST:PORT/EXPORT',
    })
    .option('net', {
      type: 'string',
      array: true,
      default: [],
      describe: 'where its NICs are plugged in at a take-over: switch=ADDRESS[,mac=MAC]',
    })
    .option('arbiter', { type: 'string', describe: ARBITER_HELP })
    .option('serial', {
      type: 'string',
      default: 'stdio',
      describe: 'the console after a take-over: stdio, none or file:PATH',
    })
    .option('until', { type: 'string', describe: 'after a take-over stop at this instruction count' })
    .option('snapshot', { type: 'string', describe: 'write a snapshot to this file when the run ends' })
    .option('key', { type: 'string', describe: 'key file, the live replica’s' })
    .option('throttle', { type: 'string', describe: 'execute at this share of full speed, 0.05 to 1 (to see lag)' })
    .option('corrupt-at', { type: 'string', hidden: true })
    .option('connect-ms', {
      type: 'string',
      default: '10000',
      describe: 'how long to wait for the live replica to answer',
    })
    .example('$0 backup --name demo --channel tcp://127.0.0.1:8600', 'follow the primary called demo')
    .example(
      '$0 backup --name demo --pool etcd:http://127.0.0.1:2379 --listen tcp://127.0.0.1:0',
      'be a spare of the pair called demo',
    ) as unknown as Argv<BackupArguments>;

export const backupCommand: CommandModule<object, BackupArguments> = {
  command: 'backup',
  describe: 'join a live replica, follow it, go live in its place',
  builder: options,
  handler: async (args) => {
    const parent = ParentLink.connect();
    const tell = narrator('backup', !args.json);
    const report = await underParent(parent, async () => {
      const key = openKey(args.key);
      const drives = args.drive.map(parseDrive);
      const pool = poolOf(args);
      const runDirectory = args.runDirectory ?? makeRunDirectory(args.name);
      const arbiter = await openArbiter(args.arbiter, args.name, drives, key);
      const run = (channel: string, following?: () => void): Promise<ReplicaReport> =>
        runBackup({
          name: args.name,
          runDirectory,
          channel,
          pool,
          listen: args.listen,
          drives,
          nics: args.net.map(parseNet),
          serial: args.serial,
          quiet: args.json,
          snapshot: args.snapshot,
          parent,
          key,
          arbiter,
          ...replicationTimes(args),
          until: optionalCount('--until', args.until) ?? Infinity,
          killAt: optionalCount('--kill-at', args.killAt),
          corruptAt: corruption(args.corruptAt),
          throttle: args.throttle === undefined ? undefined : parseShare('--throttle', args.throttle),
          connectMs: Math.min(
            parseCount('--connect-ms', args.connectMs, 100, 600_000),
            following === undefined ? Infinity : COME_MS / 2,
          ),
          onEvent: (event) => {
            if (event.kind === 'following') following?.();
            if (parent !== null) parent.send({ type: 'event', event: { ...event } });
            else tell(event);
          },
          onProgress: ({ live, backup }) => {
            const icount = live?.live.machine.icount ?? backup?.machine?.icount ?? 0;
            const part = live ?? backup;
            if (part === null) return;
            const mips = live?.mips ?? icount / Math.max(0.001, part.seconds) / 1e6;
            const log = part.account.totals(icount);
            parent?.send({
              type: 'progress',
              icount,
              mips,
              state: part.state,
              log,
              checkpoints: live?.checkpoints ?? null,
            });
          },
        });
      if (parent !== null && args.channel === CHANNEL_OF_PARENT) return run(await parent.channel);
      if (args.channel !== undefined || pool === null) return run(args.channel ?? '');
      return waitInPool(pool, run, tell);
    });
    if (report.error !== null) say(`ft86: ${report.error}`);
    if (parent !== null) await parent.finish({ type: 'report', report });
    else if (args.json) printJson(report);
    process.exitCode = report.error === null ? guestExitStatus(report.stop) : 3;
  },
};

/** @throws ConfigError for a replica that nobody would find */
function poolOf({ channel, listen, pool, name }: BackupArguments): EtcdPool | null {
  if (pool === undefined) {
    if (channel === undefined) throw new ConfigError('--channel', '', 'must be given, or --pool');
    return null;
  }
  if (listen === undefined)
    throw new ConfigError('--listen', '', 'must be given with --pool: where the next spare joins');
  return openPool(pool, name, '--listen', listen);
}

/** `--corrupt-at ICOUNT:ADDRESS`, for tests of divergence. @throws ConfigError */
function corruption(text: string | undefined): { readonly icount: number; readonly address: number } | undefined {
  if (text === undefined) return undefined;
  const match = /^([0-9]{1,15}):0x([0-9a-f]{1,8})$/.exec(text);
  if (match === null) throw new ConfigError('--corrupt-at', text, 'must be ICOUNT:0xADDRESS');
  return { icount: Number(match[1]), address: parseInt(match[2] ?? '', 16) };
}
