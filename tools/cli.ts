/** The `ft86` command: what can go on meanwhile is started before the command line itself is loaded. */
import { startEarly } from './pair/early-replicas.js';

const [, program = '', ...words] = process.argv;
startEarly(program, words);
void import('./command-line.js').then(async ({ runCommandLine }) => runCommandLine());
