/** Goal: a live replica whose backup does not keep up stands still before log and outputs under way grow without bound,
 *  goes on when the backup does or is lost, and a backup refuses more than it may hold.
 *  Method: real sessions and sockets in this process; a relay keeps the backup's acknowledgements. */
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { LiveSessionOptions } from '../../../tools/replica/live-session-options.js';
import { BACKUP_HELD_BYTES_MAX, ENTRY_BYTES } from '../../../hypervisor/ft/flow-control.js';
import { BackupReplica } from '../../../hypervisor/ft/backup-replica.js';
import { FrameWriter } from '../../../hypervisor/log/frame.js';
import { LogAccount } from '../../../hypervisor/log/account.js';
import { Rig, until, type BackupRig, type LiveRig } from './rig.js';

const WINDOW_BYTES = 8000;
const STOP = { kind: 'control', control: { op: 'stop', reason: 'stopped', exitCode: 0 } } as const;

let rig: Rig;
let held: boolean;
beforeEach(() => {
  rig = new Rig();
  held = false;
});
afterEach(async () => {
  await rig.close();
});

/** A pair whose backup's words do not arrive while `held`. */
async function pair(options: Partial<LiveSessionOptions>): Promise<{ live: LiveRig; backup: BackupRig }> {
  const live = await rig.live({ logWindowBytes: WINDOW_BYTES, detectMs: 20_000, ...options });
  const address = await rig.relay(live.address, (_, from) => (from === 'backup' && held ? 'hold' : null));
  const backup = await rig.backup(address);
  await until(() => live.session.state === 'paired', 'it joins');
  return { live, backup };
}

/** Resolves when the guest stands still with everything under way that may be. */
async function standsStill({ session, machine }: LiveRig): Promise<void> {
  await until(() => session.underWay.full, 'the guest stands still');
  await new Promise((resolve) => setTimeout(resolve, 30));
  const { icount } = machine;
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(machine.icount).toBe(icount);
  expect(session.underWay.full).toBe(true);
  expect(session.underWay.bytes).toBeLessThan(3 * WINDOW_BYTES);
  expect(session.state).toBe('paired');
}

for (const checkpointMs of [null, 15]) {
  test(`a full live replica stands still and goes on, ${checkpointMs === null ? 'log' : 'checkpoints'}`, async () => {
    const { live, backup } = await pair({ checkpointMs });
    held = true;
    await standsStill(live);
    const { icount } = live.machine;
    held = false;
    await until(() => live.machine.icount > icount, 'the guest goes on');
    live.session.input(STOP);
    expect(await live.ended).toBe('stopped');
    expect(await backup.ended).toBe('finished');
    expect(backup.session.replica?.comparedDigest).toBe(live.session.live.end?.digest);
  });
}

test('it goes on alone when the backup is lost', async () => {
  const { live, backup } = await pair({ detectMs: 1500 });
  held = true;
  await standsStill(live);
  const { icount } = live.machine;
  await until(() => live.session.state === 'alone', 'it is alone');
  await until(() => live.machine.icount > icount, 'the guest goes on');
  expect(live.session.underWay).toEqual({ bytes: 0, full: false });
  expect(await backup.ended).toBeInstanceOf(Error);
});

test('a guest that stands still takes no packets, and is stopped when the backup is back', async () => {
  const { live, backup } = await pair({});
  held = true;
  await standsStill(live);
  const { icount } = live.machine;
  live.session.input({ kind: 'packet', nic: 7, data: Uint8Array.of(1) });
  live.session.input(STOP);
  held = false;
  expect(await live.ended).toBe('stopped');
  expect(await backup.ended).toBe('finished');
  expect(live.machine.icount).toBe(icount);
});

test('a backup refuses more than it may hold', async () => {
  const { machine, session } = await rig.live();
  session.close();
  const replica = new BackupReplica({ machine, firstSeq: 0, console: { offset: 0, bytes: new Uint8Array(0) } });
  const writer = new FrameWriter({ firstSeq: 0, at: machine.icount, account: new LogAccount() });
  const frameOf = (entries: number): Uint8Array => {
    for (let i = 0; i < entries; i++) writer.append({ kind: 'mark', at: machine.icount });
    return writer.flush() as Uint8Array;
  };
  const entriesMax = BACKUP_HELD_BYTES_MAX / ENTRY_BYTES;
  expect(() => {
    for (let entries = 0; entries <= entriesMax; entries += 16_384) replica.receive(frameOf(16_384));
  }).toThrow(/bytes to be executed/);
  // Executed entries make room.
  while (replica.step(1000) !== 'starved') expect(replica.executedSeq).toBeGreaterThan(0);
});
