/** What the rounds of a soak test add up to. */
import * as z from 'zod';

/** The part of a pair's JSON result that counts here. */
export const roundSchema = z.object({
  identical: z.boolean().nullable(),
  error: z.string().nullable(),
  losses: z.array(z.object({ role: z.string() })),
  replicas: z.array(
    z.object({ takeover: z.object({ totalMs: z.number() }).nullable(), residentBytes: z.number().nullable() }),
  ),
  client: z.object({
    operations: z.number(),
    acked: z.number(),
    lost: z.number(),
    duplicated: z.number(),
    completed: z.boolean(),
    gapMs: z.number(),
    findings: z.array(z.string()),
  }),
});
export type RoundResult = z.infer<typeof roundSchema>;

export interface SoakTotals {
  readonly rounds: number;
  readonly kills: number;
  readonly takeovers: number;
  readonly operations: number;
  readonly acked: number;
  readonly lost: number;
  readonly duplicated: number;
  /** Longest silence that a client saw, one a round. */
  readonly gapMsP50: number;
  readonly gapMsP99: number;
  /** From a primary's last sign of life to the open outputs of the next. */
  readonly takeoverMsP50: number;
  readonly takeoverMsP99: number;
  readonly residentBytesMax: number;
  /** What should not have happened, one line each, with the round's number. */
  readonly failures: readonly string[];
}

/** Sum up. @param failures of rounds without a result */
export function totalsOf(
  rounds: readonly { readonly index: number; readonly result: RoundResult }[],
  failures: readonly string[],
): SoakTotals {
  const results = rounds.map(({ result }) => result);
  const sum = (value: (result: RoundResult) => number): number => results.reduce((total, r) => total + value(r), 0);
  const gaps = results.map(({ client }) => client.gapMs);
  const takeovers = results.flatMap(({ replicas }) => replicas.flatMap(({ takeover }) => takeover?.totalMs ?? []));
  return {
    rounds: rounds.length,
    kills: sum(({ losses }) => losses.length),
    takeovers: takeovers.length,
    operations: sum(({ client }) => client.operations),
    acked: sum(({ client }) => client.acked),
    lost: sum(({ client }) => client.lost),
    duplicated: sum(({ client }) => client.duplicated),
    gapMsP50: percentile(gaps, 0.5),
    gapMsP99: percentile(gaps, 0.99),
    takeoverMsP50: percentile(takeovers, 0.5),
    takeoverMsP99: percentile(takeovers, 0.99),
    residentBytesMax: Math.max(0, ...results.flatMap(({ replicas }) => replicas.map((r) => r.residentBytes ?? 0))),
    failures: [
      ...failures,
      ...rounds.flatMap(({ index, result }) => faults(result).map((f) => `round ${index}: ${f}`)),
    ],
  };
}

function faults({ client, identical, error }: RoundResult): string[] {
  const { lost, duplicated, completed, acked, operations, findings } = client;
  return [
    ...(lost > 0 || duplicated > 0 ? [`${lost} lost, ${duplicated} duplicated: ${findings.join('; ')}`] : []),
    ...(completed ? [] : [`the clients gave up: ${acked} of ${operations} operations acknowledged`]),
    ...(identical === false ? [`the replicas differ: ${error ?? 'see diff'}`] : []),
  ];
}

/** Nearest rank; 0 for no values. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return Math.round((sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0) * 10) / 10;
}
