/** What a person can do with a divergence: where it began at the earliest, what to compare, how to narrow it down. */
import type { DivergenceError } from '../../emulator/errors.js';
import { divergedSnapshot } from './take-snapshot.js';

/** @param comparedIcount the last icount at which both replicas were equal, null when there was none */
export function explainDivergence(error: DivergenceError, comparedIcount: number | null, runDirectory: string): string {
  const [primary, backup] = (['primary', 'backup'] as const).map((role) => divergedSnapshot(runDirectory, role));
  const since = comparedIcount === null ? 'the backup joined' : `icount ${comparedIcount}, where both were equal`;
  return [
    error.message,
    `the replicas parted after ${since}, and not after icount ${error.at}`,
    `what differs: ft86 diff ${primary ?? ''} ${backup ?? ''} (the primary's, where it was found, is of a later icount)`,
    'where it began: the same run with --digest-ms 10 narrows that down',
  ].join('\n  ');
}
