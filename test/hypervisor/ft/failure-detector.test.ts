/**
 * Goal: a silent peer is suspected after the timeout and not before; any frame is a sign of life, but not for
 * acknowledgements that are owed.
 * Method: times on both sides of the timeout; random histories against a model with all events kept.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { FailureDetector } from '../../../hypervisor/ft/failure-detector.js';

const TIMEOUT_MS = 500;

function detector(nowMs = 1000): FailureDetector {
  return new FailureDetector({ timeoutMs: TIMEOUT_MS }, nowMs);
}

describe('silence', () => {
  test('counts from the start, and is suspect only above the timeout', () => {
    const peer = detector(1000);
    expect(peer.suspects(1000)).toBe(false);
    expect(peer.suspects(1500)).toBe(false);
    expect(peer.suspects(1500.001)).toBe(true);
    expect(peer.silentMs(1700)).toBe(700);
  });

  test('starts again with any frame, even for a peer suspected before', () => {
    const peer = detector();
    expect(peer.suspects(2000)).toBe(true);
    peer.heard(2000);
    expect(peer.suspects(2500)).toBe(false);
    expect(peer.suspects(2501)).toBe(true);
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
    for (let now = 0; now <= 501; now += 3) peer.expectsAck(now);
    peer.heard(501);
    expect(peer.suspects(501)).toBe(true);
  });

  test('is settled by an acknowledgement of everything', () => {
    const peer = detector(0);
    peer.expectsAck(0);
    peer.acknowledged(400, false);
    peer.heard(5000);
    expect(peer.suspects(5500)).toBe(false);
  });

  test('is counted anew after an acknowledgement of a part', () => {
    const peer = detector(0);
    peer.expectsAck(0);
    peer.acknowledged(400, true);
    peer.heard(900);
    expect(peer.suspects(900)).toBe(false);
    peer.heard(901);
    expect(peer.suspects(901)).toBe(true);
  });

  test('is counted from its own time when everything before it was acknowledged', () => {
    const peer = detector(0);
    peer.expectsAck(0);
    peer.acknowledged(100, false);
    peer.expectsAck(3000);
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
      now += lastMs;
      const silent = Math.max(now - heard, owedSince === null ? 0 : now - owedSince);
      expect(peer.silentMs(now)).toBe(silent);
      expect(peer.suspects(now)).toBe(silent > TIMEOUT_MS);
    }),
  );
});
