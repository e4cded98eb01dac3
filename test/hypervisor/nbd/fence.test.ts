/**
 * Goal: when a replica hears that it has won, nothing of its predecessor runs and nothing will.
 * Method: tickets by hand; then random attachments, wins and requests against the rule itself.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Fence, type Ticket } from '../../../hypervisor/nbd/fence.js';

function ticket(replicaId: string, slot = 0, pair = 'demo'): Ticket & { voided: number } {
  const made = { pair, replicaId, slot, voided: 0, onVoid: () => made.voided++ };
  return made;
}

async function settled(promise: Promise<void>): Promise<boolean> {
  let done = false;
  void promise.then(() => (done = true));
  for (let i = 0; i < 5; i++) await Promise.resolve();
  return done;
}

describe('the fence', () => {
  test('a winner waits for the requests of its predecessor and stops further ones', async () => {
    const fence = new Fence();
    const old = ticket('a');
    await fence.attach(old);
    expect([fence.enter(old), fence.enter(old)]).toEqual([true, true]);
    const won = fence.won('demo', 'b');
    expect(old.voided).toBe(1);
    expect(fence.enter(old)).toBe(false);
    fence.leave(old);
    expect(await settled(won)).toBe(false);
    fence.leave(old);
    expect(await settled(won)).toBe(true);
    expect(fence.enter(old)).toBe(false);
  });

  test('a replica’s new connection for a drive ends the older one and no other', async () => {
    const fence = new Fence();
    const [first, other, second] = [ticket('a', 0), ticket('a', 1), ticket('a', 0)];
    for (const one of [first, other, second]) await fence.attach(one);
    expect([first, other, second].map((one) => fence.enter(one))).toEqual([false, true, true]);
  });

  test('a connection that broke is waited for until its requests have ended', async () => {
    const fence = new Fence();
    const broken = ticket('a');
    await fence.attach(broken);
    fence.enter(broken);
    fence.detach(broken);
    const again = fence.attach(ticket('a'));
    expect(await settled(again)).toBe(false);
    fence.leave(broken);
    expect(await settled(again)).toBe(true);
  });

  test('pairs do not see each other, and winning again voids nothing of one’s own', async () => {
    const fence = new Fence();
    const [ours, theirs] = [ticket('a'), ticket('a', 0, 'other')];
    await fence.attach(ours);
    await fence.attach(theirs);
    await fence.won('demo', 'a');
    await fence.won('demo', 'b');
    expect([fence.enter(ours), fence.enter(theirs)]).toEqual([false, true]);
  });

  test('whatever happens, only the newest winner’s requests begin', async () => {
    const step = fc.record({
      who: fc.constantFrom('a', 'b', 'c'),
      slot: fc.nat(1),
      act: fc.constantFrom('win', 'ask'),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const fence = new Fence();
        const tickets: Ticket[] = [];
        let live = '';
        for (const { who, slot, act } of steps) {
          if (act === 'win') {
            await fence.won('demo', who);
            const made = ticket(who, slot);
            await fence.attach(made);
            tickets.push(made);
            live = who;
          }
          for (const one of tickets) {
            if (!fence.enter(one)) continue;
            expect(one.replicaId).toBe(live);
            fence.leave(one);
          }
        }
      }),
    );
  });
});
