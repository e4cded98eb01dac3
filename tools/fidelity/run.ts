/** One program on both emulators, compared. */
import { compareTraces, type Comparison } from './compare.js';
import { LAYOUT } from './layout.js';
import { loadOurs, runOurs } from './ours.js';
import { makeProgram, type Program } from './program.js';
import { runQemu } from './qemu.js';

/** Most take a second or two. */
const QEMU_MS = 30_000;

export interface ProgramRun extends Comparison {
  readonly program: Program;
  /** Which came to the program's end; a sequence may end both, by a triple fault. Compared is what came before. */
  readonly finished: { readonly ours: boolean; readonly reference: boolean };
}

/** Run program `index` of the run with this seed, or one of its sequences alone. */
export async function runProgram(
  seed: number,
  index: number,
  sequenceCount: number,
  only?: number,
): Promise<ProgramRun> {
  const which = { seed, index, sequenceCount, ...(only === undefined ? {} : { only }) };
  const program = makeProgram({ ...which, traced: true, stepping: false, watching: false });
  const running = runQemu(program, QEMU_MS);
  const vcpu = loadOurs(program);
  try {
    const { finished } = runOurs(vcpu);
    const ours = Buffer.from(vcpu.ram.view.subarray(0, LAYOUT.RAM_BYTES));
    const reference = await running;
    return {
      program,
      finished: { ours: finished, reference: reference.finished },
      ...compareTraces(program, ours, reference.ram),
    };
  } finally {
    vcpu.dispose();
  }
}
