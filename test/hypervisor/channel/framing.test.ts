/**
 * Goal: however a stream is cut into chunks, the same frames come out; a length above the limit is refused.
 * Method: property over random frames and random cuts; golden prefix; limit at its edge.
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
  test('gives back the frames sent, whatever the chunks', () => {
    const frames = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 12 });
    fc.assert(
      fc.property(frames, fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 }), (sent, cuts) => {
        const stream = Buffer.concat(sent.flatMap((frame) => [lengthPrefix(frame.length), frame]));
        const splitter = new FrameSplitter();
        const got: string[] = [];
        for (let at = 0, cut = 0; at < stream.length; cut++) {
          const end = at + (cuts[cut % cuts.length] ?? 1);
          splitter.push(stream.subarray(at, end));
          got.push(...drain(splitter));
          at = end;
        }
        expect(got).toEqual(sent.map((frame) => Buffer.from(frame).toString('hex')));
        expect(splitter.heldBytes).toBe(0);
      }),
    );
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
