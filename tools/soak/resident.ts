/**
 * Resident memory of replicas over time, and whether it stays flat.
 *
 *   |  warm-up  | early |          | late |      early and late: the second and the last quarter of the time
 *
 * Flat: the median of the last quarter is at most GROWTH_BYTES_MAX above that of the second. The first is warm-up: the guest's
 * pages are touched, the engine translates, the runtime's heap finds its size.
 * Source: proc(5), /proc/PID/statm: the second number is resident pages.
 */
import { readFileSync } from 'node:fs';

export const GROWTH_BYTES_MAX = 16 << 20;
const SAMPLE_MS = 500;
const PAGE_BYTES = 4096;
const SAMPLES_MIN = 8;

/** Growth from the second quarter of the samples to the last; null: too few to say. */
export function residentGrowth(samples: readonly number[]): number | null {
  if (samples.length < SAMPLES_MIN) return null;
  const quarter = Math.floor(samples.length / 4);
  return median(samples.slice(-quarter)) - median(samples.slice(quarter, 2 * quarter));
}

export interface ResidentTotals {
  readonly residentSamples: number;
  readonly primaryGrowthBytes: number | null;
  readonly backupGrowthBytes: number | null;
}

/** Watches the two replicas of a pair from when it says which processes they are. */
export class ResidentWatch {
  readonly #samples: Record<'primary' | 'backup', number[]> = { primary: [], backup: [] };
  #timer: NodeJS.Timeout | null = null;

  /** What the pair says on stderr. */
  heard(text: string): void {
    const match = /primary is process ([0-9]+), backup is process ([0-9]+)/.exec(text);
    if (match === null || this.#timer !== null) return;
    this.#timer = setInterval(() => {
      this.#sample('primary', match[1] ?? '');
      this.#sample('backup', match[2] ?? '');
    }, SAMPLE_MS);
  }

  end(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
  }

  get totals(): ResidentTotals {
    const { primary, backup } = this.#samples;
    return {
      residentSamples: Math.min(primary.length, backup.length),
      primaryGrowthBytes: residentGrowth(primary),
      backupGrowthBytes: residentGrowth(backup),
    };
  }

  #sample(replica: 'primary' | 'backup', pid: string): void {
    try {
      const pages = Number(readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ')[1]);
      // A process that has just ended has none.
      if (pages > 0) this.#samples[replica].push(pages * PAGE_BYTES);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ENOENT' && code !== 'ESRCH') throw error;
    }
  }
}

/** What is wrong with it, one line each. */
export function residentFaults({ primaryGrowthBytes, backupGrowthBytes }: ResidentTotals): string[] {
  return Object.entries({ primary: primaryGrowthBytes, backup: backupGrowthBytes }).flatMap(([who, growth]) => {
    if (growth === null) return [`the memory of the ${who} was not measured`];
    return growth <= GROWTH_BYTES_MAX ? [] : [`the ${who} grew by ${(growth / 2 ** 20).toFixed(1)} MiB`];
  });
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;
}
