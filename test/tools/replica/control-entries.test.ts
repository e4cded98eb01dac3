/** Goal: operations of the monitors are entries of the log: both replicas stop, stand still and leave snapshots at the
 *  same instruction, and one that joins or goes live later knows what was set.
 *  Method: real sessions and sockets in this process; inputs as the control socket gives them. */
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { parseSetting } from '../../../hypervisor/ft/settings.js';
import type { Input } from '../../../hypervisor/ft/input.js';
import { Rig, until } from './rig.js';

let rig: Rig;
beforeEach(() => {
  rig = new Rig();
});
afterEach(async () => {
  await rig.close();
});

function setting(text: string): Input {
  return { kind: 'control', control: parseSetting(text) };
}

const STOP: Input = { kind: 'control', control: { op: 'stop', reason: 'stopped', exitCode: 0 } };

test('stop ends both together, with equal digests', async () => {
  const live = await rig.live();
  const backup = await rig.backup(live.address);
  await until(() => (backup.session.replica?.comparedIcount ?? 0) > 0, 'a digest was compared');
  live.session.input(STOP);
  expect(await live.ended).toBe('stopped');
  expect(await backup.ended).toBe('finished');
  const { machine, end, comparedDigest } = backup.session.replica!;
  expect(end).toMatchObject({ reason: 'stopped', exitCode: 0 });
  expect(machine.icount).toBe(live.machine.icount);
  expect(comparedDigest).toBe(live.session.live.end?.digest);
});

test('a paused guest stands still on both, at one instruction, and goes on', async () => {
  const live = await rig.live();
  const backup = await rig.backup(live.address);
  await until(() => live.console.released > 20, 'the guest runs');
  live.session.input(setting('paused=on'));
  await until(() => backup.session.replica?.settings.paused === true, 'the backup knows');
  const { icount } = live.machine;
  expect(backup.session.machine?.icount).toBe(icount);
  const guestNs = live.machine.nowNs();
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(live.machine.icount).toBe(icount);
  expect(live.machine.nowNs()).toBe(guestNs);
  expect(live.session.state).toBe('paired');
  live.session.input(setting('paused=off'));
  await until(() => (backup.session.replica?.comparedIcount ?? 0) > icount, 'both run on and are compared');
  expect(backup.session.replica?.settings.paused).toBe(false);
});

test('a backup that joins a paused guest knows it, and keeps to it when it goes live', async () => {
  const live = await rig.live();
  live.session.input(setting('paused=on'));
  live.session.input(setting('digest-ms=20'));
  const backup = await rig.backup(live.address);
  await until(() => backup.session.replica?.settings.paused === true, 'the backup knows');
  live.session.close();
  expect(await backup.ended).toBe('live');
  const { settings, machine } = backup.session.replica!;
  expect([settings.paused, settings.digestNs]).toEqual([true, 20e6]);
  const next = await rig.live({ machine, settings, consoleOffset: 1_000_000, firstSeq: 1_000_000 });
  const { icount } = machine;
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(machine.icount).toBe(icount);
  next.session.input(setting('paused=off'));
  await until(() => machine.icount > icount, 'it goes on');
});

test('a backup that goes live from a checkpoint keeps to what was set before it', async () => {
  const live = await rig.live({ checkpointMs: 15 });
  const backup = await rig.backup(live.address);
  await until(() => (live.session.checkpoints?.count ?? 0) > 2, 'some checkpoints');
  live.session.input(setting('digest-ms=20'));
  live.session.input(setting('paused=on'));
  await until(() => backup.session.replica?.settings.paused === true, 'a checkpoint has it');
  expect(backup.session.replica?.settings.digestNs).toBe(20e6);
  expect(backup.session.machine?.icount).toBe(live.machine.icount);
});

test('a paused guest can be stopped', async () => {
  const live = await rig.live();
  const backup = await rig.backup(live.address);
  live.session.input(setting('paused=on'));
  await until(() => backup.session.replica?.settings.paused === true, 'the backup knows');
  live.session.input(STOP);
  expect(await live.ended).toBe('stopped');
  expect(await backup.ended).toBe('finished');
});

test('a snapshot is taken by both at the same instruction', async () => {
  const taken: [string, string, number][] = [];
  const live = await rig.live({ onSnapshot: (name) => taken.push(['live', name, live.machine.icount]) });
  const backup = await rig.backup(live.address, {
    onSnapshot: (name) => taken.push(['backup', name, backup.session.machine?.icount ?? 0]),
  });
  await until(() => (backup.session.replica?.executedSeq ?? 0) > 0, 'the backup follows');
  live.session.input({ kind: 'control', control: { op: 'checkpoint', name: 'one' } });
  await until(() => taken.length === 2, 'both took it');
  const at = taken[0]?.[2];
  expect(taken).toEqual([
    ['live', 'one', at],
    ['backup', 'one', at],
  ]);
});
