/** One program on both emulators, compared. */
import { compareTraces, lastSequence, type Comparison } from './compare.js';
import { loadOurs, runOurs } from './ours.js';
import { makeProgram, traceEnd, type Program } from './program.js';
import { runQemu } from './qemu.js';

/** Most take a second or two. */
const QEMU_MS = 30_000;

export interface ProgramRun extends Comparison {
  readonly program: Program;
  /** Which came to the program's end; a sequence may end both, by a triple fault. Compared is what came before. */
  readonly finished: { readonly ours: boolean; readonly reference: boolean };
  /** The sequence in which the first of them ended, when one did not finish. */
  readonly endedIn: number | null;
}

/** Run program `index` of the run with this seed, or one of its sequences alone, which may be `watching` memory. */
export async function runProgram(
  seed: number,
  index: number,
  sequenceCount: number,
  only?: number,
  watching = false,
): Promise<ProgramRun> {
  const which = { seed, index, sequenceCount, ...(only === undefined ? {} : { only }) };
  const program = makeProgram({ ...which, traced: true, stepping: false, watching });
  const running = runQemu(program, QEMU_MS);
  const vcpu = loadOurs(program);
  try {
    const { finished } = runOurs(vcpu);
    const ours = Buffer.from(vcpu.ram.view.subarray(0, traceEnd(program)));
    const reference = await running;
    const whole = finished && reference.finished;
    const endedIn = whole ? null : Math.min(lastSequence(program, ours), lastSequence(program, reference.ram));
    return {
      program,
      finished: { ours: finished, reference: reference.finished },
      endedIn,
      // Alone, the sequence is compared up to where the first of them ended.
      ...compareTraces(program, ours, reference.ram, only === undefined ? (endedIn ?? Infinity) : Infinity),
    };
  } finally {
    vcpu.dispose();
  }
}
