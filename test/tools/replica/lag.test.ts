/** Goal: a backup reports what it has executed as it happens: a live replica that rests waits for it; it acknowledges at once what
 *  somebody waits for, and the rest with its reports.
 *  Method: a follower of a log written by hand, whose last frame has long arrived when its entries are reached. */
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { BackupReplica } from '../../../hypervisor/ft/backup-replica.js';
import { LogAccount } from '../../../hypervisor/log/account.js';
import type { Entry } from '../../../hypervisor/log/entry.js';
import { FrameWriter } from '../../../hypervisor/log/frame.js';
import { ExecutionLag } from '../../../tools/replica/execution-lag.js';
import { Follower, reportMs } from '../../../tools/replica/follower.js';
import { Rig, until } from './rig.js';

const ENTRIES = 20;
/** More than 10 ms of work, on any host. */
const INSTRUCTIONS_APART = 15_000_000;

let rig: Rig;
beforeEach(() => {
  rig = new Rig();
});
afterEach(async () => {
  await rig.close();
});

/** Follow a log of marks so far apart, in one frame; the entries up to which execution was reported. */
async function reports(instructionsApart: number, enough: (reported: ReadonlySet<number>) => boolean) {
  const { machine, session } = await rig.live();
  session.close();
  const start = machine.icount;
  const writer = new FrameWriter({ firstSeq: 0, at: start, account: new LogAccount() });
  for (let i = 1; i <= ENTRIES; i++) writer.append({ kind: 'mark', at: start + i * instructionsApart });
  const replica = new BackupReplica({ machine, firstSeq: 0, console: { offset: 0, bytes: new Uint8Array(0) } });
  const reported = new Set<number>();
  const ignore = (): void => undefined;
  const follower = new Follower(
    replica,
    new ExecutionLag(),
    { lagMs: 100, detectMs: 1000 },
    {
      progressed: () => reported.add(replica.executedSeq),
      starved: ignore,
      ended: ignore,
      failed: (error) => {
        throw error;
      },
    },
  );
  expect(follower.receive(writer.flush() as Uint8Array)).toBe(false);
  await until(() => replica.executedSeq === ENTRIES - 1 && enough(reported), 'all of it is executed and reported');
  follower.stop();
  return reported;
}

test('each entry executed is reported although no frame comes any more', async () => {
  const reported = await reports(INSTRUCTIONS_APART, () => true);
  expect(reported.size).toBeGreaterThan(ENTRIES / 2);
});

test('what is executed right after its acknowledgement is reported a moment later', async () => {
  const reported = await reports(1, (seen) => seen.has(ENTRIES - 1));
  expect(reported.size).toBeLessThan(ENTRIES);
});

test('only what something outside waits for is acknowledged at once', async () => {
  const { machine, session } = await rig.live();
  session.close();
  const at = machine.icount;
  const replica = new BackupReplica({ machine, firstSeq: 0, console: { offset: 0, bytes: new Uint8Array(0) } });
  const writer = new FrameWriter({ firstSeq: 0, at, account: new LogAccount() });
  const receive = (...entries: readonly Entry[]): boolean => {
    for (const entry of entries) writer.append(entry);
    return replica.receive(writer.flush() as Uint8Array);
  };
  const mark: Entry = { kind: 'mark', at };
  expect(receive(mark, { kind: 'interrupt', at, vector: 32 })).toBe(false);
  expect(receive(mark, { kind: 'output', at, channel: 'packet', bytes: 60, crc: 0 }, mark)).toBe(true);
  expect(receive({ kind: 'packet', at, nic: 0, data: new Uint8Array(60) })).toBe(false);
  expect(receive({ kind: 'control', at, control: { op: 'checkpoint', name: 'x' } })).toBe(true);
});

test('reports come well before a lag or a silence that has consequences', () => {
  expect(reportMs({ lagMs: 200, detectMs: 500 })).toBe(20);
  expect(reportMs({ lagMs: 50, detectMs: 500 })).toBe(5);
  expect(reportMs({ lagMs: 200, detectMs: 50 })).toBe(6.25);
});
