/**
 * Goal: frames leave in their order, no more than agreed wait, and what has left is gone.
 * Method: a list beside the ring, with any order of pushes and takes.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { FrameQueue } from '../../../hypervisor/network/frame-queue.js';

describe('FrameQueue', () => {
  test('does as a bounded list does', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), fc.array(fc.boolean(), { maxLength: 60 }), (framesMax, pushes) => {
        const queue = new FrameQueue(framesMax);
        const list: Uint8Array[] = [];
        pushes.forEach((push, i) => {
          const frame = Uint8Array.of(i);
          if (!push) expect(queue.shift()).toBe(list.shift() ?? null);
          else if (queue.push(frame)) list.push(frame);
          else expect(list.length).toBe(framesMax);
          expect(queue.length).toBe(list.length);
        });
      }),
    );
  });
});
