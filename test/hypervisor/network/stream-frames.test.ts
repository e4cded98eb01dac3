/**
 * Goal: frames come out of a byte stream whole and in order however it is cut, unfit ones are counted, noise is refused.
 * Method: properties over random frames and cuts; chosen lengths.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { DecodeError } from '../../../emulator/errors.js';
import { StreamFrameSplitter, encodeStreamFrame } from '../../../hypervisor/network/stream-frames.js';

/** All frames of a stream that arrives in pieces of that many bytes. */
function split(bytes: Buffer, sizes: readonly number[]): { frames: Uint8Array[]; unfit: number } {
  const splitter = new StreamFrameSplitter();
  const frames: Uint8Array[] = [];
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = sizes[turn % sizes.length]!;
    splitter.push(bytes.subarray(at, at + size));
    at += size;
    for (let frame = splitter.next(); frame !== null; frame = splitter.next()) frames.push(frame);
  }
  return { frames, unfit: splitter.unfit };
}

describe('frames on a stream', () => {
  test('survive any cut; those that are no Ethernet frames are left out and counted', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 2000 }), { minLength: 1 });
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 1600, size: 'max' })), sizes, (sent, cuts) => {
        const { frames, unfit } = split(Buffer.concat(sent.map(encodeStreamFrame)), cuts);
        const fit = sent.filter(({ length }) => length >= 14 && length <= 1518);
        expect(frames).toEqual(fit);
        expect(unfit).toBe(sent.length - fit.length);
      }),
      { numRuns: 50 },
    );
  });

  test('a length that no sender of frames gives is refused before anything is kept for it', () => {
    expect(() => split(Buffer.from('00011001', 'hex'), [4])).toThrow(DecodeError);
    expect(split(Buffer.concat([Buffer.from('00011000', 'hex'), Buffer.alloc(69632)]), [4096]).unfit).toBe(1);
  });
});
