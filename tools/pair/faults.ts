/** Carries out the kills of a run at their times. */
import { hostMs } from '../replica/host-time.js';
import type { Fleet } from './fleet.js';
import type { Kill } from './kill.js';

export interface Faults {
  /** Resolves when all of them have been carried out. */
  readonly done: Promise<void>;
  cancel(): void;
}

/**
 * Carry out the kills at a time, counted from now. With `patient` each waits until the pair is whole again: a second
 * loss before that would end the service, and no backup can help it.
 */
export function injectFaults(kills: readonly Kill[], fleet: Pick<Fleet, 'kill' | 'whole'>, patient: boolean): Faults {
  const startMs = hostMs();
  const timed = kills.filter(({ unit }) => unit === 'ms').sort((a, b) => a.value - b.value);
  let timer: NodeJS.Timeout | undefined;
  let cancelled = false;
  const run = async (): Promise<void> => {
    for (const { victim, value } of timed) {
      await new Promise<void>((resolve) => {
        timer = setTimeout(resolve, startMs + value - hostMs());
      });
      if (patient) await fleet.whole();
      if (cancelled) return;
      fleet.kill(victim);
    }
  };
  return {
    done: run(),
    cancel: () => {
      cancelled = true;
      clearTimeout(timer);
    },
  };
}
