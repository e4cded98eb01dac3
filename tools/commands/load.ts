/** `ft86 load SPEC`: clients of a service guest, for a guest that `pair` did not start. */
import { isIPv4 } from 'node:net';
import type { Argv, CommandModule } from 'yargs';
import { ConfigError } from '../../emulator/errors.js';
import { parseCount } from '../key-values.js';
import { runLoad } from '../load/load-run.js';
import { parseLoad } from '../load/load-spec.js';
import type { UdpTarget } from '../load/udp-client.js';
import { describeLoad } from '../pair/narrate.js';
import { printJson, withJson } from './common.js';

interface LoadArguments {
  readonly spec: string;
  readonly to: string;
  readonly json: boolean;
}

const options = (argv: Argv) =>
  withJson(argv)
    .positional('spec', {
      type: 'string',
      demandOption: true,
      describe: 'kv, echo or counter, with :ops=N,clients=N,…',
    })
    .option('to', {
      type: 'string',
      demandOption: true,
      describe: 'where the guest answers: IPV4:PORT, as the switch forwards it',
    })
    .example(
      '$0 load kv:ops=5000,clients=8 --to 127.0.0.1:7000',
      'exit status 1 when an operation was lost',
    ) as Argv<unknown> as Argv<LoadArguments>;

export const loadCommand: CommandModule<object, LoadArguments> = {
  command: 'load <spec>',
  describe: 'run clients against a service guest and check what they were told',
  builder: options,
  handler: async (args) => {
    const result = await runLoad(parseLoad(args.spec), parseTarget(args.to), {});
    if (args.json) printJson(result);
    else process.stdout.write(`${[describeLoad(result), ...result.findings].join('\n')}\n`);
    process.exitCode = result.lost === 0 && result.duplicated === 0 ? 0 : 1;
  },
};

/** @throws ConfigError */
function parseTarget(text: string): UdpTarget {
  const [, host = '', port = ''] = /^([0-9.]+):([0-9]+)$/.exec(text) ?? [];
  if (!isIPv4(host)) throw new ConfigError('--to', text, 'must be IPV4:PORT');
  return { host, port: parseCount('--to', port, 1, 65_535) };
}
