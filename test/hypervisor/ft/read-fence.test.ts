/**
 * Goal: a write leaves when the backup has executed every earlier read that it overlaps, not before, and once; writes that
 * overlap no such read leave at once; when nobody reads any more, all leave.
 * Method: random reads, writes and reports of execution against a model that looks at each write as it leaves; the edges
 * by hand.
 */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ReadFence } from '../../../hypervisor/ft/read-fence.js';

interface Place {
  readonly drive: number;
  readonly sector: number;
  readonly bytes: number;
}

function touches(a: Place, b: Place): boolean {
  const sectors = (place: Place): number[] => Array.from({ length: place.bytes / 512 }, (_, i) => place.sector + i);
  return a.drive === b.drive && sectors(a).some((sector) => sectors(b).includes(sector));
}

const place = fc.record({
  drive: fc.nat({ max: 1 }),
  sector: fc.nat({ max: 12 }),
  bytes: fc.integer({ min: 1, max: 4 }).map((sectors) => sectors * 512),
});
const step = fc.oneof(
  fc.record({ kind: fc.constant('read' as const), place }),
  fc.record({ kind: fc.constant('write' as const), place }),
  fc.record({ kind: fc.constant('executed' as const), ahead: fc.integer({ min: 0, max: 5 }) }),
  fc.record({ kind: fc.constant('open' as const) }),
);

test('a write waits for exactly the reads that it overlaps', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const fence = new ReadFence();
      let reads: { readonly seq: number; readonly place: Place }[] = [];
      let [seq, executed] = [0, -1];
      const writes: { readonly waitsFor: number; left: boolean }[] = [];
      const check = (): void => {
        for (const write of writes) expect(write.left).toBe(write.waitsFor <= executed);
        expect(fence.waiting).toBe(writes.filter(({ left }) => !left).length);
      };
      for (const next of steps) {
        switch (next.kind) {
          case 'read':
            reads.push({ seq, place: next.place });
            fence.read(seq++, next.place);
            break;
          case 'write': {
            const before = reads.filter((read) => read.seq > executed && touches(read.place, next.place));
            const write = { waitsFor: before.at(-1)?.seq ?? -1, left: false };
            writes.push(write);
            fence.write(next.place, () => {
              expect(write.left).toBe(false);
              write.left = true;
            });
            break;
          }
          case 'executed':
            executed = Math.min(seq - 1, executed + next.ahead);
            fence.executed(executed);
            break;
          case 'open':
            executed = seq - 1;
            reads = [];
            fence.open();
        }
        check();
      }
    }),
  );
});

test('a read that the backup has already executed holds nothing', () => {
  const fence = new ReadFence();
  fence.executed(7);
  fence.read(7, { drive: 0, sector: 0, bytes: 512 });
  let left = 0;
  fence.write({ drive: 0, sector: 0, bytes: 512 }, () => left++);
  expect(left).toBe(1);
});
