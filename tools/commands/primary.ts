/** `ft86 primary IMAGE`: a replica that starts live and takes a backup. */
import type { Argv, CommandModule } from 'yargs';
import { StdinTypist } from '../console/stdin-typist.js';
import {
  imageName,
  planMachine,
  withImage,
  withMachineOptions,
  type MachineArguments,
} from '../replica/machine-options.js';
import { ParentLink, underParent } from '../replica/parent-link.js';
import { openPool, POOL_HELP } from '../replica/etcd-pool.js';
import { guestExitStatus } from '../replica/result.js';
import type { Replication } from '../replica/replication.js';
import { ephemeralName, makeRunDirectory } from '../replica/run-directory.js';
import { runLive } from '../replica/run-live.js';
import { ARBITER_HELP, openArbiter } from '../replica/open-arbiter.js';
import { openKey } from '../replica/surroundings.js';
import {
  checkpointInterval,
  logWindow,
  narrator,
  optionalCount,
  printJson,
  replicationTimes,
  withJson,
  withReplication,
  withReplicationMode,
} from './common.js';

interface PrimaryArguments extends MachineArguments {
  readonly channel: string;
  readonly waitBackup: boolean;
  readonly force: boolean;
  readonly pool: string | undefined;
  readonly serial: string;
  readonly record: string | undefined;
  readonly snapshot: string | undefined;
  readonly arbiter: string | undefined;
  readonly key: string | undefined;
  readonly name: string | undefined;
  readonly detectMs: string;
  readonly lagMs: string;
  readonly digestMs: string;
  readonly killAt: string | undefined;
  readonly replication: Replication;
  readonly checkpointMs: string;
  readonly logWindowKib: string;
  readonly runDirectory: string | undefined;
  readonly json: boolean;
}

const options = (argv: Argv) =>
  withReplicationMode(withReplication(withJson(withMachineOptions(withImage(argv)))))
    .option('channel', {
      type: 'string',
      demandOption: true,
      describe: 'listen for a backup at tcp://HOST:PORT or unix:PATH',
    })
    .option('wait-backup', { type: 'boolean', default: false, describe: 'hold the guest until a backup is in' })
    .option('force', {
      type: 'boolean',
      default: false,
      describe: 'start although the last run of this pair did not end in order',
    })
    .option('pool', { type: 'string', describe: `without a backup take one from ${POOL_HELP}` })
    .option('arbiter', { type: 'string', describe: ARBITER_HELP })
    .option('serial', { type: 'string', default: 'stdio', describe: 'the guest’s console: stdio, none or file:PATH' })
    .option('record', { type: 'string', describe: 'write the log of the run to this file' })
    .option('snapshot', { type: 'string', describe: 'write a snapshot to this file when the run ends' })
    .option('key', {
      type: 'string',
      describe: 'key file; without it the channel is on loopback or a UNIX socket only',
    })
    .option('name', { type: 'string', describe: 'name of the pair, the same on both replicas' })
    .example(
      '$0 primary timer --name demo --channel tcp://127.0.0.1:8600 --wait-backup',
      'then, elsewhere: ft86 backup …',
    ) as unknown as Argv<PrimaryArguments>;

export const primaryCommand: CommandModule<object, PrimaryArguments> = {
  command: 'primary [image]',
  describe: 'start a replica that is live and accepts a backup',
  builder: options,
  handler: async (args) => {
    const parent = ParentLink.connect();
    const tell = narrator('primary', !args.json);
    const name = args.name ?? ephemeralName(imageName(args));
    const runDirectory = args.runDirectory ?? makeRunDirectory(name);
    const report = await underParent(parent, async () => {
      const key = openKey(args.key);
      const plan = await planMachine(args, runDirectory, key);
      return runLive({
        name,
        runDirectory,
        plan,
        serial: args.serial,
        quiet: args.json,
        record: args.record,
        snapshot: args.snapshot,
        parent,
        typist: parent === null && args.serial === 'stdio' ? new StdinTypist() : null,
        key,
        ...replicationTimes(args),
        checkpointMs: checkpointInterval(args),
        logWindowBytes: logWindow(args),
        killAt: optionalCount('--kill-at', args.killAt),
        replication: {
          channel: args.channel,
          arbiter: await openArbiter(args.arbiter, name, plan.drives, key),
          waitBackup: args.waitBackup,
          force: args.force,
          pool: args.pool === undefined ? null : openPool(args.pool, name, '--channel', args.channel),
        },
        onEvent: (event) => {
          if (parent !== null) parent.send({ type: 'event', event: { ...event } });
          else tell(event);
        },
        onProgress: (session) => {
          const { icount } = session.live.machine;
          parent?.send({
            type: 'progress',
            icount,
            mips: session.mips,
            state: session.state,
            log: session.account.totals(icount),
            checkpoints: session.checkpoints,
          });
        },
      });
    });
    if (parent !== null) await parent.finish({ type: 'report', report });
    else if (args.json) printJson(report);
    process.exitCode = guestExitStatus(report.stop);
  },
};
