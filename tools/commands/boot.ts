/** `ft86 boot IMAGE`: one machine, no replication. */
import type { Argv, CommandModule } from 'yargs';
import { openTypist, withTypistOptions, type TypistArguments } from '../console/typist-options.js';
import {
  imageName,
  planMachine,
  withImage,
  withMachineOptions,
  type MachineArguments,
} from '../replica/machine-options.js';
import { guestExitStatus, JSON_VERSION, type ReplicaReport } from '../replica/result.js';
import { ephemeralName, makeRunDirectory, removeRunDirectory } from '../replica/run-directory.js';
import { runLive } from '../replica/run-live.js';
import { openKey } from '../replica/surroundings.js';
import { Progress } from '../progress.js';
import { printJson, say, withJson } from './common.js';
import { openDebugConsole } from '../replica/display.js';

interface BootArguments extends MachineArguments, TypistArguments {
  readonly serial: string;
  readonly record: string | undefined;
  readonly snapshot: string | undefined;
  readonly debugConsole: string | undefined;
  readonly key: string | undefined;
  readonly name: string | undefined;
  readonly json: boolean;
}

const options = (argv: Argv) =>
  withTypistOptions(withJson(withMachineOptions(withImage(argv))))
    .option('serial', { type: 'string', default: 'stdio', describe: 'the guest’s console: stdio, none or file:PATH' })
    .option('record', { type: 'string', describe: 'write the log of the run to this file' })
    .option('snapshot', { type: 'string', describe: 'write a snapshot to this file when the run ends' })
    .option('debug-console', {
      type: 'string',
      describe: 'where to write at the end what came out of ports 0x402 and 0xe9: a file, or stderr',
    })
    .option('key', { type: 'string', describe: 'key file for the switch and for nbds:// drives' })
    .option('name', { type: 'string', describe: 'name of the run, for status, snapshot and stop' })
    .example('$0 boot hello', 'print a greeting from a boot sector')
    .example(
      '$0 boot bench-cpu --append "n=20000000" --json',
      'how fast is it here?',
    ) as unknown as Argv<BootArguments>;

export const bootCommand: CommandModule<object, BootArguments> = {
  command: 'boot [image]',
  describe: 'run one machine, without replication',
  builder: options,
  handler: async (args) => {
    const name = args.name ?? ephemeralName(imageName(args));
    const runDirectory = makeRunDirectory(name);
    const progress = new Progress(!args.json && args.serial !== 'stdio');
    try {
      const report = await runLive({
        name,
        runDirectory,
        plan: await planMachine(args, runDirectory, openKey(args.key)),
        serial: args.serial,
        quiet: args.json,
        record: args.record,
        snapshot: args.snapshot,
        onEnd: openDebugConsole(args.debugConsole),
        parent: null,
        typist: openTypist(args, args.serial),
        key: openKey(args.key),
        detectMs: 500,
        lagMs: 200,
        digestMs: 1000,
        checkpointMs: null,
        killAt: undefined,
        replication: null,
        onEvent: () => undefined,
        onProgress: (session) => {
          progress.show(`${session.live.machine.icount} instructions, ${session.mips.toFixed(0)} MIPS`);
        },
      });
      progress.clear();
      if (args.json) printJson(bootResult(imageName(args), report));
      else say(summary(report));
      process.exitCode = guestExitStatus(report.stop);
    } finally {
      progress.clear();
      if (args.name === undefined) removeRunDirectory(runDirectory);
    }
  },
};

function bootResult(image: string, report: ReplicaReport): unknown {
  const { stop, exitCode, icount, digest, seconds, mips, residentBytes, postCodes } = report;
  return {
    version: JSON_VERSION,
    image,
    stop,
    exitCode,
    icount,
    digest,
    seconds,
    mips,
    residentBytes,
    postCodes,
    primary: { icount, digest, seconds, mips },
  };
}

function summary(report: ReplicaReport): string {
  const how = report.stop === 'debug-exit' ? `debug-exit with code ${report.exitCode}` : String(report.stop);
  return `ft86: ${how} at icount ${report.icount}, ${report.seconds.toFixed(2)} s, ${report.mips.toFixed(0)} MIPS, digest ${report.digest ?? '-'}`;
}
