/** `ft86 pair IMAGE`: the main job. */
import type { Argv, CommandModule } from 'yargs';
import { ConfigError } from '../../emulator/errors.js';
import { openTypist, withTypistOptions, type TypistArguments } from '../console/typist-options.js';
import { parseLoad, type LoadSpec } from '../load/load-spec.js';
import { parseKills } from '../pair/kill.js';
import { PairTyping } from '../pair/pair-typing.js';
import { describeEvent, describePairEvent } from '../pair/describe-event.js';
import { runPair } from '../pair/run-pair.js';
import type { PairResult } from '../pair/summary.js';
import { Progress } from '../progress.js';
import {
  imageName,
  planMachine,
  withImage,
  withMachineOptions,
  type MachineArguments,
  type MachinePlan,
} from '../replica/machine-options.js';
import { pairDrives } from '../replica/drive-options.js';
import { ARBITER_HELP, needsDiskServer, pairArbiter } from '../replica/open-arbiter.js';
import { guestExitStatus } from '../replica/result.js';
import type { Replication } from '../replica/replication.js';
import { openConsole, openKey } from '../replica/surroundings.js';
import { ephemeralName, makeRunDirectory, removeRunDirectory } from '../replica/run-directory.js';
import {
  checkpointInterval,
  logWindow,
  parseShare,
  printJson,
  replicationTimes,
  say,
  withJson,
  withReplication,
  withReplicationMode,
} from './common.js';

interface PairArguments extends MachineArguments, TypistArguments {
  readonly kill: readonly string[];
  readonly replace: boolean;
  readonly corruptAt: string | undefined;
  readonly throttle: string | undefined;
  readonly load: string | undefined;
  readonly uplink: readonly string[];
  readonly pcap: string | undefined;
  readonly serial: string;
  readonly diskServer: boolean;
  readonly arbiter: string | undefined;
  readonly key: string | undefined;
  readonly force: boolean;
  readonly record: string | undefined;
  readonly name: string | undefined;
  readonly detectMs: string;
  readonly lagMs: string;
  readonly digestMs: string;
  readonly replication: Replication;
  readonly checkpointMs: string;
  readonly logWindowKib: string;
  readonly json: boolean;
}

const options = (argv: Argv) =>
  withReplicationMode(withReplication(withTypistOptions(withJson(withMachineOptions(withImage(argv))))))
    .option('kill', { type: 'string', array: true, default: [], describe: 'kill -9: primary|backup@icount:N or @ms:N' })
    .option('replace', { type: 'boolean', default: false, describe: 'start a new backup after each loss' })
    .option('corrupt-at', { type: 'string', hidden: true })
    .option('throttle', { type: 'string', describe: 'the backups execute at this share of full speed (to see lag)' })
    .option('load', { type: 'string', describe: 'clients: kv:ops=N,clients=C, echo:…, counter:… or none' })
    .option('uplink', {
      type: 'string',
      array: true,
      default: [],
      describe: 'of its switch, as `ft86 switch` has it, e.g. passt:tcp=8080:80',
    })
    .option('pcap', { type: 'string', describe: 'write all frames of its switch to this file' })
    .option('serial', { type: 'string', default: 'stdio', describe: 'the guest’s console: stdio, none or file:PATH' })
    .option('disk-server', {
      type: 'boolean',
      default: false,
      describe: 'start a disk server for the drives’ files, which also decides who is live',
    })
    .option('arbiter', { type: 'string', describe: ARBITER_HELP })
    .option('key', {
      type: 'string',
      describe: 'key file: channel, switch and disk server of the pair use TLS with it',
    })
    .option('force', {
      type: 'boolean',
      default: false,
      describe: 'start although the last run of this name did not end in order',
    })
    .option('record', { type: 'string', describe: 'write the log of the run to this file' })
    .option('name', { type: 'string', describe: 'name of the run, for status, snapshot and stop' })
    .example('$0 pair kv --kill primary@ms:1500', 'kill the primary under load and watch')
    .example('$0 pair kv --kill primary@ms:1000 --kill primary@ms:2000 --replace', 'lose two primaries, go on')
    .example('$0 pair linux --uplink passt:tcp=8080:80 --replace', 'a web server in it is at http://127.0.0.1:8080/')
    .example('$0 pair timer --until 2000000000 --json', 'log bytes per interrupt')
    .example('$0 pair kv --key pair.key --arbiter etcd:http://127.0.0.1:2379', 'as on hosts of their own')
    .example(
      '$0 pair kv --replication checkpoint',
      'state transfer instead of a log, on the same guest',
    ) as unknown as Argv<PairArguments>;

export const pairCommand: CommandModule<object, PairArguments> = {
  command: 'pair [image]',
  describe: 'run a guest on a primary and a backup, compare and measure',
  builder: options,
  handler: async (args) => {
    const kills = parseKills(args.kill);
    const times = replicationTimes(args);
    const name = args.name ?? ephemeralName(imageName(args));
    const runDirectory = makeRunDirectory(name);
    // Where a person types, the line the cursor is in belongs to the guest.
    const progress = new Progress(!args.json && (args.script !== undefined || !process.stdin.isTTY));
    const interrupted = interruption();
    let stopAsked = false;
    void interrupted.then(() => {
      stopAsked = true;
    });
    try {
      const key = openKey(args.key);
      const planned = await planMachine(args, runDirectory, key);
      const logAlone = args.record !== undefined || checkpointInterval(args) !== null;
      const plan = { ...planned, drives: pairDrives(planned.drives, args.drive, logAlone) };
      const diskServer = args.diskServer || needsDiskServer(args.arbiter, plan.drives);
      const { arbiter: given, force } = args;
      const typist = openTypist(args, args.serial);
      const typing = typist === null ? null : new PairTyping(typist);
      const result = await runPair({
        name,
        runDirectory,
        plan,
        machineArguments: machineArguments(args, plan),
        ...times,
        checkpointMs: checkpointInterval(args),
        logWindowBytes: logWindow(args),
        arbiter: await pairArbiter({ given, drives: plan.drives, name, folder: runDirectory, key }, diskServer),
        ...{ diskServer, force, keyFile: args.key },
        record: args.record,
        kills,
        replace: args.replace,
        corruptAt: args.corruptAt,
        throttle: args.throttle === undefined ? undefined : String(parseShare('--throttle', args.throttle)),
        load: loadOf(args, plan),
        uplinks: args.uplink,
        pcap: args.pcap ?? null,
        console: openConsole(args.serial, args.json, true, null),
        typing,
        onEvent: (event) => {
          if (event.kind === 'progress' && event.live) {
            progress.show(`${event.icount} instructions, ${event.mips.toFixed(0)} MIPS`);
          }
          if (event.kind === 'replica' && event.event.kind === 'transfer')
            progress.show(describeEvent(event.who, event.event));
          const line = describePairEvent(event);
          if (line === null) return;
          progress.clear();
          say(line);
        },
        interrupted: typing === null ? interrupted : Promise.race([interrupted, typing.ended]),
      });
      progress.clear();
      if (args.json) printJson(result);
      else process.stdout.write(`${(await import('../pair/narrate.js')).renderPairResult(result)}\n`);
      process.exitCode = exitStatus(result, stopAsked);
    } finally {
      progress.clear();
      if (args.name === undefined && process.exitCode !== 3) removeRunDirectory(runDirectory);
    }
  },
};

function exitStatus(result: PairResult, interrupted: boolean): number {
  if (result.identical === false || result.copies.some(({ identical }) => identical === false)) return 3;
  if (result.replicas.every(({ survived }) => !survived)) return 4;
  const { client } = result;
  if (client !== null && (client.lost > 0 || client.duplicated > 0)) return 4;
  if (client !== null && !client.completed && !interrupted) return 4;
  return guestExitStatus(result.stop);
}

/** The machine's options for the primary, as they were given to us. */
function machineArguments(args: PairArguments, plan: MachinePlan): string[] {
  const { start } = plan;
  // The disk that the image is goes with the other drives.
  const medium = start.kind === 'firmware' ? ['--bios', start.biosPath] : [imageName(args)];
  const stress = plan.stress === null ? [] : ['--stress', String(plan.stress)];
  if (start.kind === 'snapshot') return [...medium, ...stress];
  return [
    ...medium,
    ...['--memory', String(plan.config.memoryBytes), '--append', plan.config.append],
    ...['--clock', plan.config.clock, '--rtc', String(plan.config.bootUnixSeconds)],
    ...stress,
    ...args.fwCfg.flatMap((file) => ['--fw-cfg', file]),
    ...args.optionRom.flatMap((file) => ['--option-rom', file]),
    ...args.module.flatMap((module) => ['--module', module]),
    ...(args.initrd === undefined ? [] : ['--initrd', args.initrd]),
    ...(args.payload === undefined ? [] : ['--payload', args.payload]),
    ...(args.format === undefined ? [] : ['--format', args.format]),
  ];
}

/** The clients need the virtual host that a pair has by itself; whoever gives other uplinks brings clients of their own. */
function loadOf({ load, uplink, pcap }: PairArguments, plan: MachinePlan): LoadSpec | null {
  if (plan.nics.length === 0 && (uplink.length > 0 || pcap !== undefined)) {
    throw new ConfigError(uplink.length > 0 ? '--uplink' : '--pcap', '', 'needs a guest with a NIC (--net)');
  }
  if (uplink.length > 0 && load !== undefined && load !== 'none') {
    throw new ConfigError('--load', load, 'does not go with --uplink');
  }
  const wanted = uplink.length > 0 ? 'none' : (load ?? plan.shipped?.load ?? 'none');
  return wanted === 'none' ? null : parseLoad(wanted);
}

/** Resolves at the first Ctrl-C or SIGTERM; a second one ends this process, and the children with it. */
export function interruption(): Promise<void> {
  return new Promise((resolve) => {
    let times = 0;
    const onSignal = (): void => {
      resolve();
      if (++times > 1) process.exit(4);
    };
    process.on('SIGINT', onSignal);
    process.on('SIGTERM', onSignal);
  });
}
