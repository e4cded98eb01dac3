/**
 * The processes of a pair's first replicas, started before this one has read what it needs itself: all three read their
 * programs at the same time. Each is told its command line when it is known.
 *
 *   ft86 pair WORDS -+- ft86 primary --arguments-of-parent pair WORDS <- arguments
 *                    +- ft86 backup --arguments-of-parent pair WORDS  <- arguments
 *
 * Invariant: a process that is never needed keeps nothing alive and ends with this one.
 */
import type { ChildProcess } from 'node:child_process';
import { ARGUMENTS_OF_PARENT, type EarlyArguments } from '../replica/arguments-of-parent.js';
import { spawnChild } from '../spawn-child.js';

/** Those that wait for their command line, by role. */
export type EarlyReplicas = ReadonlyMap<string, ChildProcess>;

let waiting = new Map<string, ChildProcess>();

/** Start both when our own command line, `PROGRAM WORDS`, will need them. */
export function startEarly(program: string, words: readonly string[]): EarlyReplicas {
  if (words[0] !== 'pair' || words.includes('--help')) return new Map();
  const started = ['primary', 'backup'].map((role) => {
    // Our words are for those who look at processes: whose replica it is.
    const replica = spawnChild(program, [role, ARGUMENTS_OF_PARENT, ...words]);
    replica.unref();
    replica.channel?.unref();
    return [role, replica] as const;
  });
  return new Map(started);
}

/** Have those that the launcher has started, which has this module in a bundle of its own. */
export function adoptEarly(early: EarlyReplicas): void {
  waiting = new Map(early);
}

/** The process that waits to become `ft86 ARGS`, told so; null: there is none. */
export function takeEarly(args: readonly string[]): ChildProcess | null {
  const [role = ''] = args;
  const replica = waiting.get(role);
  waiting.delete(role);
  if (replica?.connected !== true) return null;
  replica.ref();
  replica.channel?.ref();
  const message: EarlyArguments = { type: 'arguments', args };
  replica.send(message, () => undefined);
  return replica;
}
