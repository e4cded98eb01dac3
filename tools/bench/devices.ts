/**
 * Benchmarks of network and disk: what replication costs there, as a share of one machine's speed.
 *
 *   bench-net, sends / receives   payload of UDP a second, datagrams of 1472 bytes, 224 under way
 *   echo                          round trips a second and their median, 16 clients with one request each
 *   bench-disk                    reads a second of 4 KiB from a file that nobody writes, 8 in flight; with their data in the log as well
 *
 * All of them warm: the compilers of all processes have seen enough before the time counts.
 */
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runLoad } from '../load/load-run.js';
import { parseLoad } from '../load/load-spec.js';
import {
  installed,
  runFt86,
  runQemu,
  shippedForQemu,
  withScratch,
  type Configuration,
  type Figures,
} from './measure.js';
import { NetClient } from './net-client.js';
import { withServedGuest, type Mode } from './served-guest.js';

const NET_PORT = 5001;
const ECHO_PORT = 7;
const GREET_MS = 60_000;
const NET_TIMES = { quick: { warmUpMs: 200, ms: 500 }, full: { warmUpMs: 1000, ms: 5000 } };
const ECHO_CLIENTS = 16;
const ECHO_OPERATIONS = { quick: 500, full: 30_000 };
const ECHO_WARM_UP = { quick: 50, full: 30_000 };
const READS = { quick: 1000, full: 300_000 };
const READS_WARM_UP = { quick: 100, full: 100_000 };
const DISK_BYTES = 16 << 20;
const MODES: readonly Mode[] = ['boot', 'pair'];

export function deviceConfigurations(size: 'quick' | 'full'): Configuration[] {
  return [...networkConfigurations(size), ...diskConfigurations(size)];
}

function networkConfigurations(size: 'quick' | 'full'): Configuration[] {
  const times = NET_TIMES[size];
  const throughput = (mode: Mode, measure: (client: NetClient) => Promise<number>): Promise<Figures> =>
    withServedGuest(mode, 'bench-net', NET_PORT, async (target) => {
      const client = new NetClient(target);
      try {
        await client.greet(GREET_MS);
        return { megabits: ((await measure(client)) * 8) / 1e6 };
      } finally {
        client.close();
      }
    });
  const rows = MODES.flatMap((mode) => [
    { mode, what: 'bench-net, sends', measure: () => throughput(mode, (client) => client.receive(times)) },
    { mode, what: 'bench-net, receives', measure: () => throughput(mode, (client) => client.send(times)) },
    { mode, what: 'echo', measure: () => echo(mode, size) },
  ]);
  return rows.map(({ mode, what, measure }) => ({ name: `${mode} ${what}`, base: `boot ${what}`, measure }));
}

function echo(mode: Mode, size: 'quick' | 'full'): Promise<Figures> {
  return withServedGuest(mode, 'echo', ECHO_PORT, async (target) => {
    const load = (ops: number) => runLoad(parseLoad(`echo:ops=${ops},clients=${ECHO_CLIENTS}`), target, {});
    await load(ECHO_WARM_UP[size]);
    const { opsPerSecond, p50Ms } = await load(ECHO_OPERATIONS[size]);
    return { operations: opsPerSecond, p50Ms };
  });
}

function diskConfigurations(size: 'quick' | 'full'): Configuration[] {
  const reads = READS[size];
  const base = 'boot bench-disk';
  /** Start, checks and warm-up are taken off by reading fewer once. */
  const rate = (measure: (n: number, disk: string) => number): Figures =>
    withScratch((scratch) => {
      const disk = join(scratch, 'disk.img');
      writeFileSync(disk, randomBytes(DISK_BYTES));
      const few = READS_WARM_UP[size];
      const startup = measure(few, disk);
      return { operations: (reads - few) / (measure(reads, disk) - startup) };
    });
  const ours = (mode: Mode, options: string) => (n: number, disk: string) => {
    const drive = ['--drive', `file=${disk},readonly=on${options}`];
    const result = runFt86([mode, 'bench-disk', '--append', `n=${n}`, ...drive, '--serial', 'none']);
    return ((result['primary'] ?? result) as { seconds: number }).seconds;
  };
  const rows = [
    { name: base, base, measure: () => rate(ours('boot', '')) },
    { name: 'pair bench-disk', base, measure: () => rate(ours('pair', '')) },
    { name: 'pair bench-disk, data in the log', base, measure: () => rate(ours('pair', ',backup-reads=off')) },
  ];
  if (!installed('qemu-system-i386')) return rows;
  const qemu = (n: number, disk: string): number => {
    const drive = ['-drive', `file=${disk},if=none,format=raw,id=d`, '-device', 'virtio-blk-pci,drive=d'];
    return runQemu(shippedForQemu('bench-disk', `n=${n}`, drive), []).seconds ?? NaN;
  };
  return [...rows, { name: 'qemu tcg bench-disk', base, measure: () => rate(qemu) }];
}
