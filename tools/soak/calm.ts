/** The quiet part of a soak test: a pair whose guest takes all of two cores, and nothing dies. Whoever is given up was a false alarm. */
import * as z from 'zod';
import type { Replication } from '../replica/replication.js';

/** The guest computes without a pause, and a timer interrupts it. */
const GUEST = ['timer', '--append', 'hz=1000 ticks=0'] as const;

/** The part of a pair's JSON result that counts here. */
export const calmSchema = z.object({
  identical: z.boolean().nullable(),
  error: z.string().nullable(),
  icount: z.number(),
  losses: z.array(z.object({ replica: z.string(), role: z.string() })),
  takeover: z.object({ reason: z.string() }).nullable(),
  backup: z.object({ lagMsP99: z.number().nullable() }),
  outputs: z.object({ heldMsP99: z.number() }),
  replicas: z.array(z.object({ residentBytes: z.number().nullable() })),
});
export type CalmResult = z.infer<typeof calmSchema>;

export interface CalmTotals {
  readonly seconds: number;
  readonly detectMs: number;
  readonly instructions: number;
  readonly falseAlarms: number;
  readonly lagMsP99: number | null;
  readonly heldMsP99: number;
  readonly residentBytesMax: number;
  readonly failures: readonly string[];
}

/** The arguments of `ft86 pair`, which runs until it is interrupted. */
export function calmRun(detectMs: number, replication: Replication): string[] {
  const mode = replication === 'log' ? [] : ['--replication', replication];
  return [...GUEST, '--detect-ms', String(detectMs), '--replace', ...mode, '--json'];
}

export function totalsOfCalm(result: CalmResult, seconds: number, detectMs: number): CalmTotals {
  const { losses, takeover, identical } = result;
  return {
    seconds: Math.round(seconds),
    detectMs,
    instructions: result.icount,
    falseAlarms: losses.length,
    lagMsP99: result.backup.lagMsP99,
    heldMsP99: result.outputs.heldMsP99,
    residentBytesMax: Math.max(0, ...result.replicas.map(({ residentBytes }) => residentBytes ?? 0)),
    failures: [
      ...losses.map(({ replica, role }) => `${replica}, then ${role}, was given up although it lived`),
      ...(takeover === null ? [] : [`a take-over without a death: ${takeover.reason}`]),
      ...(identical === true ? [] : [`the replicas were not found identical: ${result.error ?? 'not compared'}`]),
    ],
  };
}
