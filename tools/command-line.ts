/**
 * The command line. Each command is a file in commands/; errors are caught here, once, and become one line and an
 * exit status.
 */
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { ConfigError, DecodeError, DivergenceError, ReplicaError } from '../emulator/errors.js';
import { addCommands, Chosen } from './commands/table.js';
import { projectRoot } from './images/manifest.js';
import { commandLine } from './replica/arguments-of-parent.js';
import { sourceStack } from './source-stack.js';
import { UsageError } from './usage-error.js';
import { FT86_VERSION } from './version.js';

/** 0 orderly · 1 the guest failed · 2 the user's mistake · 3 divergence · 4 a replica or server failed */
function exitStatusOf(error: unknown): number {
  if (error instanceof ConfigError || error instanceof DecodeError || isUsage(error)) return 2;
  return error instanceof DivergenceError ? 3 : 4;
}

/** yargs reports its own errors as plain ones named YError. */
function isUsage(error: unknown): boolean {
  return error instanceof Error && (error.name === 'YError' || error instanceof UsageError);
}

/** Options that may be repeated; `_` is what yargs calls the words that are no options. */
const REPEATABLE = new Set(
  ['_', 'files', 'drive', 'net', 'module', 'kill', 'listen', 'uplink', 'fw-cfg', 'option-rom'].flatMap((name) => [
    name,
    name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase()),
  ]),
);

/** The message, with the cause behind it unless the message speaks for it already. */
function causes(error: Error): string {
  const { cause } = error;
  if (!(cause instanceof Error) || 'code' in cause) return error.message;
  return `${error.message} (${cause.message.split('\n', 1)[0] ?? ''})`;
}

function report(error: unknown): void {
  const expected = exitStatusOf(error) !== 4 || (error instanceof Error && error.name === 'ReplicaError');
  if (error instanceof Error) {
    const text = expected ? causes(error) : sourceStack(error.stack ?? error.message, projectRoot());
    process.stderr.write(`ft86: ${text}\n`);
  } else process.stderr.write(`ft86: ${String(error)}\n`);
  process.exitCode = exitStatusOf(error);
}

const words = hideBin(process.argv);
const parser = yargs(words)
  .scriptName('ft86')
  .usage('$0 COMMAND\n\nAn x86 PC that survives the death of the machine it runs on.')
  .version(FT86_VERSION)
  .demandCommand(1, 'a command is needed; `ft86 --help` lists them')
  .strict()
  .parserConfiguration({ 'greedy-arrays': false })
  .check((args) => {
    const twice = Object.keys(args).find((name) => Array.isArray(args[name]) && !REPEATABLE.has(name));
    if (twice !== undefined) throw new UsageError(`--${twice} may be given once only`);
    return true;
  }, true)
  .wrap(Math.min(120, process.stdout.isTTY ? process.stdout.columns : 100))
  .epilogue('`ft86 COMMAND --help` shows a command’s options and an example.')
  .help()
  .fail((message, error: Error | undefined) => {
    throw error ?? new UsageError(message);
  });

/** Standard output failed. A pipe's reader that has gone (`ft86 log ... | head`) has what it wanted. */
let outputFailed = false;
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (!outputFailed && error.code !== 'EPIPE') {
    report(new ReplicaError(`cannot write to standard output: ${error.message}`, { cause: error }));
  }
  outputFailed = true;
});

/** The command that was asked for; nothing is when yargs has printed help. */
async function chosen(): Promise<Chosen | null> {
  await addCommands(parser, words[0]);
  try {
    await parser.parseAsync(await commandLine(words));
    return null;
  } catch (error) {
    if (error instanceof Chosen) return error;
    throw error;
  }
}

/** Run what the command line asks for. An error is reported, and is the exit status. */
export async function runCommandLine(): Promise<void> {
  try {
    await (await chosen())?.run();
  } catch (error) {
    report(error);
  }
}
