/** `ft86 bandwidth LOG|RESULT|RUN`: what replication costs: a log by kind of entry, or the ways side by side. */
import { closeSync, openSync, readFileSync, readSync, statSync } from 'node:fs';
import type { CommandModule } from 'yargs';
import { LogAccount, type BandwidthRecord } from '../../hypervisor/log/account.js';
import { LogFileReader } from '../../hypervisor/log/log-file.js';
import { costRows, costTable, decodeCosts } from '../pair/cost-table.js';
import { bandwidthTable } from '../pair/narrate.js';
import { askControl } from '../replica/control-server.js';
import { JSON_VERSION } from '../replica/result.js';
import { printJson, withJson } from './common.js';
import { liveSocket } from './control.js';

interface BandwidthArguments {
  readonly log: string;
  readonly tolerant: boolean;
  readonly json: boolean;
}

export const bandwidthCommand: CommandModule<object, BandwidthArguments> = {
  command: 'bandwidth <log>',
  describe: 'log bytes by kind, per 1,000 instructions, per interrupt, per second',
  builder: (argv) =>
    withJson(
      argv.positional('log', {
        type: 'string',
        demandOption: true,
        describe: 'a log file, the JSON result of a pair, a control socket or a run’s name',
      }),
    )
      .option('tolerant', { type: 'boolean', default: false, describe: 'accept a log whose recording was cut off' })
      .example('$0 bandwidth run.ftlog', 'a recorded log')
      .example('$0 bandwidth demo --json', 'the running pair called demo')
      .example(
        '$0 pair kv --replication checkpoint --json >r.json; $0 bandwidth r.json',
        'log, checkpoints and the clients’ requests of one run, side by side',
      ),
  handler: async (args) => {
    if (isResult(args.log)) {
      const rows = costRows(decodeCosts(readFileSync(args.log, 'utf8')));
      if (args.json) printJson({ version: JSON_VERSION, ways: rows });
      else process.stdout.write(`${costTable(rows)}\n`);
      return;
    }
    const record = isFile(args.log) ? measure(args.log, args.tolerant) : await ask(args.log);
    if (args.json) printJson({ version: JSON_VERSION, ...record });
    else {
      const rate =
        record.seconds > 0
          ? `\n${(record.bitsPerSecond / 1000).toFixed(1)} kbit/s over ${record.seconds.toFixed(1)} s`
          : '';
      process.stdout.write(`${bandwidthTable({ icount: record.icount, log: record })}${rate}\n`);
    }
  },
};

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}

/** A JSON object, by its first byte; a log begins with its magic. */
function isResult(path: string): boolean {
  if (!isFile(path)) return false;
  const file = openSync(path, 'r');
  try {
    const first = Buffer.alloc(1);
    return readSync(file, first, 0, 1, 0) === 1 && first.toString() === '{';
  } finally {
    closeSync(file);
  }
}

async function ask(replica: string): Promise<BandwidthRecord> {
  const { ok: _ok, ...record } = await askControl(await liveSocket(replica), { command: 'bandwidth' });
  return record as unknown as BandwidthRecord;
}

/** A file does not say how long its run took: seconds are guest time as the clock entries imply is not host time, so 0. */
function measure(path: string, tolerant: boolean): BandwidthRecord {
  const reader = new LogFileReader(path, { tolerant });
  try {
    const account = new LogAccount();
    let icount = reader.header.firstIcount;
    for (const frame of reader.frames()) {
      account.addFrame(frame);
      icount = frame.entries.at(-1)?.at ?? icount;
    }
    return account.bandwidth(icount - reader.header.firstIcount, 0);
  } finally {
    reader.close();
  }
}
