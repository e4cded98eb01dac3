/**
 * Goal: a backup joins a running replica; a transfer that breaks off at any frame leaves the live one untouched; and
 * whatever happens around the last frame, at most one replica is live.
 * Method: real sessions and sockets in this process, with a relay that kills the channel at each frame boundary.
 */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Message } from '../../../hypervisor/channel/messages.js';
import { Rig, until, type BackupRig, type LiveRig } from './rig.js';

let rig: Rig;
beforeEach(() => {
  rig = new Rig();
});
afterEach(async () => {
  await rig.close();
});

/** The two run on together: digests of the log are equal, and outputs leave. */
async function follows(live: LiveRig, backup: BackupRig): Promise<void> {
  const from = live.machine.icount;
  await until(() => (backup.session.replica?.comparedIcount ?? 0) > from, 'a digest was compared');
  const released = live.console.released;
  await until(() => live.console.released > released, 'an output was acknowledged');
  expect(live.session.state).toBe('paired');
}

async function runsOn(live: LiveRig): Promise<void> {
  const { icount } = live.machine;
  const { released } = live.console;
  await until(() => live.machine.icount > icount + 100_000, 'the guest runs on');
  await until(() => live.console.released > released, 'its outputs leave');
}

/** The messages of a whole join, in the order in which they pass, up to the last one of the state. */
async function messagesOfJoin(): Promise<string[]> {
  const own = new Rig();
  const live = await own.live();
  await runsOn(live);
  const names: string[] = [];
  const address = await own.relay(live.address, (message, from) => {
    names.push(`${from} ${message.type}`);
    return null;
  });
  const backup = await own.backup(address);
  await follows(live, backup);
  await own.close();
  await backup.ended;
  return names.slice(0, names.indexOf('live state') + 1);
}

describe('joining', () => {
  test('a running replica costs it a short stop, and its transfer is measured', async () => {
    const live = await rig.live();
    await runsOn(live);
    const backup = await rig.backup(live.address);
    await follows(live, backup);
    const { transfer } = live.session;
    expect(transfer?.rounds).toBeGreaterThanOrEqual(2);
    expect(transfer?.bytes).toBeGreaterThan(4096);
    expect(transfer?.bytes).toBeLessThan(live.machine.vcpu.ram.bytes);
    expect(transfer?.totalMs).toBeGreaterThanOrEqual(transfer?.pauseMs ?? Infinity);
    expect(live.events.map(({ kind }) => kind)).toEqual(expect.arrayContaining(['transfer', 'backup-joined']));
    live.session.input({ kind: 'control', control: { op: 'stop', reason: 'stopped', exitCode: 0 } });
    expect(await live.ended).toBe('stopped');
    expect(await backup.ended).toBe('finished');
    expect(backup.session.replica?.comparedDigest).toBe(live.session.live.end?.digest);
  });

  test('carries pages that became zero and console bytes that had not left', async () => {
    const live = await rig.live();
    await runsOn(live);
    // Written before the first round, zero again before the second; nothing of the guest touches it.
    const page = 0x3f0000;
    live.machine.vcpu.ram.write(page, new Uint8Array(4096).fill(7));
    const address = await rig.relay(live.address, (message, from) => {
      if (from === 'backup' && message.type === 'stored') live.machine.vcpu.ram.write(page, new Uint8Array(4096));
      return null;
    });
    const backup = await rig.backup(address);
    await follows(live, backup);
    expect(backup.session.machine?.vcpu.ram.readU32(page)).toBe(0);
  });

  test('is refused while another backup is in or joins, and that is the end of it', async () => {
    const live = await rig.live();
    const first = await rig.backup(live.address);
    const second = await rig.backup(live.address);
    const refused = await second.ended;
    expect(refused).toBeInstanceOf(Error);
    expect((refused as Error).message).toMatch('there is a backup already');
    await follows(live, first);
  });

  test('breaks off when the run ends first', async () => {
    const live = await rig.live();
    const address = await rig.relay(live.address, (message) => {
      if (message.type === 'welcome') {
        live.session.input({ kind: 'control', control: { op: 'stop', reason: 'stopped', exitCode: 0 } });
      }
      // The transfer waits for this word.
      return message.type === 'stored' ? 'before' : null;
    });
    const backup = await rig.backup(address);
    expect(await live.ended).toBe('stopped');
    expect(await backup.ended).toBeInstanceOf(Error);
    expect(rig.arbiter.asked).toEqual([]);
  });
});

describe('a channel that dies in a transfer', () => {
  test('at any frame before the last leaves the live replica as it was, and the next backup joins', async () => {
    const names = await messagesOfJoin();
    expect(names.filter((name) => name === 'live pages').length).toBeGreaterThan(1);
    const live = await rig.live();
    const boundaries = names.length - 1;
    for (let boundary = 0; boundary < boundaries; boundary++) {
      let seen = 0;
      let state = false;
      const address = await rig.relay(live.address, (message) => {
        state ||= message.type === 'state';
        return state || seen++ === boundary ? (state ? 'before' : 'after') : null;
      });
      const backup = await rig.backup(address, { dial: () => Promise.resolve('gone') });
      const end = await backup.ended;
      // It never held the whole state, so it asks for nothing.
      expect(end).toBeInstanceOf(Error);
      expect(rig.arbiter.asked.filter((id) => id.startsWith('backup'))).toEqual([]);
      await until(() => live.session.state === 'alone', 'the live replica is alone again');
      await runsOn(live);
    }
    const last = await rig.backup(live.address);
    await follows(live, last);
  });

  test('right after its last frame leaves exactly one live replica, and nothing left before the test-and-set', async () => {
    for (const where of ['before', 'after'] as const) {
      const own = new Rig();
      try {
        const live = await own.live();
        await runsOn(live);
        let handedOver = Infinity;
        const address = await own.relay(live.address, (message: Message, from) => {
          if (from !== 'live' || message.type !== 'state') return null;
          handedOver = live.console.states.length;
          return where;
        });
        const backup = await own.backup(address);
        const contenders: Promise<unknown>[] = [backup.ended];
        if (where === 'before') contenders.push(until(() => live.session.epoch === 2, 'the live replica won'));
        await Promise.race([...contenders, live.ended]);
        expect(handedOver).toBeLessThan(Infinity);
        await until(
          () => own.arbiter.winners.size === 1,
          `somebody won (${where}, ${live.session.state}, ${backup.session.state})`,
        );
        const winner = own.arbiter.winners.get(2);
        if (winner?.startsWith('live') === true) {
          await until(() => live.session.state === 'alone', 'it is alone');
          await runsOn(live);
          expect(await backup.ended).toBeInstanceOf(Error);
        } else {
          expect(await backup.ended).toBe('live');
          expect(await live.ended).toMatch('another replica went live in epoch 2');
          // What it had in hand when the state left stays unsaid: the other one says it.
          const { offset } = backup.session.replica!.takeConsole();
          expect(offset).toBeLessThanOrEqual(live.console.released);
        }
        // Without the acknowledgement of the last frame nothing leaves before the grant.
        expect(live.console.states.slice(handedOver).filter((state) => state !== 'alone')).toEqual([]);
        if (where === 'before') expect(winner).toMatch(/^live/);
      } finally {
        await own.close();
      }
    }
  });

  test('a backup whose channel closes is given up at once, not after the time-out', async () => {
    const live = await rig.live({ detectMs: 10_000 });
    await rig.backup(
      await rig.relay(live.address, (message, from) => {
        return from === 'backup' && message.type === 'ack' && live.session.live.gate.released > 0 ? 'after' : null;
      }),
    );
    await until(() => live.events.some(({ kind }) => kind === 'backup-lost'), 'the backup is given up', 5000);
    await until(() => live.session.state === 'alone', 'the test-and-set is won', 1000);
    await runsOn(live);
  });

  test('a backup that takes the state and never answers is silent, not joined', async () => {
    const live = await rig.live();
    const address = await rig.relay(live.address, () => null);
    // Acknowledgements vanish; everything else of the backup arrives.
    const deaf = await rig.relay(address, (message) => (message.type === 'ack' ? 'before' : null));
    await rig.backup(deaf);
    await until(() => rig.arbiter.winners.size === 1, 'somebody won');
  });
});
