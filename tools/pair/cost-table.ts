/**
 * What it takes to keep a second copy of a run, by three ways, for one and the same run: the requests that the
 * application got (replication at the application's level would send these), the log, and checkpoints.
 */
import Table from 'cli-table3';
import * as z from 'zod';
import { DecodeError } from '../../emulator/errors.js';

/** The part of a pair's JSON result that this needs. */
const costsSchema = z.object({
  icount: z.number(),
  primary: z.object({ seconds: z.number() }),
  log: z.object({ wireBytes: z.number() }),
  checkpoints: z.object({ count: z.number(), bytes: z.number(), pages: z.number() }).nullable(),
  client: z.object({ requestBytes: z.number() }).nullable(),
});

type Costs = z.infer<typeof costsSchema>;

export interface CostRow {
  readonly way: 'requests' | 'log' | 'checkpoints';
  readonly bytes: number;
  readonly bitsPerSecond: number;
  readonly bytesPerKiloInstruction: number;
}

/** @throws DecodeError when `text` is not the JSON result of a pair */
export function decodeCosts(text: string): Costs {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new DecodeError('bad-json', 0, `not the JSON result of a pair: ${(cause as Error).message}`);
  }
  const result = costsSchema.safeParse(value);
  if (!result.success) throw new DecodeError('bad-json', 0, `not a pair’s result: ${z.prettifyError(result.error)}`);
  return result.data;
}

/** One row for each way of which the run knows the bytes. */
export function costRows({ icount, primary, log, checkpoints, client }: Costs): CostRow[] {
  const ways = [
    { way: 'requests' as const, bytes: client?.requestBytes },
    { way: 'log' as const, bytes: log.wireBytes },
    { way: 'checkpoints' as const, bytes: checkpoints?.bytes },
  ];
  return ways.flatMap(({ way, bytes }) => {
    if (bytes === undefined) return [];
    const bitsPerSecond = primary.seconds > 0 ? (bytes * 8) / primary.seconds : 0;
    return [{ way, bytes, bitsPerSecond, bytesPerKiloInstruction: icount > 0 ? (bytes * 1000) / icount : 0 }];
  });
}

const NAMES = {
  requests: 'the clients’ requests (application level)',
  log: 'log',
  checkpoints: 'checkpoints',
} as const;

export function costTable(rows: readonly CostRow[]): string {
  const table = new Table({
    head: ['replication by', 'bytes', 'kbit/s', 'bytes per 1,000 instructions'],
    style: { head: [], border: [] },
  });
  for (const { way, bytes, bitsPerSecond, bytesPerKiloInstruction } of rows) {
    table.push([NAMES[way], bytes, (bitsPerSecond / 1000).toFixed(1), bytesPerKiloInstruction.toFixed(4)]);
  }
  return table.toString();
}
