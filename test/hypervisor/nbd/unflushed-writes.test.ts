/**
 * Goal: after a server's death every write that no flush covers is written again, in order, and no other.
 * Method: random writes, flushes that begin and end, against a list.
 */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { UnflushedWrites } from '../../../hypervisor/nbd/unflushed-writes.js';

test('a write is kept until a flush that began behind it is answered', () => {
  const step = fc.constantFrom('write', 'begin', 'end');
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const kept = new UnflushedWrites();
      let model: number[] = [];
      const flushes: { readonly mark: number; readonly covered: number[] }[] = [];
      steps.forEach((what, offset) => {
        if (what === 'write') {
          kept.answered({ tag: 7, offset, data: new Uint8Array(offset) });
          model.push(offset);
        } else if (what === 'begin') flushes.push({ mark: kept.mark, covered: [...model] });
        else {
          const flush = flushes.shift();
          if (flush === undefined) return;
          kept.flushed(flush.mark);
          model = model.filter((write) => !flush.covered.includes(write));
        }
        expect(kept.writes.map((write) => write.offset)).toEqual(model);
        expect(kept.bytes).toBe(model.reduce((sum, bytes) => sum + bytes, 0));
      });
    }),
  );
});
