/**
 * The commands by name. A command's file, and all that it needs, is loaded only when the command line names it, or when
 * all are to be listed: a pair starts four processes, and loading everything took half of each one's start.
 */
import type { Argv, CommandModule } from 'yargs';

/** What the command line asks for, thrown out of yargs: a command that it runs itself has its help formatted first, 40 ms. */
export class Chosen extends Error {
  readonly run: () => void | Promise<void>;

  constructor(run: () => void | Promise<void>) {
    super();
    this.run = run;
  }
}

function add<T>(parser: Argv, module: CommandModule<object, T>): void {
  parser.command({
    ...module,
    handler: (args) => {
      throw new Chosen(() => module.handler(args));
    },
  });
}

const COMMANDS: Readonly<Record<string, (parser: Argv) => Promise<void>>> = {
  boot: async (parser) => {
    add(parser, (await import('./boot.js')).bootCommand);
  },
  pair: async (parser) => {
    add(parser, (await import('./pair.js')).pairCommand);
  },
  demo: async (parser) => {
    add(parser, (await import('./demo.js')).demoCommand);
  },
  primary: async (parser) => {
    add(parser, (await import('./primary.js')).primaryCommand);
  },
  backup: async (parser) => {
    add(parser, (await import('./backup.js')).backupCommand);
  },
  switch: async (parser) => {
    add(parser, (await import('./switch.js')).switchCommand);
  },
  'disk-server': async (parser) => {
    add(parser, (await import('./disk-server.js')).diskServerCommand);
  },
  load: async (parser) => {
    add(parser, (await import('./load.js')).loadCommand);
  },
  diff: async (parser) => {
    add(parser, (await import('./diff.js')).diffCommand);
  },
  bandwidth: async (parser) => {
    add(parser, (await import('./bandwidth.js')).bandwidthCommand);
  },
  log: async (parser) => {
    add(parser, (await import('./log.js')).logCommand);
  },
  status: async (parser) => {
    add(parser, (await import('./control.js')).statusCommand);
  },
  snapshot: async (parser) => {
    add(parser, (await import('./control.js')).snapshotCommand);
  },
  pause: async (parser) => {
    add(parser, (await import('./control.js')).pauseCommand);
  },
  resume: async (parser) => {
    add(parser, (await import('./control.js')).resumeCommand);
  },
  configure: async (parser) => {
    add(parser, (await import('./control.js')).configureCommand);
  },
  stop: async (parser) => {
    add(parser, (await import('./control.js')).stopCommand);
  },
  images: async (parser) => {
    add(parser, (await import('./images.js')).imagesCommand);
  },
  keygen: async (parser) => {
    add(parser, (await import('./keygen.js')).keygenCommand);
  },
};

/** Tell `parser` the command that the first word names, or all of them. */
export async function addCommands(parser: Argv, first: string | undefined): Promise<void> {
  const named = first !== undefined && Object.hasOwn(COMMANDS, first) ? COMMANDS[first] : undefined;
  if (named !== undefined) {
    await named(parser);
    return;
  }
  for (const command of Object.values(COMMANDS)) await command(parser);
}
