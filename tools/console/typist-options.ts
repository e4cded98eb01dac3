/** The options that say who types on the guest's console. */
import type { Argv } from 'yargs';
import { DEFAULT_PROMPT, ScriptTypist } from './script-typist.js';
import { StdinTypist } from './stdin-typist.js';
import type { Typist } from './typist.js';

export interface TypistArguments {
  readonly script: string | undefined;
  readonly prompt: string;
}

export function withTypistOptions<T>(argv: Argv<T>): Argv<T> {
  return argv
    .option('script', { type: 'string', describe: 'type this file’s lines at the guest’s prompts, then end the run' })
    .option('prompt', { type: 'string', default: DEFAULT_PROMPT, describe: 'how the guest’s prompt ends' });
}

/** A script, or else stdin where the console is on stdio. @throws ConfigError */
export function openTypist(args: TypistArguments, serial: string): Typist | null {
  if (args.script !== undefined) return new ScriptTypist(args.script, args.prompt);
  return serial === 'stdio' ? new StdinTypist() : null;
}
