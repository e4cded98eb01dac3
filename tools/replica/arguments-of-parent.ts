/** Edge: the command line of a replica that was started before its parent knew it (pair/early-replicas.ts). */
import { UsageError } from '../usage-error.js';

/** In place of a command's arguments: the parent will name them. */
export const ARGUMENTS_OF_PARENT = '--arguments-of-parent';

export interface EarlyArguments {
  readonly type: 'arguments';
  readonly args: readonly string[];
}

/** The command line: `words`, or what the parent names. @throws UsageError when there is no parent */
export function commandLine(words: readonly string[]): Promise<readonly string[]> {
  if (words[1] !== ARGUMENTS_OF_PARENT) return Promise.resolve(words);
  if (process.send === undefined) throw new UsageError(`${ARGUMENTS_OF_PARENT} is for the replicas that a pair starts`);
  return new Promise((resolve) => {
    const gone = (): void => {
      process.exit(4);
    };
    if (!process.connected) gone();
    process.once('disconnect', gone);
    process.once('message', (message) => {
      process.off('disconnect', gone);
      resolve((message as EarlyArguments).args);
    });
  });
}
