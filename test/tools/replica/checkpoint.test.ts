/**
 * Goal: with checkpoints instead of a log, an output leaves only when a checkpoint behind it is acknowledged, a
 * checkpoint is taken over whole or not at all, and the replicas end in one state.
 * Method: real sessions and sockets in this process, with a relay that watches the channel and cuts it.
 */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Message } from '../../../hypervisor/channel/messages.js';
import { Rig, until } from './rig.js';

const CHECKPOINT_MS = 15;
const STOP = { kind: 'control', control: { op: 'stop', reason: 'stopped', exitCode: 0 } } as const;

let rig: Rig;
beforeEach(() => {
  rig = new Rig();
});
afterEach(async () => {
  await rig.close();
});

/** End of the console stream as a state has it. */
function consoleEnd({ consoleOffset, console }: Extract<Message, { type: 'state' }>): number {
  return consoleOffset + console.length;
}

describe('checkpoints', () => {
  test('let an output leave only after the acknowledgement of one that comes behind it', async () => {
    let joined = false;
    let safe = 0;
    const early: number[] = [];
    const console = {
      released: 0,
      write: (offset: number, bytes: Uint8Array): void => {
        console.released = offset + bytes.length;
        if (joined && console.released > safe) early.push(console.released);
      },
      close: () => Promise.resolve(),
    };
    const live = await rig.live({ checkpointMs: CHECKPOINT_MS, console });
    const sent = new Map<number, number>();
    const address = await rig.relay(live.address, (message) => {
      if (message.type === 'state') {
        sent.set(message.firstSeq - 1, consoleEnd(message));
        if (!joined) safe = Math.max(consoleEnd(message), console.released);
        joined = true;
      }
      if (message.type === 'ack') safe = Math.max(safe, sent.get(message.receivedSeq) ?? 0);
      return null;
    });
    await rig.backup(address);
    await until(() => sent.size > 20, 'twenty checkpoints');
    await until(() => console.released > 0, 'an output left');
    expect(early).toEqual([]);
    expect(live.session.checkpoints?.count).toBeGreaterThanOrEqual(20);
    expect(live.session.held.percentile(0.5)).toBeGreaterThan(0);
  });

  test('end both replicas in one state, which is compared', async () => {
    const live = await rig.live({ checkpointMs: CHECKPOINT_MS });
    const backup = await rig.backup(live.address);
    await until(() => (live.session.checkpoints?.count ?? 0) > 3, 'some checkpoints');
    live.session.input(STOP);
    expect(await live.ended).toBe('stopped');
    expect(await backup.ended).toBe('finished');
    expect(backup.session.machine?.icount).toBe(live.machine.icount);
    expect(backup.session.replica?.comparedDigest).toBe(live.machine.digest());
    expect(backup.session.machine?.digest()).toBe(live.machine.digest());
  });

  test('that were cut off are forgotten whole: the backup goes live from the one before', async () => {
    const live = await rig.live({ checkpointMs: CHECKPOINT_MS });
    let states = 0;
    let before: { icount: number; digest: string } | null = null;
    const address = await rig.relay(live.address, (message) => {
      if (message.type !== 'state' || ++states < 4) return null;
      // Its pages have arrived, the rest never does.
      const machine = backup.session.machine!;
      before = { icount: machine.icount, digest: machine.digest() };
      // Both contend; let this one win.
      rig.arbiter.winners.set(2, 'the-backup');
      return 'before';
    });
    const backup = await rig.backup(address, {
      replicaId: 'the-backup',
      dial: () => Promise.resolve('gone'),
    });
    expect(await backup.ended).toBe('live');
    const machine = backup.session.machine!;
    expect({ icount: machine.icount, digest: machine.digest() }).toEqual(before);
    expect(machine.icount).toBeLessThan(live.machine.icount);
    expect(await live.ended).toMatch(/powers off/);
  });
});
