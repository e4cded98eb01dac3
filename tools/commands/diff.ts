/** `ft86 diff A B`: what differs between two snapshots, or two running replicas. */
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CommandModule } from 'yargs';
import { diffSnapshots } from '../../hypervisor/snapshot/diff.js';
import { readSnapshot } from '../../hypervisor/snapshot/snapshot-file.js';
import { renderDiff } from '../diff/render.js';
import { askControl } from '../replica/control-server.js';
import { JSON_VERSION } from '../replica/result.js';
import { printJson, withJson } from './common.js';

interface DiffArguments {
  readonly a: string;
  readonly b: string;
  readonly json: boolean;
}

export const diffCommand: CommandModule<object, DiffArguments> = {
  command: 'diff <a> <b>',
  describe: 'registers, RAM bytes and device fields that differ',
  builder: (argv) =>
    withJson(argv)
      .positional('a', { type: 'string', demandOption: true, describe: 'a snapshot or a control socket' })
      .positional('b', { type: 'string', demandOption: true, describe: 'a snapshot or a control socket' })
      .example('$0 diff one.ftsnap two.ftsnap', 'exit status 0 when they are equal, 3 when not'),
  handler: async (args) => {
    const scratch = mkdtempSync(join(tmpdir(), 'ft86-diff-'));
    try {
      const [pathA, pathB] = await Promise.all([
        snapshotOf(args.a, join(scratch, 'a')),
        snapshotOf(args.b, join(scratch, 'b')),
      ]);
      using a = readSnapshot(pathA);
      using b = readSnapshot(pathB);
      const diff = diffSnapshots(a, b);
      if (args.json) printJson({ version: JSON_VERSION, ...diff });
      else process.stdout.write(`${renderDiff(diff)}\n`);
      process.exitCode = diff.identical ? 0 : 3;
    } finally {
      rmSync(scratch, { recursive: true, force: true });
    }
  },
};

/** A control socket is asked for a snapshot; a file is one. */
async function snapshotOf(source: string, scratch: string): Promise<string> {
  if (statSync(source, { throwIfNoEntry: false })?.isSocket() !== true) return source;
  await askControl(source, { command: 'snapshot', path: scratch });
  return scratch;
}
