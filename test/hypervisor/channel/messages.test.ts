/**
 * Goal: every message comes out as it went in, and bytes that are not a message of this version are refused with a
 * DecodeError, whatever lengths and numbers they claim.
 * Method: round trips of random messages; golden bytes of one of each type; every truncation and bit flip; hostile
 * lengths, numbers and JSON by hand; random bytes.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { DecodeError } from '../../../emulator/errors.js';
import {
  CHANNEL_PROTOCOL,
  CONSOLE_TAIL_BYTES_MAX,
  decodeMessage,
  encodeMessage,
  PAGE_BYTES,
  PAGES_PER_MESSAGE,
  ZEROS_PER_MESSAGE,
  type Message,
} from '../../../hypervisor/channel/messages.js';

const count = fc.maxSafeNat();
const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const seq = fc.integer({ min: -1, max: Number.MAX_SAFE_INTEGER });
const name = fc.string({ minLength: 1, maxLength: 128 });
const body = fc.uint8Array({ maxLength: 200 });
const text = fc.string({ maxLength: 300, unit: 'grapheme' });
const page = fc.record({
  page: u32,
  bytes: fc.nat(255).map((fill) => new Uint8Array(PAGE_BYTES).fill(fill)),
});

const messages: fc.Arbitrary<Message> = fc.oneof(
  fc.record({
    type: fc.constant('hello' as const),
    hello: fc.record({
      protocol: fc.integer(),
      replicaId: name,
      engine: fc.string({ maxLength: 256 }),
      arch: fc.string({ maxLength: 64 }),
    }),
  }),
  fc.record({ type: fc.constant('refused' as const), reason: text }),
  fc.record({
    type: fc.constant('welcome' as const),
    welcome: fc.record({
      epoch: count,
      primaryId: name,
      checkpointMs: fc.option(fc.integer({ min: 1 }), { nil: null }),
      heartbeat: fc.option(
        fc.record({
          port: fc.integer({ min: 1, max: 65_535 }),
          session: fc.stringMatching(/^[0-9a-f]{16}$/),
          secret: fc.stringMatching(/^[0-9a-f]{64}$/),
        }),
        { nil: null },
      ),
      resume: fc.option(fc.stringMatching(/^[0-9a-f]{64}$/), { nil: null }),
      drives: fc.array(fc.record({ shared: fc.boolean(), backupReads: fc.boolean() }), { maxLength: 8 }),
    }),
    header: body,
  }),
  fc.record({ type: fc.constant('pages' as const), pages: fc.array(page, { maxLength: 3 }) }),
  fc.record({
    type: fc.constant('state' as const),
    pagesSent: u32,
    firstSeq: count,
    consoleOffset: count,
    console: body,
    state: body,
  }),
  fc.record({ type: fc.constant('log' as const), frame: body }),
  fc.record({
    type: fc.constant('ack' as const),
    receivedSeq: seq,
    executedSeq: seq,
    icount: count,
    lagMs: fc.double({ noNaN: true, noDefaultInfinity: true }),
  }),
  fc.record({ type: fc.constant('heartbeat' as const), consoleReleased: count }),
  fc.record({ type: fc.constant('diverged' as const), what: text }),
  fc.record({
    type: fc.constant('end' as const),
    end: fc.record({ digest: fc.string({ maxLength: 64 }), icount: count }),
  }),
  fc.record({ type: fc.constant('bye' as const), reason: text }),
  fc.record({ type: fc.constant('blob' as const), data: body }),
  fc.record({ type: fc.constant('zeros' as const), pages: fc.array(u32, { maxLength: 9 }) }),
  fc.record({ type: fc.constant('round' as const), round: u32, pages: u32 }),
  fc.record({ type: fc.constant('stored' as const), round: u32 }),
);

/** One message of each type with its bytes: what another build of the same protocol version sends. */
const GOLDEN: [Message, string][] = [
  [
    { type: 'hello', hello: { protocol: 3, replicaId: 'b', engine: '2', arch: 'x64' } },
    `01${hex('{"protocol":3,"replicaId":"b","engine":"2","arch":"x64"}')}`,
  ],
  [{ type: 'refused', reason: 'no' }, `02${hex('{"reason":"no"}')}`],
  [
    {
      type: 'welcome',
      welcome: {
        epoch: 1,
        primaryId: 'a',
        checkpointMs: null,
        heartbeat: null,
        resume: null,
        drives: [{ shared: true, backupReads: false }],
      },
      header: Uint8Array.of(9, 8),
    },
    `037d000000${hex('{"epoch":1,"primaryId":"a","checkpointMs":null,"heartbeat":null,"resume":null,"drives":[{"shared":true,"backupReads":false}]}')}0908`,
  ],
  [
    { type: 'pages', pages: [{ page: 0x102, bytes: new Uint8Array(PAGE_BYTES).fill(0xab) }] },
    `0402010000${'ab'.repeat(PAGE_BYTES)}`,
  ],
  [
    {
      ...{ type: 'state', pagesSent: 3, firstSeq: 1, consoleOffset: 2 },
      ...{ console: Uint8Array.of(7), state: Uint8Array.of(1, 2) },
    },
    '0503000000000000000000f03f000000000000004001000000070102',
  ],
  [{ type: 'log', frame: Uint8Array.of(0xf0) }, '06f0'],
  [
    { type: 'ack', receivedSeq: 2, executedSeq: -1, icount: 1, lagMs: 0.5 },
    '070000000000000040000000000000f0bf000000000000f03f000000000000e03f',
  ],
  [{ type: 'heartbeat', consoleReleased: 2 }, '080000000000000040'],
  [{ type: 'diverged', what: 'eip' }, `09${hex('eip')}`],
  [{ type: 'end', end: { digest: 'd', icount: 7 } }, `0a${hex('{"digest":"d","icount":7}')}`],
  [{ type: 'bye', reason: 'é' }, '0bc3a9'],
  [{ type: 'blob', data: Uint8Array.of(0xee) }, '0cee'],
  [{ type: 'zeros', pages: [1, 0x203] }, '0d0100000003020000'],
  [{ type: 'round', round: 2, pages: 3 }, '0e0200000003000000'],
  [{ type: 'stored', round: 2 }, '0f02000000'],
];

function hex(text: string): string {
  return Buffer.from(text).toString('hex');
}

/** Byte arrays as hex, so that a Buffer equals a Uint8Array. */
function plain(message: Message): unknown {
  return JSON.parse(
    JSON.stringify(message, (_, value: unknown) => {
      if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
      const buffer = value as { type?: unknown; data?: unknown } | null;
      const isBuffer = typeof buffer === 'object' && buffer?.type === 'Buffer' && Array.isArray(buffer.data);
      return isBuffer ? Buffer.from(buffer.data as number[]).toString('hex') : value;
    }),
  );
}

/** Decode, or return the DecodeError; anything else thrown fails the test. */
function tryDecode(bytes: Uint8Array): Message | DecodeError {
  try {
    return decodeMessage(bytes);
  } catch (error) {
    if (error instanceof DecodeError) return error;
    throw error;
  }
}

function refusal(type: number, rest: Uint8Array | string): string {
  const result = tryDecode(Buffer.concat([Buffer.of(type), Buffer.from(rest)]));
  return result instanceof DecodeError ? result.code : `accepted as ${result.type}`;
}

function f64(...values: number[]): Uint8Array {
  return new Uint8Array(Float64Array.from(values).buffer);
}

describe('every message', () => {
  test('comes out as it went in', () => {
    fc.assert(
      fc.property(messages, (message) => {
        expect(plain(decodeMessage(encodeMessage(message)))).toEqual(plain(message));
      }),
      { numRuns: 500 },
    );
  });

  test.each(GOLDEN.map(([message, bytes]) => [message.type, message, bytes] as const))(
    '%s has the bytes of its format',
    (_, message, bytes) => {
      expect(Buffer.from(encodeMessage(message)).toString('hex')).toBe(bytes);
      expect(plain(decodeMessage(Buffer.from(bytes, 'hex')))).toEqual(plain(message));
    },
  );

  test('is found at any offset of a larger buffer', () => {
    for (const [message] of GOLDEN) {
      const bytes = encodeMessage(message);
      const larger = new Uint8Array(bytes.length + 20).fill(0xee);
      larger.set(bytes, 7);
      expect(plain(decodeMessage(larger.subarray(7, 7 + bytes.length)))).toEqual(plain(message));
    }
  });

  test('has its own type byte, all of them covered here', () => {
    expect(GOLDEN.map(([message]) => encodeMessage(message)[0])).toEqual([
      1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
    ]);
    expect(CHANNEL_PROTOCOL).toBe(11);
  });
});

describe('damage', () => {
  test('a truncated message is refused or, where its end is free, still well formed', () => {
    for (const [message, bytes] of GOLDEN) {
      const whole = Buffer.from(bytes, 'hex');
      for (let length = 0; length < whole.length; length++) {
        const result = tryDecode(whole.subarray(0, length));
        if (result instanceof DecodeError) {
          expect(result.offset).toBeLessThanOrEqual(length + 1);
          continue;
        }
        // Bodies that are opaque bytes or text to the end, checked by their own codecs, and shorter lists of pages.
        expect(result.type).toBe(message.type);
        expect(['welcome', 'pages', 'state', 'log', 'diverged', 'bye', 'blob', 'zeros']).toContain(result.type);
        if (result.type === 'pages') expect(result.pages).toEqual([]);
        if (result.type === 'zeros') expect(result.pages.length).toBe((length - 1) / 4);
      }
    }
  });

  test('no flipped bit does worse than a DecodeError', () => {
    for (const [, bytes] of GOLDEN) {
      const whole = Buffer.from(bytes, 'hex').subarray(0, 200);
      for (let bit = 0; bit < whole.length * 8; bit++) {
        const damaged = Buffer.from(whole);
        damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        tryDecode(damaged);
      }
    }
  });

  test('no random bytes do worse than a DecodeError', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 255 }), fc.uint8Array({ maxLength: 300 }), (type, rest) => {
        tryDecode(Buffer.concat([Buffer.of(type % 18), rest]));
      }),
      { numRuns: 2000 },
    );
  });

  test('an unknown type, or none, is refused', () => {
    expect(tryDecode(new Uint8Array(0))).toMatchObject({ code: 'bad-type' });
    for (const type of [0, 26, 27, 127, 255]) expect(refusal(type, 'abc')).toBe('bad-type');
  });
});

describe('hostile lengths', () => {
  test('a welcome that claims more than there is', () => {
    for (const length of [1, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1]) {
      const rest = Buffer.alloc(4);
      rest.writeUInt32LE(length);
      expect(refusal(3, rest)).toBe('truncated');
    }
    expect(refusal(3, Buffer.alloc(4))).toBe('bad-json');
  });

  test('pages that are not whole, or too many', () => {
    const record = 4 + PAGE_BYTES;
    expect(refusal(4, Buffer.alloc(record - 1))).toBe('bad-length');
    expect(refusal(4, Buffer.alloc(record + 1))).toBe('bad-length');
    expect(refusal(4, Buffer.alloc(record * PAGES_PER_MESSAGE))).toBe('accepted as pages');
    expect(refusal(4, Buffer.alloc(record * (PAGES_PER_MESSAGE + 1)))).toBe('bad-length');
  });

  test('zero pages that are not whole numbers, or too many', () => {
    for (const bytes of [1, 3, 5]) expect(refusal(13, Buffer.alloc(bytes))).toBe('bad-length');
    expect(refusal(13, Buffer.alloc(4 * ZEROS_PER_MESSAGE))).toBe('accepted as zeros');
    expect(refusal(13, Buffer.alloc(4 * ZEROS_PER_MESSAGE + 4))).toBe('bad-length');
  });

  test('a state whose console bytes are more than there are, or than may be', () => {
    const head = Buffer.alloc(24);
    head.writeUInt32LE(1, 20);
    expect(refusal(5, head)).toBe('truncated');
    head.writeUInt32LE(CONSOLE_TAIL_BYTES_MAX + 1, 20);
    expect(refusal(5, head)).toBe('too-large');
    expect(refusal(5, Buffer.alloc(23))).toBe('truncated');
    expect(refusal(5, Buffer.alloc(24))).toBe('accepted as state');
  });

  test('numbers with bytes too few or too many', () => {
    for (const bytes of [0, 4, 7, 9, 12]) expect(refusal(14, Buffer.alloc(bytes))).toBe('bad-length');
    for (const bytes of [0, 3, 5, 8]) expect(refusal(15, Buffer.alloc(bytes))).toBe('bad-length');
    for (const bytes of [0, 8, 31, 33, 40]) expect(refusal(7, Buffer.alloc(bytes))).toBe('bad-length');
    for (const bytes of [0, 7, 9, 16]) expect(refusal(8, Buffer.alloc(bytes))).toBe('bad-length');
  });

  test('a reason is cut at a length that fits a terminal’s screens', () => {
    const bytes = encodeMessage({ type: 'bye', reason: 'x'.repeat(100_000) });
    expect(decodeMessage(bytes)).toEqual({ type: 'bye', reason: 'x'.repeat(4096) });
    expect(refusal(2, JSON.stringify({ reason: 'x'.repeat(4097) }))).toBe('bad-json');
  });
});

describe('hostile values', () => {
  test('numbers that cannot be a sequence number, an icount or an offset', () => {
    for (const bad of [NaN, Infinity, -Infinity, 0.5, -2, 2 ** 53, 1e300]) {
      expect(refusal(7, f64(bad, 0, 0, 0))).toBe('bad-number');
      expect(refusal(7, f64(0, bad, 0, 0))).toBe('bad-number');
      expect(refusal(7, f64(0, 0, bad, 0))).toBe('bad-number');
      expect(refusal(8, f64(bad))).toBe('bad-number');
      expect(refusal(5, Buffer.concat([Buffer.alloc(4), f64(bad, 0), Buffer.alloc(4)]))).toBe('bad-number');
      expect(refusal(5, Buffer.concat([Buffer.alloc(4), f64(0, bad), Buffer.alloc(4)]))).toBe('bad-number');
    }
    expect(refusal(7, f64(0, 0, 0, NaN))).toBe('bad-number');
    expect(refusal(7, f64(0, 0, 0, Infinity))).toBe('bad-number');
    expect(refusal(7, f64(-1, -1, 0, 0.25))).toBe('accepted as ack');
  });

  test.each([
    ['nothing', ''],
    ['no JSON', '{"protocol":'],
    ['bytes after the JSON', '{"protocol":2,"replicaId":"b","engine":"","arch":""} x'],
    ['another kind of value', '[]'],
    ['null', 'null'],
    ['a missing field', '{"protocol":2,"replicaId":"b","engine":""}'],
    ['an empty id', '{"protocol":2,"replicaId":"","engine":"","arch":""}'],
    ['a long id', JSON.stringify({ protocol: 3, replicaId: 'b'.repeat(129), engine: '', arch: '' })],
    ['a broken number', '{"protocol":1.5,"replicaId":"b","engine":"","arch":""}'],
    ['a number as text', '{"protocol":"1","replicaId":"b","engine":"","arch":""}'],
    ['deep nesting', '['.repeat(100_000)],
  ])('a hello with %s', (_, json) => {
    expect(refusal(1, json)).toBe('bad-json');
  });

  test('fields that a later build may add are ignored, and none is inherited', () => {
    const json = '{"reason":"no","hint":1,"__proto__":{"polluted":true}}';
    expect(decodeMessage(Buffer.concat([Buffer.of(2), Buffer.from(json)]))).toEqual({ type: 'refused', reason: 'no' });
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
    expect(refusal(2, '{"__proto__":{"reason":"no"}}')).toBe('bad-json');
  });

  test('icounts and epochs out of range in an end and a welcome', () => {
    for (const icount of ['-1', '0.5', '9007199254740993', '1e400']) {
      expect(refusal(10, `{"digest":"","icount":${icount}}`)).toBe('bad-json');
    }
  });
});
