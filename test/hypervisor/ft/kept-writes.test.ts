/**
 * Goal: a backup knows every write that is done and that no flush covers, in order, and a read of its own shows them even
 * when the server has lost them.
 * Method: random writes, flushes and losses of what was not flushed, against a model of the disk; the limit by hand.
 */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { KeptWrites } from '../../../hypervisor/ft/kept-writes.js';

const SECTORS = 8;
const NO_DATA = new Uint8Array(0);
let tag = 0;

function request(op: 'read' | 'write' | 'flush', sector: number, sectors: number, fill = 0) {
  const bytes = sectors * 512;
  const data = op === 'write' ? new Uint8Array(bytes).fill(fill) : NO_DATA;
  return { drive: 0, tag: tag++, op, sector, bytes, data };
}

const place = fc.tuple(fc.nat({ max: SECTORS - 1 }), fc.integer({ min: 1, max: 4 })).map(([sector, sectors]) => ({
  sector,
  sectors: Math.min(sectors, SECTORS - sector),
}));
const step = fc.oneof(
  fc.record({ kind: fc.constant('write' as const), place, fill: fc.integer({ min: 1, max: 255 }) }),
  fc.record({ kind: fc.constantFrom('flush' as const, 'lose' as const) }),
  fc.record({ kind: fc.constant('read' as const), place }),
);

test('reads show what is done, whatever the server has lost; what is kept brings it back', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const kept = new KeptWrites();
      const done = new Uint8Array(SECTORS * 512);
      let [server, flushed] = [done.slice(), done.slice()];
      for (const next of steps) {
        if (next.kind === 'write') {
          const write = request('write', next.place.sector, next.place.sectors, next.fill);
          kept.emitted(write);
          for (const disk of [done, server]) disk.set(write.data, write.sector * 512);
          kept.answered(write);
        } else if (next.kind === 'read') {
          const read = request('read', next.place.sector, next.place.sectors);
          const patch = kept.patch(read);
          const data = server.slice(read.sector * 512, read.sector * 512 + read.bytes);
          patch(data);
          expect(data).toEqual(done.slice(read.sector * 512, read.sector * 512 + read.bytes));
        } else if (next.kind === 'flush') {
          const flush = request('flush', 0, 0);
          kept.emitted(flush);
          // A live replica sends again what a server may have lost before it flushes.
          for (const { offset, data } of kept.writes) server.set(data, offset);
          flushed = server.slice();
          kept.answered(flush);
        } else server = flushed.slice();
      }
      for (const { offset, data } of kept.writes) server.set(data, offset);
      expect(server).toEqual(done);
    }),
  );
});

test('a flush covers what was done before it began', () => {
  const kept = new KeptWrites();
  const [before, flush, after] = [request('write', 0, 1, 1), request('flush', 0, 0), request('write', 1, 1, 2)];
  kept.answered(before);
  kept.emitted(flush);
  kept.answered(after);
  kept.answered(flush);
  expect(kept.writes).toEqual([{ tag: after.tag, offset: 512, data: after.data }]);
});

test('no more than 64 MiB are kept, the newest', () => {
  const kept = new KeptWrites();
  for (let i = 0; i < 70; i++) kept.answered({ ...request('write', 0, 1), data: new Uint8Array(1 << 20).fill(i) });
  expect(kept.writes).toHaveLength(64);
  expect(kept.writes[0]!.data[0]).toBe(6);
});
