/** Shows a pair's result as a few lines and a table. */
import Table from 'cli-table3';
import colors from 'picocolors';
import type { KindTotals } from '../../hypervisor/log/account.js';
import { costRows, costTable } from './cost-table.js';
import { ms } from './describe-event.js';
import type { PairResult } from './summary.js';

/** The whole result for a person. */
export function renderPairResult(result: PairResult): string {
  return [verdict(result), speeds(result), client(result), bandwidthTable(result), costs(result)]
    .filter((part) => part !== '')
    .join('\n');
}

/** The three ways side by side where the run knows more than one of them. */
function costs(result: PairResult): string {
  return result.checkpoints === null ? '' : costTable(costRows(result));
}

function verdict(result: PairResult): string {
  const how = result.stop === 'debug-exit' ? `debug-exit with code ${result.exitCode}` : String(result.stop);
  const end = `the guest ended: ${how} at icount ${result.icount}`;
  if (result.identical === null)
    return `${end}\n${colors.yellow('not compared: a replica died before the first comparison')}`;
  if (!result.identical) {
    const { registers, pages, devices } = result.diff;
    const what =
      result.error ?? `${registers.length} registers, ${pages.length} pages, ${devices.length} device fields differ`;
    return `${end}\n${colors.red(`DIFFERENT: ${what}`)}`;
  }
  const digest = result.primary.survived && result.backup.survived ? ` (digest ${result.digest ?? ''})` : '';
  return `${end}\n${colors.green(`identical at icount ${result.comparedIcount ?? 0}`)}${digest}`;
}

function speeds(result: PairResult): string {
  const lines = result.replicas.map(({ name, mips, icount, survived }) => {
    return `${name}: ${icount} instructions, ${mips.toFixed(0)} MIPS${survived ? '' : ', lost'}`;
  });
  const { lagMsP50, lagMsP99 } = result.backup;
  if (lagMsP50 !== null) lines.push(`backup's lag: median ${ms(lagMsP50)}, 99 % below ${ms(lagMsP99 ?? 0)}`);
  const { released, heldMsP50, heldMsP99 } = result.outputs;
  lines.push(`outputs: ${released} released, held for ${ms(heldMsP50)} (median), 99 % below ${ms(heldMsP99)}`);
  for (const { path, identical } of result.copies) {
    if (identical === true) lines.push(colors.green(`${path}: both copies are identical`));
    else lines.push(identical === null ? `${path}: one copy was left` : colors.red(`${path}: the copies DIFFER`));
  }
  const { checkpoints, takeover } = result;
  if (checkpoints !== null) {
    const { count, pages, pauseMsP50, pauseMsP99 } = checkpoints;
    const pauses = `the guest stood still for ${ms(pauseMsP50)} (median), 99 % below ${ms(pauseMsP99)}`;
    lines.push(`checkpoints: ${count} of ${(pages / Math.max(1, count)).toFixed(1)} pages; ${pauses}`);
  }
  if (takeover !== null) {
    const parts = `detection ${ms(takeover.detectMs)}, drain ${ms(takeover.drainMs)}, arbitration ${ms(takeover.arbiterMs)}`;
    lines.push(`take-over: ${ms(takeover.totalMs)} in all: ${parts}`);
  }
  return lines.join('\n');
}

function client(result: PairResult): string {
  return result.client === null ? '' : describeLoad(result.client);
}

/** What clients saw, in two lines. */
export function describeLoad(load: NonNullable<PairResult['client']>): string {
  const fine = load.lost === 0 && load.duplicated === 0;
  const history = `${load.acked} of ${load.operations} operations acknowledged, ${load.lost} lost, ${load.duplicated} duplicated`;
  const times = `longest silence ${ms(load.gapMs)}, ${load.retransmissions} retransmissions, median round trip ${ms(load.p50Ms)}`;
  return `client: ${fine ? colors.green(history) : colors.red(history)}\n        ${times}`;
}

/** The log's bytes by kind. */
export function bandwidthTable(result: { readonly icount: number; readonly log: PairResult['log'] }): string {
  const table = new Table({ head: ['log entry', 'entries', 'bytes', 'bytes each'], style: { head: [], border: [] } });
  for (const [kind, { entries, bytes }] of Object.entries<KindTotals>(result.log.byKind)) {
    if (entries > 0) table.push([kind, entries, bytes, (bytes / entries).toFixed(2)]);
  }
  table.push(['all', result.log.entries, result.log.bytes, '']);
  const rates = `${result.log.bytesPerKiloInstruction.toFixed(4)} bytes per 1,000 instructions, ${result.log.bytesPerInterrupt.toFixed(2)} bytes per interrupt`;
  return `${table.toString()}\n${rates}`;
}
