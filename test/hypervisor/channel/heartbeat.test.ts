/**
 * Goal: no datagram other than an encoding with the same secret is ever taken for a heartbeat.
 * Method: golden bytes, round trips, every truncation, every bit flip, other keys, random bytes.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { DecodeError } from '../../../emulator/errors.js';
import {
  decodeHeartbeat,
  encodeHeartbeat,
  HEARTBEAT_BYTES,
  HEARTBEAT_SENDERS,
  SECRET_BYTES,
  SESSION_BYTES,
  type Heartbeat,
  type HeartbeatKeys,
} from '../../../hypervisor/channel/heartbeat.js';
import { decodeMessage } from '../../../hypervisor/channel/messages.js';

const keys: HeartbeatKeys = {
  session: Uint8Array.from({ length: SESSION_BYTES }, (_, i) => i),
  secret: Uint8Array.from({ length: SECRET_BYTES }, (_, i) => 0xa0 + i),
};
const anyKeys = fc.record({
  session: fc.uint8Array({ minLength: SESSION_BYTES, maxLength: SESSION_BYTES }),
  secret: fc.uint8Array({ minLength: SECRET_BYTES, maxLength: SECRET_BYTES }),
});
const anyHeartbeat: fc.Arbitrary<Heartbeat> = fc.record({
  sender: fc.constantFrom(...HEARTBEAT_SENDERS),
  epoch: fc.maxSafeNat(),
  counter: fc.maxSafeNat().map((counter) => Math.max(1, counter)),
});

/** The code with which `bytes` are refused, or what they say. */
function outcome(bytes: Uint8Array, own = keys): string | Heartbeat {
  try {
    return decodeHeartbeat(bytes, own);
  } catch (error) {
    if (error instanceof DecodeError) return error.code;
    throw error;
  }
}

test('has the bytes that another build of the same version sends', () => {
  const bytes = encodeHeartbeat({ sender: 'backup', epoch: 2, counter: 0x1234 }, keys);
  expect(Buffer.from(bytes).toString('hex')).toBe(
    '4654484201010000' +
      '0001020304050607' +
      '0200000000000000' +
      '3412000000000000' +
      'a1396c3c72b2e6c24328f2bdaa41635b',
  );
});

test('comes back as it was sent', () => {
  fc.assert(
    fc.property(anyHeartbeat, anyKeys, (heartbeat, own) => {
      expect(decodeHeartbeat(encodeHeartbeat(heartbeat, own), own)).toEqual(heartbeat);
    }),
  );
});

describe('is refused', () => {
  const whole = encodeHeartbeat({ sender: 'live', epoch: 1, counter: 7 }, keys);

  test('with every length but its own', () => {
    for (let length = 0; length < HEARTBEAT_BYTES; length++)
      expect(outcome(whole.subarray(0, length))).toBe('bad-length');
    expect(outcome(Buffer.concat([whole, Buffer.alloc(1)]))).toBe('bad-length');
    expect(outcome(Buffer.alloc(65_507))).toBe('bad-length');
  });

  test('with any bit flipped', () => {
    for (let bit = 0; bit < whole.length * 8; bit++) {
      const damaged = Uint8Array.from(whole);
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      expect(typeof outcome(damaged)).toBe('string');
    }
  });

  test('with another session or another secret, as somebody else’s', () => {
    fc.assert(
      fc.property(anyHeartbeat, anyKeys, (heartbeat, other) => {
        expect(outcome(encodeHeartbeat(heartbeat, other))).toBe('not-ours');
        expect(outcome(encodeHeartbeat(heartbeat, { ...keys, secret: other.secret }))).toBe('not-ours');
      }),
    );
  });

  test('with numbers that no replica has, even by who knows the secret', () => {
    const numbers = [
      { epoch: 2 ** 53, counter: 1 },
      { epoch: 1, counter: 0 },
      { epoch: 1, counter: 2 ** 63 },
    ];
    for (const wrong of numbers)
      expect(outcome(encodeHeartbeat({ sender: 'live', ...wrong }, keys))).toBe('bad-number');
  });

  test('when it is random bytes, also behind its magic', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.boolean(), (bytes, magic) => {
        const datagram = magic ? Buffer.concat([whole.subarray(0, 8), bytes]).subarray(0, HEARTBEAT_BYTES) : bytes;
        expect(typeof outcome(datagram)).toBe('string');
      }),
    );
  });
});

describe('the welcome that carries the secret', () => {
  const heartbeat = { port: 1, session: '0'.repeat(16), secret: '0'.repeat(64) };
  /** A WELCOME message with these heartbeats. */
  const welcome = (value: object): Uint8Array => {
    const rest = { epoch: 1, primaryId: 'a', checkpointMs: null, resume: null, drives: [] };
    const json = Buffer.from(JSON.stringify({ ...rest, heartbeat: value }));
    return Buffer.concat([Uint8Array.of(3, json.length, 0, 0, 0), json]);
  };

  test('is taken as it should be', () => {
    expect(decodeMessage(welcome(heartbeat))).toMatchObject({ welcome: { heartbeat } });
  });

  test.each([
    ['port', { port: 0 }],
    ['port', { port: 65_536 }],
    ['session', { session: '00' }],
    ['secret', { secret: 'G'.repeat(64) }],
  ])('is refused with a %s that cannot be', (_, wrong) => {
    expect(() => decodeMessage(welcome({ ...heartbeat, ...wrong }))).toThrow(DecodeError);
  });
});
