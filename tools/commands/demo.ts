/** `ft86 demo`: the main job as a story, run by `make run`. */
import { join } from 'node:path';
import type { CommandModule } from 'yargs';
import colors from 'picocolors';
import { openConsoleStream } from '../../hypervisor/backend/console.js';
import { parseLoad } from '../load/load-spec.js';
import { parseKill, type Kill } from '../pair/kill.js';
import { describePairEvent } from '../pair/describe-event.js';
import { renderPairResult } from '../pair/narrate.js';
import { runPair } from '../pair/run-pair.js';
import type { PairResult } from '../pair/summary.js';
import { planMachine, type MachineArguments } from '../replica/machine-options.js';
import { ephemeralName, makeRunDirectory, removeRunDirectory } from '../replica/run-directory.js';
import { ReplicaError } from '../../emulator/errors.js';
import { demoHttp } from './demo-http.js';
import { interruption } from './pair.js';

interface DemoArguments {
  readonly scenario: string;
}

interface Act {
  readonly title: string;
  readonly load: string;
  readonly kills: readonly Kill[];
}

const ACTS: readonly Act[] = [
  {
    title: 'Act 1: a key-value server on two replicas, in lockstep',
    load: 'kv:ops=2000,clients=4',
    kills: [],
  },
  {
    title: 'Act 2: the same server on the same disk; its primary dies by kill -9 under load',
    load: 'kv:ops=4000,clients=4',
    kills: [parseKill('primary@ms:1000')],
  },
];

const MACHINE: MachineArguments = {
  image: 'kv',
  memory: undefined,
  append: undefined,
  module: [],
  fwCfg: [],
  optionRom: [],
  format: undefined,
  drive: [],
  net: [],
  clock: 'host',
  rtc: undefined,
  until: undefined,
};

export const demoCommand: CommandModule<object, DemoArguments> = {
  command: 'demo [scenario]',
  describe: 'watch a replica die and its clients not notice',
  builder: (argv) =>
    argv
      .positional('scenario', { type: 'string', default: 'kv', choices: ['kv', 'http'], describe: 'which story' })
      .example('$0 demo', 'what `make run` shows')
      .example('$0 demo http', 'downloads from a Linux web server whose replicas die (needs passt, make guests)'),
  handler: async ({ scenario }) => {
    if (scenario === 'http') {
      await demoHttp(MACHINE, interruption());
      return;
    }
    const runDirectory = makeRunDirectory(ephemeralName('demo'));
    const interrupted = interruption();
    try {
      for (const [number, act] of ACTS.entries()) {
        const result = await perform(act, runDirectory, `demo${number + 1}-${process.pid}`, interrupted);
        check(result, act);
      }
    } finally {
      removeRunDirectory(runDirectory);
    }
  },
};

async function perform(act: Act, runDirectory: string, name: string, interrupted: Promise<void>): Promise<PairResult> {
  process.stdout.write(`\n${colors.bold(act.title)}\n`);
  const result = await runPair({
    name,
    runDirectory,
    plan: await planMachine(MACHINE, runDirectory, null),
    machineArguments: ['kv'],
    detectMs: 500,
    lagMs: 200,
    digestMs: 500,
    checkpointMs: null,
    arbiter: `file:${join(runDirectory, 'arbiter')}`,
    diskServer: false,
    record: undefined,
    kills: act.kills,
    replace: false,
    corruptAt: undefined,
    throttle: undefined,
    load: parseLoad(act.load),
    uplinks: [],
    pcap: null,
    console: openConsoleStream(process.stdout, (error) => {
      throw error;
    }),
    onEvent: (event) => {
      const line = describePairEvent(event);
      if (line !== null) process.stdout.write(`${line}\n`);
    },
    interrupted,
  });
  process.stdout.write(`${renderPairResult(result)}\n`);
  return result;
}

/** The story must end as it is told. @throws ReplicaError */
function check(result: PairResult, act: Act): void {
  const { client, identical, takeover } = result;
  if (identical === false) throw new ReplicaError('the replicas differ');
  if (client !== null && (client.lost > 0 || client.duplicated > 0))
    throw new ReplicaError('the client saw a difference');
  if (act.kills.length > 0 && takeover === null) throw new ReplicaError('no take-over happened');
}
