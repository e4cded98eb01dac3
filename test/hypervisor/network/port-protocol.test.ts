/**
 * Goal: every message survives a round trip, and no byte string other than an encoding is accepted.
 * Method: one message of each type; golden bytes; every truncation; trailing bytes; random bytes.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { DecodeError } from '../../../emulator/errors.js';
import {
  PORT_PROTOCOL,
  decodePortMessage,
  encodePortMessage,
  packetHead,
  type PortMessage,
} from '../../../hypervisor/network/port-protocol.js';

const MAC = Uint8Array.of(0x52, 0x54, 0, 1, 2, 3);
const HELLO = { version: PORT_PROTOCOL, role: 'replica', nic: 2, pair: 'p', replicaId: 'r1', epoch: 300 } as const;
const MESSAGES: PortMessage[] = [
  { type: 'hello', hello: HELLO },
  { type: 'hello', hello: { ...HELLO, role: 'host', pair: '', replicaId: 'ü', epoch: Number.MAX_SAFE_INTEGER } },
  { type: 'welcome', version: PORT_PROTOCOL },
  { type: 'refused', reason: 'no room' },
  { type: 'packet', nic: 0, frame: new Uint8Array(14).fill(7) },
  { type: 'packet', nic: 255, frame: new Uint8Array(1518).fill(9) },
  { type: 'announce', epoch: 7, mac: MAC },
  { type: 'ping', token: 0xffffffff },
  { type: 'pong', token: 0 },
  { type: 'count' },
  { type: 'counters', counters: { received: 1, sent: 2 ** 40, dropped: 0, stale: 4 } },
];

/** The same with plain arrays, so that a Buffer equals a Uint8Array. */
function plain(message: PortMessage): unknown {
  return JSON.parse(
    JSON.stringify(message, (_key, value: unknown) => (value instanceof Uint8Array ? Array.from(value) : value)),
  );
}

describe('port protocol', () => {
  test.each(MESSAGES.map((message) => [message.type, message] as const))(
    '%s survives a round trip',
    (_type, message) => {
      expect(plain(decodePortMessage(encodePortMessage(message)))).toEqual(plain(message));
    },
  );

  test('the layout is the documented one', () => {
    expect(Buffer.from(encodePortMessage({ type: 'hello', hello: HELLO })).toString('hex')).toBe(
      '01' + '01' + '00' + '02' + '0170' + '027231' + 'ac02',
    );
    expect(Buffer.from(encodePortMessage({ type: 'announce', epoch: 7, mac: MAC })).toString('hex')).toBe(
      '0507525400010203',
    );
    expect(Buffer.from(encodePortMessage({ type: 'ping', token: 1 })).toString('hex')).toBe('0601000000');
  });

  test('a packet’s head in front of its frame is the whole message', () => {
    const frame = Uint8Array.from({ length: 60 }, (_, i) => i);
    const whole = Uint8Array.of(...packetHead(7), ...frame);
    expect(whole).toEqual(encodePortMessage({ type: 'packet', nic: 7, frame }));
    expect(decodePortMessage(whole)).toEqual({ type: 'packet', nic: 7, frame });
  });

  test('every truncation and every trailing byte is refused', () => {
    for (const message of MESSAGES) {
      const bytes = encodePortMessage(message);
      const shortest = message.type === 'packet' ? 2 + 14 : bytes.length;
      for (let length = 0; length < shortest; length++) {
        expect(() => decodePortMessage(bytes.subarray(0, length))).toThrow(DecodeError);
      }
      if (message.type === 'packet' && message.frame.length < 1518) continue;
      expect(() => decodePortMessage(Buffer.concat([bytes, Buffer.of(0)]))).toThrow(DecodeError);
    }
  });

  test('another version, an unknown role, a multicast MAC and a giant string are refused by name', () => {
    const refusal = (hex: string): string => {
      try {
        decodePortMessage(Buffer.from(hex, 'hex'));
      } catch (error) {
        return error instanceof DecodeError ? error.code : 'no DecodeError';
      }
      return 'accepted';
    };
    expect(refusal('0102')).toBe('bad-version');
    expect(refusal('010103')).toBe('bad-role');
    expect(refusal('0507ffffffffffff')).toBe('bad-mac');
    expect(refusal('01010000ffff7f')).toBe('too-large');
    expect(refusal('00')).toBe('bad-type');
    expect(refusal('0a')).toBe('bad-type');
    expect(refusal('')).toBe('truncated');
  });

  test('random bytes are decoded to what encodes to them, or refused', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 12 }), fc.uint8Array({ maxLength: 60 }), (type, rest) => {
        const bytes = Buffer.concat([Buffer.of(type), rest]);
        let message: PortMessage;
        try {
          message = decodePortMessage(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(DecodeError);
          return;
        }
        expect(Buffer.from(encodePortMessage(message))).toEqual(bytes);
      }),
    );
  });
});
