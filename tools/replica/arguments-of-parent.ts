/** Edge: the command line of a replica that was started before its parent knew it (pair/early-replicas.ts). */
import { UsageError } from '../usage-error.js';

/** In place of a command's arguments: the parent will name them. */
export const ARGUMENTS_OF_PARENT = '--arguments-of-parent';

export interface EarlyArguments {
  readonly type: 'arguments';
  readonly args: readonly string[];
}

/** What came right behind the arguments: Node drops a message that nobody listens for. */
const behind: unknown[] = [];

const keep = (message: unknown): void => {
  behind.push(message);
};

/** What the parent has said since it named the arguments; the caller listens from now on. */
export function takeMessagesBehind(): readonly unknown[] {
  process.off('message', keep);
  return behind.splice(0);
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
      process.on('message', keep);
      // A command that fails before it listens itself ends.
      process.channel?.unref();
      resolve((message as EarlyArguments).args);
    });
  });
}
