/**
 * Goal: a silent peer is suspected after the timeout and not before; any frame is a sign of life, but not for
 * acknowledgements that are owed. While nobody looked, nobody could be heard.
 * Method: times on both sides of the timeout; random histories against a model with all events kept; random stops.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { FailureDetector } from '../../../hypervisor/ft/failure-detector.js';

const TIMEOUT_MS = 500;

function detector(nowMs = 1000): FailureDetector {
  return new FailureDetector({ timeoutMs: TIMEOUT_MS }, nowMs);
}

/** Look again and again, every 100 ms. Whether the last look suspects. */
function looks(peer: FailureDetector, fromMs: number, toMs: number): boolean {
  for (let now = fromMs; now < toMs; now += 100) peer.suspects(now);
  return peer.suspects(toMs);
}

describe('silence', () => {
  test('counts from the start, and is suspect only above the timeout', () => {
    const peer = detector(1000);
    expect(peer.suspects(1000)).toBe(false);
    expect(looks(peer, 1000, 1500)).toBe(false);
    expect(peer.suspects(1500.001)).toBe(true);
    expect(peer.silentMs(1700)).toBe(700);
  });

  test('starts again with any frame, even for a peer suspected before', () => {
    const peer = detector();
    expect(looks(peer, 1000, 2000)).toBe(true);
    peer.heard(2000);
    expect(looks(peer, 2000, 2500)).toBe(false);
    expect(peer.suspects(2501)).toBe(true);
  });
});

describe('a process that was stopped itself', () => {
  test('waits for half of the timeout at least before it suspects', () => {
    const peer = detector(1000);
    peer.expectsAck(1000);
    expect(peer.suspects(61_000)).toBe(false);
    expect(looks(peer, 61_000, 61_250)).toBe(false);
    expect(peer.suspects(61_251)).toBe(true);
  });

  test('suspects nobody who answers when both go on', () => {
    const stop = fc.record({
      beforeMs: fc.integer({ min: 0, max: TIMEOUT_MS / 4 }),
      stoppedMs: fc.integer({ min: 0, max: 100_000 }),
      afterMs: fc.integer({ min: 0, max: TIMEOUT_MS / 4 }),
      owed: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(stop, { minLength: 1, maxLength: 20 }), (stops) => {
        const peer = detector(0);
        let now = 0;
        for (const { beforeMs, stoppedMs, afterMs, owed } of stops) {
          if (owed) peer.expectsAck(now);
          expect(peer.suspects((now += beforeMs))).toBe(false);
          expect(peer.suspects((now += stoppedMs))).toBe(false);
          expect(peer.suspects((now += afterMs))).toBe(false);
          peer.acknowledged(now, false);
        }
      }),
    );
  });

  test('is not taken for one that heard something later than now', () => {
    const peer = detector(0);
    peer.heard(9_990);
    expect(peer.suspects(10_000)).toBe(false);
    expect(peer.silentMs(10_000)).toBe(0);
    expect(looks(peer, 10_000, 10_500)).toBe(false);
    expect(peer.suspects(10_501)).toBe(true);
  });
});

describe('an acknowledgement that is owed', () => {
  test('makes a peer suspect that sends heartbeats and nothing else', () => {
    const peer = detector(0);
    peer.expectsAck(100);
    for (let now = 100; now <= 600; now += 50) {
      peer.heard(now);
      expect(peer.suspects(now)).toBe(false);
    }
    peer.heard(601);
    expect(peer.suspects(601)).toBe(true);
    expect(peer.silentMs(601)).toBe(501);
  });

  test('is counted from the first entry that is not acknowledged, whatever is sent after it', () => {
    const peer = detector(0);
    for (let now = 0; now <= 501; now += 3) {
      peer.expectsAck(now);
      expect(peer.suspects(now)).toBe(now > 500);
    }
    peer.heard(501);
    expect(peer.suspects(501)).toBe(true);
  });

  test('is settled by an acknowledgement of everything', () => {
    const peer = detector(0);
    peer.expectsAck(0);
    peer.acknowledged(400, false);
    peer.heard(5000);
    expect(looks(peer, 5000, 5500)).toBe(false);
  });

  test('is counted anew after an acknowledgement of a part', () => {
    const peer = detector(0);
    peer.expectsAck(0);
    expect(looks(peer, 0, 400)).toBe(false);
    peer.acknowledged(400, true);
    expect(looks(peer, 400, 890)).toBe(false);
    peer.heard(900);
    expect(peer.suspects(900)).toBe(false);
    peer.heard(901);
    expect(peer.suspects(901)).toBe(true);
  });

  test('is counted from its own time when everything before it was acknowledged', () => {
    const peer = detector(0);
    peer.expectsAck(0);
    peer.acknowledged(100, false);
    looks(peer, 100, 3000);
    peer.expectsAck(3000);
    expect(looks(peer, 3000, 3490)).toBe(true);
    peer.heard(3500);
    expect(peer.suspects(3500)).toBe(false);
    peer.heard(3501);
    expect(peer.suspects(3501)).toBe(true);
  });
});

test('agrees with a model that remembers everything', () => {
  const event = fc.record({
    waitMs: fc.integer({ min: 0, max: 400 }),
    kind: fc.constantFrom('heard', 'expectsAck', 'part', 'all'),
  });
  fc.assert(
    fc.property(fc.array(event, { maxLength: 40 }), fc.integer({ min: 0, max: 2000 }), (events, lastMs) => {
      const peer = detector(0);
      let now = 0;
      let heard = 0;
      let owedSince: number | null = null;
      for (const { waitMs, kind } of events) {
        looks(peer, now, now + waitMs);
        now += waitMs;
        if (kind === 'expectsAck') {
          peer.expectsAck(now);
          owedSince ??= now;
          continue;
        }
        heard = now;
        if (kind === 'heard') peer.heard(now);
        else peer.acknowledged(now, kind === 'part');
        if (kind === 'part') owedSince = now;
        if (kind === 'all') owedSince = null;
      }
      looks(peer, now, now + lastMs);
      now += lastMs;
      const silent = Math.max(now - heard, owedSince === null ? 0 : now - owedSince);
      expect(peer.silentMs(now)).toBe(silent);
      expect(peer.suspects(now)).toBe(silent > TIMEOUT_MS);
    }),
  );
});
