/**
 * Goal: however a stream is cut into chunks, the same frames come out, also of memory that is used again; a length above the limit
 * is refused.
 * Method: property over random frames and random cuts, with chunks that change afterwards; golden prefix; limit at its edge.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { DecodeError } from '../../../emulator/errors.js';
import {
  FrameSplitter,
  LENGTH_PREFIX_BYTES,
  TRANSPORT_FRAME_BYTES_MAX,
  writeLengthPrefix,
} from '../../../hypervisor/channel/framing.js';

function lengthPrefix(bytes: number): Buffer {
  const prefix = Buffer.alloc(LENGTH_PREFIX_BYTES);
  writeLengthPrefix(prefix, 0, bytes);
  return prefix;
}

function drain(splitter: FrameSplitter): string[] {
  const frames: string[] = [];
  for (let frame = splitter.next(); frame !== null; frame = splitter.next()) {
    frames.push(Buffer.from(frame).toString('hex'));
  }
  return frames;
}

describe('FrameSplitter', () => {
  test.each([false, true])('gives back the frames sent, whatever the chunks, whose memory is lent: %s', (lent) => {
    const frames = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 12 });
    fc.assert(
      fc.property(frames, fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 }), (sent, cuts) => {
        const stream = Buffer.concat(sent.flatMap((frame) => [lengthPrefix(frame.length), frame]));
        const splitter = new FrameSplitter();
        const got: string[] = [];
        for (let at = 0, cut = 0; at < stream.length; cut++) {
          const end = Math.min(stream.length, at + (cuts[cut % cuts.length] ?? 1));
          const chunk = Buffer.from(stream.subarray(at, end));
          splitter.push(chunk, lent);
          got.push(...drain(splitter));
          if (lent) chunk.fill(0xff);
          at = end;
        }
        expect(got).toEqual(sent.map((frame) => Buffer.from(frame).toString('hex')));
        expect(splitter.heldBytes).toBe(0);
      }),
    );
  });

  test('what is handed out or not yet taken of lent memory does not change with it', () => {
    const splitter = new FrameSplitter();
    const frames = ['one', 'two', 'three'].map((text) => Buffer.from(text));
    const stream = Buffer.concat(frames.flatMap((frame) => [lengthPrefix(frame.length), frame]));
    const memory = Buffer.from(stream.subarray(0, 18));
    splitter.push(memory, true);
    const first = splitter.next();
    splitter.keep();
    memory.fill(0xff);
    // The next bytes come before the rest of these is taken.
    memory.set(stream.subarray(18));
    splitter.push(memory.subarray(0, stream.length - 18), true);
    expect([first, splitter.next(), splitter.next()].map((frame) => Buffer.from(frame ?? []).toString())).toEqual([
      'one',
      'two',
      'three',
    ]);
    expect([splitter.next(), splitter.heldBytes]).toEqual([null, 0]);
  });

  test('a frame of megabytes is put together as it comes, and little is kept for one that does not', () => {
    const body = Buffer.alloc(3_000_001, 7);
    const splitter = new FrameSplitter();
    splitter.push(lengthPrefix(body.length));
    expect([splitter.next(), splitter.heldBytes]).toEqual([null, 0]);
    for (let at = 0; at < body.length; at += 70_000) {
      expect(splitter.next()).toBeNull();
      splitter.push(body.subarray(at, at + 70_000));
    }
    expect(body.equals(splitter.next() ?? new Uint8Array())).toBe(true);
  });

  test('a prefix is the length, little-endian', () => {
    expect([...lengthPrefix(0x010203)]).toEqual([3, 2, 1, 0]);
  });

  test('takes a length at the limit and refuses the next one before the body comes', () => {
    const atLimit = new FrameSplitter();
    atLimit.push(lengthPrefix(TRANSPORT_FRAME_BYTES_MAX));
    expect(atLimit.next()).toBeNull();
    const above = Buffer.alloc(LENGTH_PREFIX_BYTES);
    above.writeUInt32LE(TRANSPORT_FRAME_BYTES_MAX + 1);
    const splitter = new FrameSplitter();
    splitter.push(above);
    expect(() => splitter.next()).toThrow(DecodeError);
  });
});
