/**
 * Goal: only a new heartbeat of the other side of this very join and epoch is a sign of life.
 * Method: both states with every kind of datagram; random histories of delivery against a model.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { encodeHeartbeat, type HeartbeatKeys } from '../../../hypervisor/channel/heartbeat.js';
import { HeartbeatSession } from '../../../hypervisor/ft/heartbeat-session.js';

const keys: HeartbeatKeys = { session: new Uint8Array(8).fill(1), secret: new Uint8Array(32).fill(2) };
const NOTHING = { sent: 0, received: 0, malformed: 0, foreign: 0, stale: 0 };

function backup(): HeartbeatSession {
  return new HeartbeatSession({ keys, sender: 'backup', epoch: 3 });
}
function live(own = keys, epoch = 3): HeartbeatSession {
  return new HeartbeatSession({ keys: own, sender: 'live', epoch });
}
/** The other side's n-th heartbeat. */
function beat(counter: number): Uint8Array {
  return encodeHeartbeat({ sender: 'live', epoch: 3, counter }, keys);
}

const DATAGRAMS: readonly [string, Uint8Array, boolean, keyof typeof NOTHING][] = [
  ['the other side’s next', beat(8), true, 'received'],
  ['the other side’s, after some were lost', beat(1000), true, 'received'],
  ['the other side’s once more', beat(7), false, 'stale'],
  ['the other side’s, overtaken', beat(6), false, 'stale'],
  ['our own that comes back', encodeHeartbeat({ sender: 'backup', epoch: 3, counter: 9 }, keys), false, 'foreign'],
  ['one of an older epoch', live(keys, 2).next()!, false, 'foreign'],
  ['one of a newer epoch', live(keys, 4).next()!, false, 'foreign'],
  ['one of another join', live({ ...keys, session: new Uint8Array(8) }).next()!, false, 'foreign'],
  ['one with a guessed secret', live({ ...keys, secret: new Uint8Array(32) }).next()!, false, 'foreign'],
  ['nothing', new Uint8Array(0), false, 'malformed'],
  ['something else', Buffer.from('GET / HTTP/1.1\r\n\r\n'), false, 'malformed'],
];

describe('of a join there is', () => {
  test.each(DATAGRAMS)('%s', (_, datagram, life, count) => {
    const session = backup();
    expect(session.receive(beat(7))).toBe(true);
    expect(session.receive(datagram)).toBe(life);
    expect(session.counts).toEqual({ ...NOTHING, received: 1, [count]: count === 'received' ? 2 : 1 });
  });

  test('each datagram sent is new to the other side', () => {
    const [ours, theirs] = [backup(), live()];
    for (let i = 1; i <= 5; i++) expect(theirs.receive(ours.next()!)).toBe(true);
    expect([ours.counts.sent, theirs.counts.received]).toEqual([5, 5]);
  });
});

describe('of a long join', () => {
  test('each that arrives is a sign of life, wherever others were lost; none is one twice', () => {
    const [ours, theirs] = [backup(), live()];
    const received: Uint8Array[] = [];
    for (let i = 1; i <= 300; i++) {
      const datagram = ours.next()!;
      expect(datagram).toEqual(encodeHeartbeat({ sender: 'backup', epoch: 3, counter: i }, keys));
      if (i % 7 === 0 || (i > 90 && i < 150)) continue;
      expect(theirs.receive(datagram)).toBe(true);
      received.push(datagram);
    }
    for (const datagram of received) expect(theirs.receive(datagram)).toBe(false);
    expect(theirs.counts).toEqual({ ...NOTHING, received: received.length, stale: received.length });
  });

  test('one that is expected, but for one bit, is none', () => {
    const [ours, theirs] = [backup(), live()];
    expect(theirs.receive(ours.next()!)).toBe(true);
    for (let bit = 0; bit < 8 * 48; bit++) {
      const forged = Uint8Array.from(encodeHeartbeat({ sender: 'backup', epoch: 3, counter: 2 }, keys));
      forged[bit >> 3]! ^= 1 << (bit & 7);
      expect(theirs.receive(forged)).toBe(false);
    }
    expect(theirs.receive(ours.next()!)).toBe(true);
  });
});

describe('of a join that is over', () => {
  test.each(DATAGRAMS)('%s: counts no more', (_, datagram) => {
    const session = backup();
    session.receive(beat(7));
    session.end();
    expect(session.receive(datagram)).toBe(false);
    expect(session.counts).toEqual({ ...NOTHING, received: 1 });
  });

  test('nothing is sent any more, and ending twice is ending', () => {
    const session = backup();
    expect(session.ended).toBe(false);
    session.end();
    session.end();
    expect([session.ended, session.next(), session.counts.sent]).toEqual([true, null, 0]);
  });
});

test('whatever is repeated, lost or overtaken: as many signs of life as a model says', () => {
  const deliveries = fc.array(fc.integer({ min: 1, max: 20 }), { maxLength: 60 });
  fc.assert(
    fc.property(deliveries, (counters) => {
      const session = backup();
      let newest = 0;
      for (const counter of counters) {
        expect(session.receive(beat(counter))).toBe(counter > newest);
        newest = Math.max(newest, counter);
      }
      expect(session.counts.received + session.counts.stale).toBe(counters.length);
    }),
  );
});
