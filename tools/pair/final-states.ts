/**
 * The final states of a pair's replicas, whose digests are compared first. Only where two differ are the snapshots wanted.
 *
 *   final from all that are left -> equal, or one only: none is saved -> reports
 *                                -> else: each is saved              -> reports -> compareFinal (summary.ts)
 */
import type { Child } from './child.js';

/** One replica, and what it has said of its end. */
export interface FinalMember {
  readonly child: Pick<Child, 'alive' | 'send'>;
  readonly report: unknown;
  final: FinalState | null;
}

/** What the replica's state was when its run was over. */
export interface FinalState {
  readonly icount: number;
  /** Of all that a comparison of snapshots looks at. */
  readonly digest: string;
}

/** Answer those who wait, once all who are alive have said how they ended. */
export function answerFinals(members: readonly FinalMember[]): void {
  const left = members.filter(({ child, report }) => child.alive && report === null);
  if (left.length === 0 || left.some(({ final }) => final === null)) return;
  const finals = members.flatMap(({ final }) => final ?? []);
  const save = finals.some((final) => !sameFinal(final, finals[0]!));
  for (const { child } of left) child.send({ type: 'final', save });
}

export function sameFinal(a: FinalState, b: FinalState): boolean {
  return a.icount === b.icount && a.digest === b.digest;
}
