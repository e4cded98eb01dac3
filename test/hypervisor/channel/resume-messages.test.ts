/**
 * Goal: the messages of a connection that takes the place of another have the bytes of their format, and anything else is refused.
 * Method: golden bytes; random messages; fields and lengths by hand.
 */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { DecodeError } from '../../../emulator/errors.js';
import { decodeMessage, encodeMessage } from '../../../hypervisor/channel/messages.js';
import type { Resume, ResumeMessage } from '../../../hypervisor/channel/resume-messages.js';

const SAMPLE: Resume = { protocol: 9, replicaId: 'b', secret: '5e'.repeat(32), nextSeq: 4 };
const GOLDEN: [ResumeMessage, string][] = [
  [
    { type: 'resume', resume: SAMPLE },
    `15${Buffer.from(`{"protocol":9,"replicaId":"b","secret":"${'5e'.repeat(32)}","nextSeq":4}`).toString('hex')}`,
  ],
  [{ type: 'resumed' }, '16'],
];

test.each(GOLDEN)('%j has the bytes of its format', (message, bytes) => {
  expect(Buffer.from(encodeMessage(message)).toString('hex')).toBe(bytes);
  expect(decodeMessage(Buffer.from(bytes, 'hex'))).toEqual(message);
});

test('a resumption comes out as it went in', () => {
  const resumes = fc.record({
    protocol: fc.integer(),
    replicaId: fc.string({ minLength: 1, maxLength: 128 }),
    secret: fc.stringMatching(/^[0-9a-f]{64}$/),
    nextSeq: fc.maxSafeNat(),
  });
  fc.assert(
    fc.property(resumes, (resume) => {
      expect(decodeMessage(encodeMessage({ type: 'resume', resume }))).toEqual({ type: 'resume', resume });
    }),
  );
});

test.each([
  { nextSeq: -1 },
  { nextSeq: 0.5 },
  { nextSeq: undefined },
  { secret: '5e' },
  { secret: 'zz'.repeat(32) },
  { replicaId: '' },
  { protocol: '9' },
])('a resumption with %j is refused', (wrong) => {
  const bytes = Buffer.from(JSON.stringify({ ...SAMPLE, ...wrong }));
  expect(() => decodeMessage(Buffer.concat([Buffer.of(21), bytes]))).toThrow(DecodeError);
});

test('an answer with something in it is refused', () => {
  expect(() => decodeMessage(Uint8Array.of(22, 0))).toThrow(DecodeError);
});
