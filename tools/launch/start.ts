/**
 * The first thing that `ft86` does: what can go on meanwhile is started before the command line itself is read.
 *
 *   ft86 -> start.cjs: a pair's first replicas -> cli.cjs, with its code -> the command
 */
import { join } from 'node:path';
import type * as cli from '../cli.js';
import { startEarly } from '../pair/early-replicas.js';
import { runBundle } from './run-bundle.js';

/** @param root the project's folder */
export function start(root: string): void {
  const [, program = '', ...words] = process.argv;
  const early = startEarly(program, words);
  const { main } = runBundle(join(root, 'build/js/tools/cli.cjs')) as typeof cli;
  main(early);
}
