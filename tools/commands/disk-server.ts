/** `ft86 disk-server FILE…`: raw files as disks on the network. */
import type { Argv, CommandModule } from 'yargs';
import { runDiskServer } from '../disk-server/disk-server.js';
import { openKey } from '../replica/surroundings.js';
import { printJson, say, withJson } from './common.js';
import { serverStop, tellParent } from './server-stop.js';

interface DiskServerArguments {
  readonly files: readonly string[];
  readonly listen: readonly string[];
  readonly readonly: boolean;
  readonly epochs: string | undefined;
  readonly key: string | undefined;
  readonly json: boolean;
}

const options = (argv: Argv) =>
  withJson(argv)
    .positional('files', {
      type: 'string',
      array: true,
      demandOption: true,
      describe: 'FILE, exported by its own name, or NAME=FILE; the first is the default export',
    })
    .option('listen', {
      type: 'string',
      array: true,
      default: ['tcp://127.0.0.1:10809'],
      describe: 'where clients connect: tcp://HOST:PORT or unix:PATH',
    })
    .option('readonly', { type: 'boolean', default: false, describe: 'refuse writes' })
    .option('epochs', {
      type: 'string',
      describe: 'folder for the epochs that pairs have won; by default FILE.epochs, next to the first file',
    })
    .option('key', {
      type: 'string',
      describe: 'key file: clients must use TLS with it; without it only loopback and UNIX sockets',
    })
    .example('$0 disk-server disk.img', 'nbdinfo nbd://127.0.0.1/ shows it')
    .example(
      '$0 disk-server a=one.img b=two.img --listen unix:disks.sock',
      'two exports',
    ) as unknown as Argv<DiskServerArguments>;

export const diskServerCommand: CommandModule<object, DiskServerArguments> = {
  command: 'disk-server <files..>',
  describe: 'serve raw files as disks over NBD',
  builder: options,
  handler: async (args) => {
    const result = await runDiskServer(
      {
        files: args.files,
        readonly: args.readonly,
        epochs: args.epochs,
        listen: args.listen,
        key: openKey(args.key),
        onReady: (ready) => {
          if (tellParent(ready)) return;
          for (const address of ready.listen) say(`ft86: the disk server listens at ${address}`);
          for (const { name, bytes } of ready.exports) say(`ft86: export ${name}, ${bytes} bytes`);
        },
        log: process.send === undefined ? say : () => undefined,
      },
      serverStop(),
    );
    if (args.json) printJson(result);
    if (process.connected) process.disconnect();
  },
};
