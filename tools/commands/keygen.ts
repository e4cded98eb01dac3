/** `ft86 keygen FILE`: a key for the logging channel, the switch and the disk server. */
import type { CommandModule } from 'yargs';
import { generateKey } from '../../hypervisor/channel/key-file.js';
import { say } from './common.js';

interface KeygenArguments {
  readonly file: string;
}

export const keygenCommand: CommandModule<object, KeygenArguments> = {
  command: 'keygen <file>',
  describe: 'make a key file (0600) for replicas on several hosts',
  builder: (argv) =>
    argv
      .positional('file', { type: 'string', demandOption: true, describe: 'file to create; an existing one is kept' })
      .example('$0 keygen pair.key', 'then give --key pair.key to both replicas'),
  handler: (args) => {
    generateKey(args.file);
    say(`ft86: wrote ${args.file}; copy it to every host of the pair over a safe way`);
  },
};
