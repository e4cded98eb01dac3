/** `ft86 log FILE`: the entries of a recorded log, one a line. */
import type { CommandModule } from 'yargs';
import { LogFileReader } from '../../hypervisor/log/log-file.js';
import type { Entry } from '../../hypervisor/log/entry.js';
import { say } from './common.js';

interface LogArguments {
  readonly file: string;
  readonly json: boolean;
  readonly tolerant: boolean;
}

export const logCommand: CommandModule<object, LogArguments> = {
  command: 'log <file>',
  describe: 'show the entries of a log, one a line',
  builder: (argv) =>
    argv
      .positional('file', { type: 'string', demandOption: true, describe: 'a file written by --record' })
      .option('json', { type: 'boolean', default: false, describe: 'one JSON object a line' })
      .option('tolerant', { type: 'boolean', default: false, describe: 'accept a log whose recording was cut off' })
      .example('$0 log run.ftlog --json', 'entries for another program'),
  handler: async (args) => {
    const reader = new LogFileReader(args.file, { tolerant: args.tolerant });
    try {
      for (const { seq, entry } of reader.entries()) {
        await line(args.json ? jsonLine(seq, entry) : textLine(seq, entry));
        if (process.stdout.destroyed) return;
      }
      if (reader.end?.complete === false)
        say(`ft86: ${args.file} was cut off: ${reader.end.discardedBytes} bytes left out`);
    } finally {
      reader.close();
    }
  },
};

/** Write a line and wait while the reader of our output is slow; one that has gone (`| head`) destroys the stream. */
async function line(text: string): Promise<void> {
  if (process.stdout.write(`${text}\n`)) return;
  await new Promise<void>((resolve) => {
    const goOn = (): void => {
      process.stdout.off('drain', goOn).off('close', goOn);
      resolve();
    };
    process.stdout.on('drain', goOn).on('close', goOn);
  });
}

function jsonLine(seq: number, entry: Entry): string {
  return JSON.stringify({ seq, ...entry }, (_, value: unknown) =>
    value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value,
  );
}

function textLine(seq: number, entry: Entry): string {
  const { kind, at, ...rest } = entry;
  const fields = Object.entries(rest).map(([name, value]) => `${name}=${shown(value)}`);
  return `${String(seq).padStart(8)} ${String(at).padStart(14)} ${kind.padEnd(9)} ${fields.join(' ')}`;
}

function shown(value: unknown): string {
  if (value instanceof Uint8Array) return `${value.length} bytes ${Buffer.from(value.subarray(0, 16)).toString('hex')}`;
  return JSON.stringify(value).replaceAll('"', '');
}
