/** `ft86 status`, `snapshot` and `stop`: talk to a replica's control socket. */
import { existsSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Argv, CommandModule } from 'yargs';
import { ConfigError } from '../../emulator/errors.js';
import { parseSetting } from '../../hypervisor/ft/settings.js';
import { askControl, CONTROL_SOCKET, type ControlReply } from '../replica/control-server.js';
import { runsDirectory } from '../replica/run-directory.js';
import { renderDisplay, type Display } from '../replica/display.js';
import { printJson, say, withJson } from './common.js';

interface ControlArguments {
  readonly replica: string;
  readonly file: string;
  readonly json: boolean;
}

/** The sockets behind a socket's path, or behind a run's name (its first replica's first). @throws ConfigError */
function controlSockets(replica: string): string[] {
  if (replica.includes('/')) return [replica];
  const directory = join(runsDirectory(), replica);
  const names = existsSync(directory) ? readdirSync(directory).filter((name) => CONTROL_SOCKET.test(name)) : [];
  if (names.length === 0) throw new ConfigError('REPLICA', replica, `no run of that name (none in ${directory})`);
  return names.sort(byRole).map((name) => join(directory, name));
}

/** `primary` before `backup`; the socket of a replica that was killed is left behind and may come first. */
function byRole(a: string, b: string): number {
  return Number(b.startsWith('primary')) - Number(a.startsWith('primary')) || a.localeCompare(b);
}

/** The socket of a run's live replica, else of any that answers. @throws ConfigError */
export async function liveSocket(replica: string): Promise<string> {
  const sockets = controlSockets(replica);
  const answers = await Promise.allSettled(sockets.map((path) => askControl(path, { command: 'status' })));
  const live = answers.findIndex((answer) => answer.status === 'fulfilled' && answer.value['live'] === true);
  const any = answers.findIndex((answer) => answer.status === 'fulfilled');
  return sockets[Math.max(0, live === -1 ? any : live)] as string;
}

/** Ask every replica of a run; at least one must answer. */
async function askAll(replica: string, command: 'status' | 'stop'): Promise<ControlReply[]> {
  const answers = await Promise.allSettled(controlSockets(replica).map((path) => askControl(path, { command })));
  const replies = answers.filter((answer) => answer.status === 'fulfilled').map((answer) => answer.value);
  const failed = answers.find((answer) => answer.status === 'rejected');
  if (replies.length === 0 && failed !== undefined) throw failed.reason;
  return replies;
}

const target = (argv: Argv) =>
  withJson(
    argv.positional('replica', { type: 'string', demandOption: true, describe: 'a run’s name or a control socket' }),
  );

export const statusCommand: CommandModule<object, ControlArguments> = {
  command: 'status <replica>',
  describe: 'role, epoch, icount, lag, log of a replica, or of both of a run',
  builder: (argv) =>
    target(argv).example('$0 status demo', 'both replicas of the run called demo') as unknown as Argv<ControlArguments>,
  handler: async (args) => {
    const replies = await askAll(args.replica, 'status');
    if (args.json) printJson(replies.length === 1 ? replies[0] : { replicas: replies });
    else process.stdout.write(`${[...replies.map(statusText), displayText(replies)].join('\n').trimEnd()}\n`);
  },
};

function statusText(reply: ControlReply): string {
  const lag = typeof reply['lagMs'] === 'number' ? `, lag ${reply['lagMs'].toFixed(1)} ms` : '';
  const log = reply['log'] as { entries: number; bytes: number };
  return (
    `${String(reply['role'])} (${String(reply['state'])}) of ${String(reply['name'])}: epoch ${String(reply['epoch'])}, ` +
    `icount ${String(reply['icount'])}, ${(reply['mips'] as number).toFixed(0)} MIPS${lag}, ` +
    `${String(reply['heldOutputs'])} outputs held, log ${log.entries} entries, ${log.bytes} bytes`
  );
}

/** The machine's screen once: both replicas show the same. */
function displayText(replies: readonly ControlReply[]): string {
  const display = replies.map((reply) => reply['display'] as Display | null).find((shown) => shown !== null);
  return display === undefined ? '' : renderDisplay(display);
}

export const snapshotCommand: CommandModule<object, ControlArguments> = {
  command: 'snapshot <replica> <file>',
  describe: 'write a running replica’s state to a file',
  builder: (argv) =>
    target(argv)
      .positional('file', { type: 'string', demandOption: true, describe: 'snapshot file to write' })
      .example('$0 snapshot demo now.ftsnap', 'snapshot of the live replica'),
  handler: async (args) => {
    const path = resolve(args.file);
    const reply = await askControl(await liveSocket(args.replica), { command: 'snapshot', path });
    if (args.json) printJson(reply);
    else say(`ft86: wrote ${path}`);
  },
};

interface ConfigureArguments extends ControlArguments {
  readonly setting: string;
}

async function configure(args: ControlArguments, setting: string): Promise<void> {
  const reply = await askControl(await liveSocket(args.replica), { command: 'configure', setting });
  if (args.json) printJson(reply);
  else say(`ft86: ${setting}`);
}

export const configureCommand: CommandModule<object, ConfigureArguments> = {
  command: 'configure <replica> <setting>',
  describe: 'change a setting of a running guest: an entry of its log, so both replicas know',
  builder: (argv) =>
    target(argv)
      .positional('setting', { type: 'string', demandOption: true, describe: 'paused=on|off, digest-ms=N|default' })
      .example(
        '$0 configure demo digest-ms=50',
        'compare the replicas more often',
      ) as unknown as Argv<ConfigureArguments>,
  handler: (args) => {
    parseSetting(args.setting);
    return configure(args, args.setting);
  },
};

export const pauseCommand: CommandModule<object, ControlArguments> = {
  command: 'pause <replica>',
  describe: 'let a guest stand still, whichever replica is live',
  builder: (argv) => target(argv).example('$0 pause demo', 'then: resume demo') as unknown as Argv<ControlArguments>,
  handler: (args) => configure(args, 'paused=on'),
};

export const resumeCommand: CommandModule<object, ControlArguments> = {
  command: 'resume <replica>',
  describe: 'let a paused guest go on',
  builder: (argv) => target(argv).example('$0 resume demo', 'after: pause demo') as unknown as Argv<ControlArguments>,
  handler: (args) => configure(args, 'paused=off'),
};

export const stopCommand: CommandModule<object, ControlArguments> = {
  command: 'stop <replica>',
  describe: 'end a run in order: both replicas stop at the same icount',
  builder: (argv) =>
    target(argv).example('$0 stop demo', 'end the run called demo') as unknown as Argv<ControlArguments>,
  handler: async (args) => {
    const replies = await askAll(args.replica, 'stop');
    if (args.json) printJson(replies[0]);
    else say('ft86: stopping');
  },
};
