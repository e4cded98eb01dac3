/**
 * Goal: the disk server's side of NBD is the published protocol, to the byte; what is illegal gets the error that the
 * protocol names, and what is no NBD at all ends the connection, never the server.
 * Method: byte sequences written from the protocol's text, over all options and commands; the same dialogue cut into
 * chunks at random; random bytes and flipped bits in a legal dialogue.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { DecodeError } from '../../../emulator/errors.js';
import type { Claim } from '../../../hypervisor/nbd/claim-option.js';
import { NbdServerSession, type NbdRequest, type ServerEvent } from '../../../hypervisor/nbd/server-session.js';
import { goData, option, optionReply, PLAIN_FLAGS, request, simpleReply, u16, u32, u64 } from './nbd-bytes.js';

const DISK = 1 << 20;
const EXPORTS = [
  { name: 'disk', bytes: DISK, readonly: false },
  { name: 'rom', bytes: 4096, readonly: true },
];
const WRITABLE_FLAGS = 0x16d;
const ERROR = 0x80000000;

interface Dialogue {
  readonly session: NbdServerSession;
  /** Bytes sent, in order. */
  readonly sent: Buffer;
  readonly requests: NbdRequest[];
  readonly claims: Claim[];
  readonly end: 'open' | 'close' | 'start-tls';
}

/** Feed a session and perform nothing. */
function talk(input: Uint8Array, tls: 'none' | 'required' = 'none', chunkBytes = Infinity): Dialogue {
  const session = new NbdServerSession(EXPORTS, tls);
  const sent: Uint8Array[] = [];
  const requests: NbdRequest[] = [];
  const claims: Claim[] = [];
  let end: Dialogue['end'] = 'open';
  const drain = (): void => {
    for (let event: ServerEvent | null; (event = session.next()) !== null;) {
      if (event.kind === 'request') requests.push(event.request);
      else if (event.kind === 'claim') {
        claims.push(event.claim);
        sent.push(session.claimed({ verdict: 'granted', newestEpoch: 5, clean: true }));
      } else sent.push(event.bytes);
      if (event.kind === 'close' || event.kind === 'start-tls') end = event.kind;
    }
  };
  for (let at = 0; at < input.length; at += chunkBytes) {
    session.push(input.subarray(at, at + chunkBytes));
    drain();
  }
  drain();
  return { session, sent: Buffer.concat(sent), requests, claims, end };
}

/** What is sent after the greeting in answer to some options. */
function haggle(...options: Buffer[]): Buffer {
  return talk(Buffer.concat([PLAIN_FLAGS, ...options])).sent.subarray(18);
}

function exportInfo(number: number, bytes = DISK, flags = WRITABLE_FLAGS): Buffer {
  return optionReply(number, 3, Buffer.concat([u16(0), u64(bytes), u16(flags)]));
}

describe('the handshake', () => {
  test('opens with the greeting of fixed newstyle', () => {
    expect(talk(Buffer.alloc(0)).sent).toEqual(Buffer.from('NBDMAGICIHAVEOPT\0\x03'));
  });

  test('GO tells size and flags, and what else was asked for', () => {
    expect(haggle(option(7, goData('')))).toEqual(Buffer.concat([exportInfo(7), optionReply(7, 1)]));
    expect(haggle(option(7, goData('rom', 3, 1, 77)))).toEqual(
      Buffer.concat([
        exportInfo(7, 4096, 0x107),
        optionReply(7, 3, Buffer.from('\0\x01rom')),
        optionReply(7, 3, Buffer.concat([u16(3), u32(1), u32(4096), u32(32 << 20)])),
        optionReply(7, 1),
      ]),
    );
  });

  test('INFO tells the same and the haggling goes on', () => {
    const dialogue = talk(Buffer.concat([PLAIN_FLAGS, option(6, goData('disk')), option(2)]));
    expect(dialogue.sent.subarray(18)).toEqual(Buffer.concat([exportInfo(6), optionReply(6, 1), optionReply(2, 1)]));
    expect(dialogue.end).toBe('close');
  });

  test('LIST names every export', () => {
    expect(haggle(option(3))).toEqual(
      Buffer.concat([
        optionReply(3, 2, Buffer.from('\0\0\0\x04disk')),
        optionReply(3, 2, Buffer.from('\0\0\0\x03rom')),
        optionReply(3, 1),
      ]),
    );
  });

  test('EXPORT_NAME has its padding unless both sides leave it out', () => {
    const answer = Buffer.concat([u64(DISK), u16(WRITABLE_FLAGS)]);
    expect(haggle(option(1, Buffer.from('disk')))).toEqual(answer);
    const padded = talk(Buffer.concat([u32(1), option(1, Buffer.from('disk'))])).sent.subarray(18);
    expect(padded).toEqual(Buffer.concat([answer, Buffer.alloc(124)]));
    expect(talk(Buffer.concat([PLAIN_FLAGS, option(1, Buffer.from('none'))])).end).toBe('close');
  });

  test('structured replies add the flag "do not fragment"', () => {
    expect(haggle(option(8), option(7, goData('')))).toEqual(
      Buffer.concat([optionReply(8, 1), exportInfo(7, DISK, WRITABLE_FLAGS | 0x80), optionReply(7, 1)]),
    );
  });

  test.each([
    ['an unknown option', option(9, Buffer.from('data')), 9, ERROR + 1],
    ['an unknown export', option(7, goData('none')), 7, ERROR + 6],
    ['LIST with data', option(3, Buffer.from('x')), 3, ERROR + 3],
    ['structured replies with data', option(8, Buffer.from('x')), 8, ERROR + 3],
    ['GO without data', option(7), 7, ERROR + 3],
    ['GO with a name that is longer than its data', option(7, Buffer.concat([u32(0xffffffff), u16(0)])), 7, ERROR + 3],
    ['GO with fewer infos than it says', option(6, goData('disk', 1).subarray(0, -1)), 6, ERROR + 3],
    ['TLS where there is no key', option(5), 5, ERROR + 2],
  ])('%s is answered by an error and the next option is heard', (_what, bytes, number, type) => {
    const sent = haggle(bytes, option(2));
    expect([sent.readUInt32BE(8), sent.readUInt32BE(12)]).toEqual([number, type]);
    expect(sent.subarray(-20)).toEqual(optionReply(2, 1));
  });
});

describe('with a key', () => {
  test('nothing is told before TLS', () => {
    const options = Buffer.concat([PLAIN_FLAGS, option(3), option(8), option(7, goData('disk')), option(2)]);
    const { sent, end } = talk(options, 'required');
    const types = [];
    for (let at = 18; at < sent.length; at += 20 + sent.readUInt32BE(at + 16)) types.push(sent.readUInt32BE(at + 12));
    expect(types).toEqual([ERROR + 5, ERROR + 5, ERROR + 5, 1]);
    expect(end).toBe('close');
    expect(talk(Buffer.concat([PLAIN_FLAGS, option(1, Buffer.from('disk'))]), 'required').end).toBe('close');
  });

  test('STARTTLS is granted once, and bytes behind it are no secret message', () => {
    const dialogue = talk(Buffer.concat([PLAIN_FLAGS, option(5)]), 'required');
    expect(dialogue.end).toBe('start-tls');
    dialogue.session.push(Buffer.concat([option(5), option(7, goData('disk'))]));
    expect(dialogue.session.next()).toMatchObject({ kind: 'send' });
    expect(dialogue.session.next()).toMatchObject({ kind: 'opened', export: 0 });
    expect(() => talk(Buffer.concat([PLAIN_FLAGS, option(5), option(3)]), 'required')).toThrow(DecodeError);
  });
});

describe('a replica’s claim', () => {
  const claim = Buffer.from('\x01\x03\x02\0\0\0\0\0\0\0\x04\x04demo\x03a-1', 'latin1');
  const NUMBER = 0x66743836;

  test('is handed out, and its answer goes back', () => {
    const { claims, sent } = talk(Buffer.concat([PLAIN_FLAGS, option(NUMBER, claim), option(2)]));
    expect(claims).toEqual([{ operation: 'attach', pair: 'demo', epoch: 4, replicaId: 'a-1', slot: 2 }]);
    expect(sent.subarray(18)).toEqual(
      Buffer.concat([
        optionReply(NUMBER, NUMBER, Buffer.from('\x01\0\x01\0\0\0\0\0\0\0\x05', 'latin1')),
        optionReply(NUMBER, 1),
        optionReply(2, 1),
      ]),
    );
  });

  test('is refused with any byte missing or with one more, and the next option is heard', () => {
    for (let bytes = 0; bytes <= claim.length + 1; bytes++) {
      if (bytes === claim.length) continue;
      const damaged = Buffer.concat([claim, Buffer.from('-')]).subarray(0, bytes);
      const { claims, sent } = talk(Buffer.concat([PLAIN_FLAGS, option(NUMBER, damaged), option(2)]));
      expect([claims.length, sent.readUInt32BE(18 + 12)]).toEqual([0, ERROR + 3]);
    }
  });

  test('is not heard before TLS where there is a key', () => {
    expect(talk(Buffer.concat([PLAIN_FLAGS, option(NUMBER, claim)]), 'required').claims).toEqual([]);
  });
});

const OPENED = Buffer.concat([PLAIN_FLAGS, option(7, goData('disk'))]);
const OPENED_ROM = Buffer.concat([PLAIN_FLAGS, option(7, goData('rom'))]);
const STRUCTURED = Buffer.concat([PLAIN_FLAGS, option(8), option(7, goData('disk'))]);

/** What is sent in answer to one request by an open connection. */
function answers(opening: Buffer, bytes: Buffer): Buffer {
  const before = talk(opening).sent.length;
  return talk(Buffer.concat([opening, bytes])).sent.subarray(before);
}

describe('requests', () => {
  test('come out as they went in', () => {
    const { requests, end } = talk(
      Buffer.concat([
        OPENED,
        request({ command: 0, offset: 512, bytes: 4096, cookie: 1n }),
        request({ command: 1, flags: 1, offset: 5, bytes: 3, cookie: 2n, data: Buffer.from('abc') }),
        request({ command: 3, cookie: 3n }),
        request({ command: 4, offset: 0, bytes: DISK, cookie: 4n }),
        request({ command: 6, flags: 2, offset: 1, bytes: 9, cookie: 5n }),
        request({ command: 2 }),
      ]),
    );
    expect(requests.map(({ op, offset, bytes, fua }) => [op, offset, bytes, fua])).toEqual([
      ['read', 512, 4096, false],
      ['write', 5, 3, true],
      ['flush', 0, 0, false],
      ['trim', 0, DISK, false],
      ['write-zeroes', 1, 9, false],
    ]);
    expect(Buffer.from(requests[1]!.data).toString()).toBe('abc');
    expect(requests.map(({ cookie }) => cookie[7])).toEqual([1, 2, 3, 4, 5]);
    expect(end).toBe('close');
  });

  test.each([
    ['an unknown command', { command: 9 }, 22],
    ['an unknown flag', { command: 0, bytes: 1, flags: 0x80 }, 22],
    ['a read of nothing', { command: 0 }, 22],
    ['a read behind the end', { command: 0, offset: DISK - 1, bytes: 2 }, 22],
    ['a read too long', { command: 0, bytes: (32 << 20) + 1 }, 22],
    ['an offset of 64 bits', { command: 0, offset: 0xffffffffffffffffn, bytes: 1 }, 22],
    ['a flush with a length', { command: 3, bytes: 1 }, 22],
    ['a write behind the end', { command: 1, offset: DISK, bytes: 1, data: Buffer.from('x') }, 28],
    ['zeroes behind the end', { command: 6, offset: 1, bytes: DISK }, 28],
  ])('%s is refused with the protocol’s error', (_what, raw, error) => {
    expect(answers(OPENED, request(raw))).toEqual(simpleReply(error));
  });

  test('a read-only export refuses to be changed', () => {
    for (const command of [1, 4, 6]) {
      const data = command === 1 ? Buffer.from('x') : Buffer.alloc(0);
      expect(answers(OPENED_ROM, request({ command, bytes: 1, data }))).toEqual(simpleReply(1));
    }
  });

  test('answers are simple replies until structured ones are agreed', () => {
    const read: NbdRequest = {
      ...{ op: 'read', export: 0, cookie: u64(7), offset: 512, bytes: 3, fua: false, data: Buffer.alloc(0) },
    };
    const plain = talk(OPENED).session;
    expect(Buffer.concat(plain.answer(read, 0, Buffer.from('abc')))).toEqual(
      Buffer.concat([simpleReply(0), Buffer.from('abc')]),
    );
    expect(Buffer.concat(plain.answer(read, 5))).toEqual(simpleReply(5));
    const structured = talk(STRUCTURED).session;
    const header = (type: number, bytes: number): Buffer =>
      Buffer.concat([u32(0x668e33ef), u16(1), u16(type), u64(7), u32(bytes)]);
    expect(Buffer.concat(structured.answer(read, 0, Buffer.from('abc')))).toEqual(
      Buffer.concat([header(1, 11), u64(512), Buffer.from('abc')]),
    );
    expect(Buffer.concat(structured.answer(read, 5))).toEqual(Buffer.concat([header(0x8001, 6), u32(5), u16(0)]));
    expect(Buffer.concat(structured.answer({ ...read, op: 'flush', bytes: 0 }, 0))).toEqual(simpleReply(0));
  });
});

describe('what is no NBD', () => {
  test.each([
    ['client flags that nobody knows', u32(4)],
    ['an option without its magic number', Buffer.concat([PLAIN_FLAGS, Buffer.alloc(16)])],
    ['an option of 4 GiB', Buffer.concat([PLAIN_FLAGS, option(7).subarray(0, 12), u32(0xffffffff)])],
    ['more options than anyone needs', Buffer.concat([PLAIN_FLAGS, ...Array<Buffer>(513).fill(option(3))])],
    ['a request without its magic number', Buffer.concat([OPENED, Buffer.alloc(28)])],
    ['a write of 4 GiB', Buffer.concat([OPENED, request({ command: 1, bytes: 0xffffffff })])],
  ])('%s ends the connection', (_what, bytes) => {
    expect(() => talk(bytes)).toThrow(DecodeError);
  });
});

describe('any chunks and any bytes', () => {
  const dialogue = Buffer.concat([
    PLAIN_FLAGS,
    option(3),
    option(8),
    option(7, goData('disk', 3)),
    request({ command: 1, offset: 0, bytes: 100, data: Buffer.alloc(100, 'w') }),
    request({ command: 0, offset: 8, bytes: 16 }),
    request({ command: 77 }),
    request({ command: 3 }),
    request({ command: 2 }),
  ]);

  test('a dialogue means the same in any chunks', () => {
    const whole = talk(dialogue);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 64 }), (chunkBytes) => {
        const { sent, requests, end } = talk(dialogue, 'none', chunkBytes);
        expect(sent).toEqual(whole.sent);
        expect(requests).toEqual(whole.requests);
        expect(end).toBe(whole.end);
      }),
    );
  });

  test('flipped bits and cut tails give legal requests or a DecodeError, nothing else', () => {
    const flips = fc.array(fc.nat(dialogue.length * 8 - 1), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(flips, fc.nat(dialogue.length), fc.uint8Array({ maxLength: 64 }), (bits, cut, tail) => {
        const bytes = Buffer.from(dialogue);
        for (const bit of bits) bytes[bit >> 3]! ^= 1 << (bit & 7);
        try {
          const { requests } = talk(Buffer.concat([bytes.subarray(0, cut), tail]));
          for (const { op, offset, bytes: length, export: index } of requests) {
            expect(offset + length).toBeLessThanOrEqual(EXPORTS[index]!.bytes);
            if (EXPORTS[index]!.readonly) expect(['read', 'flush']).toContain(op);
          }
        } catch (error) {
          expect(error).toBeInstanceOf(DecodeError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
