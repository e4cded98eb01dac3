/**
 * Goal: the client's side asks what every NBD server knows, gets from our own server what it asked, and takes nothing for a reply
 * that is none.
 * Method: client and server session joined by buffers that are cut at random; the client's bytes against bytes written from
 * the protocol; damaged answers.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { DecodeError } from '../../../emulator/errors.js';
import { NbdClientSession, type ClientEvent, type ClientGoal } from '../../../hypervisor/nbd/client-session.js';
import { NbdServerSession } from '../../../hypervisor/nbd/server-session.js';
import { goData, option, optionReply, request, simpleReply, u16, u64 } from './nbd-bytes.js';

const CONTENT = Buffer.from(Array.from({ length: 4096 }, (_, i) => (i * 7) & 255));
const EXPORTS = [{ name: 'disk', bytes: CONTENT.length, readonly: false }];
const PLAIN: ClientGoal = { export: 'disk', claim: null, tls: false };
const CLAIM = { operation: 'attach', pair: 'demo', epoch: 3, replicaId: 'a', slot: 0 } as const;
const GREETING = Buffer.from('NBDMAGICIHAVEOPT\0\x03');
const OPENED = Buffer.concat([
  GREETING,
  optionReply(7, 3, Buffer.concat([u16(0), u64(4096), u16(0x16d)])),
  optionReply(7, 1),
]);

/** Events of a client that gets these bytes, what it sends among them. */
function events(session: NbdClientSession, bytes: Uint8Array): ClientEvent[] {
  session.push(bytes);
  const found: ClientEvent[] = [];
  for (let event; (event = session.next()) !== null;) found.push(event);
  return found;
}

function sent(found: readonly ClientEvent[]): Buffer {
  return Buffer.concat(found.flatMap((event) => (event.kind === 'send' ? [event.bytes] : [])));
}

/** Let a client and our server talk until neither has anything to say; chunks of `chunkBytes`. */
function converse(client: NbdClientSession, server: NbdServerSession, chunkBytes: number): ClientEvent[] {
  const seen: ClientEvent[] = [];
  let toServer: Buffer = Buffer.alloc(0);
  let toClient: Buffer = Buffer.alloc(0);
  for (;;) {
    server.push(toServer.subarray(0, chunkBytes));
    toServer = toServer.subarray(chunkBytes);
    for (let event; (event = server.next()) !== null;) {
      if (event.kind === 'claim') {
        toClient = Buffer.concat([toClient, server.claimed({ verdict: 'denied', newestEpoch: 9, clean: false })]);
      } else if (event.kind === 'request') {
        const { op, offset, bytes } = event.request;
        const data = op === 'read' ? CONTENT.subarray(offset, offset + bytes) : undefined;
        toClient = Buffer.concat([toClient, ...server.answer(event.request, 0, data)]);
      } else toClient = Buffer.concat([toClient, event.bytes]);
    }
    const found = events(client, toClient.subarray(0, chunkBytes));
    toClient = toClient.subarray(chunkBytes);
    toServer = Buffer.concat([toServer, sent(found)]);
    seen.push(...found.filter(({ kind }) => kind !== 'send'));
    for (const event of found) {
      if (event.kind !== 'opened') continue;
      for (const [cookie, at] of [10, 500, 4000].entries()) {
        toServer = Buffer.concat([toServer, client.request('read', cookie, at, 96)]);
      }
      toServer = Buffer.concat([toServer, client.request('flush', 3, 0, 0)]);
    }
    if (toServer.length === 0 && toClient.length === 0 && found.length === 0) return seen;
  }
}

describe('with our own server', () => {
  test('a client learns its claim’s answer, opens the export and reads, in any chunks', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 200 }), (chunkBytes) => {
        const client = new NbdClientSession({ ...PLAIN, claim: CLAIM });
        const seen = converse(client, new NbdServerSession(EXPORTS, 'none'), chunkBytes);
        expect(seen.slice(0, 2)).toEqual([
          { kind: 'claimed', answer: { verdict: 'denied', newestEpoch: 9, clean: false } },
          { kind: 'opened', bytes: 4096, flags: 0x16d },
        ]);
        expect(seen.slice(2).map((event) => event.kind === 'reply' && [event.cookie, event.error])).toEqual([
          [0, 0],
          [1, 0],
          [2, 0],
          [3, 0],
        ]);
        const second = seen[3];
        expect(second?.kind === 'reply' && CONTENT.subarray(500, 596).equals(second.data)).toBe(true);
      }),
    );
  });

  test.each([
    [{ ...PLAIN, export: 'none' }, 'none', 'no such export (no such export)'],
    [PLAIN, 'required', 'TLS is required: nbds:// and --key (start TLS first)'],
    [{ ...PLAIN, tls: true }, 'none', 'not allowed (this server has no key)'],
  ] as const)('a refusal is told in words', (goal, tls, reason) => {
    const seen = converse(new NbdClientSession(goal), new NbdServerSession(EXPORTS, tls), 1000);
    expect(seen).toEqual([{ kind: 'refused', reason }]);
  });
});

describe('with any server', () => {
  test('the bytes are the protocol’s', () => {
    const session = new NbdClientSession(PLAIN);
    const found = events(session, OPENED);
    expect(sent(found)).toEqual(Buffer.concat([Buffer.from([0, 0, 0, 3]), option(7, goData('disk'))]));
    expect(found.at(-1)).toEqual({ kind: 'opened', bytes: 4096, flags: 0x16d });
    expect(session.request('write', 7, 512, 4)).toEqual(request({ command: 1, offset: 512, bytes: 4 }));
    expect(events(session, simpleReply(5))).toEqual([{ kind: 'reply', cookie: 7, error: 5, data: Buffer.alloc(0) }]);
    expect(session.disconnect()).toEqual(request({ command: 2, cookie: 0n }));
  });

  test('one that does not know claims opens the export all the same', () => {
    const session = new NbdClientSession({ ...PLAIN, claim: CLAIM });
    const unknown = optionReply(0x66743836, 0x80000001);
    const found = events(session, Buffer.concat([GREETING, unknown, OPENED.subarray(18)]));
    expect(found.filter(({ kind }) => kind !== 'send')).toEqual([
      { kind: 'claimed', answer: 'unsupported' },
      { kind: 'opened', bytes: 4096, flags: 0x16d },
    ]);
  });

  test('TLS starts before anything is asked', () => {
    const session = new NbdClientSession({ ...PLAIN, tls: true });
    const found = events(session, Buffer.concat([GREETING, optionReply(5, 1)]));
    expect(sent(found)).toEqual(Buffer.concat([Buffer.from([0, 0, 0, 3]), option(5)]));
    expect(found.at(-1)).toEqual({ kind: 'start-tls' });
    session.secured();
    expect(sent(events(session, Buffer.alloc(0)))).toEqual(option(7, goData('disk')));
  });

  test.each([
    ['a greeting of another protocol', Buffer.from('HTTP/1.1 400 Bad Request\r\n')],
    ['a greeting of oldstyle', Buffer.from('NBDMAGICIHAVEOPT\0\0')],
    ['a reply to another option', Buffer.concat([GREETING, optionReply(3, 1)])],
    ['an acknowledged export without a size', Buffer.concat([GREETING, optionReply(7, 1)])],
    ['a reply of 1 GiB', Buffer.concat([GREETING, optionReply(7, 3).subarray(0, 16), Buffer.from([64, 0, 0, 0])])],
    ['a reply to no request', Buffer.concat([OPENED, simpleReply(0)])],
  ])('%s is a DecodeError', (_what, bytes) => {
    expect(() => events(new NbdClientSession(PLAIN), bytes)).toThrow(DecodeError);
  });

  test('damaged answers are refused or understood, nothing else', () => {
    const answer = Buffer.concat([OPENED, simpleReply(0), Buffer.alloc(64, 1), simpleReply(28)]);
    const flips = fc.array(fc.nat(answer.length * 8 - 1), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(flips, (bits) => {
        const bytes = Buffer.from(answer);
        for (const bit of bits) bytes[bit >> 3]! ^= 1 << (bit & 7);
        const session = new NbdClientSession(PLAIN);
        try {
          if (!events(session, bytes.subarray(0, OPENED.length)).some(({ kind }) => kind === 'opened')) return;
          session.request('read', 7, 0, 64);
          events(session, bytes.subarray(OPENED.length));
        } catch (error) {
          expect(error).toBeInstanceOf(DecodeError);
        }
      }),
      { numRuns: 1000 },
    );
  });
});
