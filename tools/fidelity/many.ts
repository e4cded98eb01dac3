/** Program after program until enough instructions are compared, the differences sorted by what explains them. */
import type { Difference } from './compare.js';
import { explain } from './explain.js';
import { runProgram, type ProgramRun } from './run.js';

/** Sequences of a program: some fifteen instructions each. */
const SEQUENCES_MAX = 6000;
const INSTRUCTIONS_A_SEQUENCE = 10;

export interface Summary {
  readonly seed: number;
  /** Instructions after which both states were equal. */
  readonly compared: number;
  readonly sequences: number;
  readonly onlyUndefined: number;
  readonly programs: number;
  /** Differences by the id of what explains them. */
  readonly known: Readonly<Record<string, number>>;
  /** Seen only beside other sequences, one of which had written into the trace: a wild store of ring 0 or real mode. */
  readonly disturbed: number;
  readonly unknown: readonly Difference[];
}

/** Compare at least `count` instructions. The same seed and count give the same summary. */
export async function compareMany(
  seed: number,
  count: number,
  onProgress: (compared: number) => void,
): Promise<Summary> {
  const known: Record<string, number> = {};
  const unknown: Difference[] = [];
  let [compared, sequences, onlyUndefined, programs, disturbed] = [0, 0, 0, 0, 0];
  while (compared < count) {
    const wanted = Math.ceil((count - compared) / INSTRUCTIONS_A_SEQUENCE);
    const run = await runProgram(seed, programs++, Math.min(SEQUENCES_MAX, Math.max(100, wanted)));
    compared += run.compared;
    sequences += run.sequences;
    onlyUndefined += run.onlyUndefined;
    for (const difference of run.differences) {
      const seenFully = explain(difference) !== undefined && !onlyMemory(difference);
      const alone = seenFully ? difference : await again(difference, run.program.sequences.length);
      const id = alone === null ? null : explain(alone)?.id;
      if (alone === null) disturbed++;
      else if (id === undefined) unknown.push({ ...alone, sequenceIndex: difference.sequenceIndex });
      else known[id!] = (known[id!] ?? 0) + 1;
    }
    // One went on where the other ended: the sequence alone shows whether that is its doing.
    if (run.endedIn !== null && run.finished.ours !== run.finished.reference) {
      const alone = await runProgram(seed, run.program.index, run.program.sequences.length, run.endedIn);
      const cause = endedAlone(alone, run.endedIn);
      const id = explain(cause)?.id;
      if (alone.finished.ours === alone.finished.reference) disturbed++;
      else if (id === undefined) unknown.push(cause);
      else known[id] = (known[id] ?? 0) + 1;
    }
    onProgress(compared);
  }
  return { seed, compared, sequences, onlyUndefined, programs, known, disturbed, unknown };
}

/** Whether only the digest of the memory differs: at the sequence's end, so that any instruction may have done it. */
function onlyMemory({ fields }: Difference): boolean {
  return fields.every(({ name }) => name === 'memory');
}

/** The difference of its sequence run alone, null when there is none. A digest after each instruction tells which one wrote. */
async function again(difference: Difference, sequences: number): Promise<Difference | null> {
  const { program, sequenceIndex } = difference;
  const alone = async (watching: boolean): Promise<Difference | null> => {
    const { differences } = await runProgram(program.seed, program.index, sequences, sequenceIndex, watching);
    return differences[0] ?? null;
  };
  const seen = onlyMemory(difference) ? difference : await alone(false);
  return seen !== null && onlyMemory(seen) ? alone(true) : seen;
}

/** The difference of a sequence that ends one emulator and not the other: what comes before the end, where both have a record. */
function endedAlone({ program, finished, differences }: ProgramRun, sequenceIndex: number): Difference {
  const parted = differences[0];
  if (parted?.fields.every(({ name, ours, reference }) => name !== 'eip' || (ours !== '-' && reference !== '-')))
    return { ...parted, sequenceIndex };
  const fields = [{ name: 'finished', ours: String(finished.ours), reference: String(finished.reference) }];
  const sequence = program.sequences[0]!;
  const { placed, first, before } = parted ?? { placed: undefined, first: undefined, before: undefined };
  const after = undefined;
  return { program, sequenceIndex, sequence, placed, first, before, after, vector: -1, fields, limited: false };
}
