/**
 * Goal: requests that race are never in flight together, none is forgotten, and the order does not depend on anything
 * but the calls.
 * Method: random operations and completions against a plain model of the rule (fast-check; a failure prints its seed).
 */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { DecodeError } from '../../../emulator/errors.js';
import type { DiskRequest } from '../../../devices/environment.js';
import { DiskRequestQueue } from '../../../devices/virtio/disk-request-queue.js';
import { SavedFields } from '../../../devices/saved-fields.js';

const SECTORS = 64;
const REPLY = { head: 0, segments: [{ address: 4096, bytes: 513 }], bytes: 513 };

/** The rule, said sector by sector. */
function race(a: DiskRequest, b: DiskRequest): boolean {
  if (a.op === 'read' && b.op === 'read') return false;
  for (let sector = a.sector; sector < a.sector + a.bytes / 512; sector++) {
    if (sector >= b.sector && sector < b.sector + b.bytes / 512) return true;
  }
  return false;
}

const operation = fc
  .record({
    op: fc.constantFrom('read' as const, 'write' as const, 'flush' as const),
    sector: fc.nat(40),
    count: fc.integer({ min: 1, max: 8 }),
  })
  .map(({ op, sector, count }) => ({
    op,
    sector: op === 'flush' ? 0 : sector,
    bytes: op === 'flush' ? 0 : count * 512,
    data: new Uint8Array(op === 'write' ? count * 512 : 0),
  }));

test('no two requests in flight race, flushes follow earlier writes, and everything completes', () => {
  const step = fc.oneof(operation, fc.nat(100));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const queue = new DiskRequestQueue(0);
      const completed = new Set<number>();
      const writes: number[] = [];
      let tags = 0;
      const finishOne = (pick: number): void => {
        const inFlight = queue.inFlight();
        const done = inFlight[pick % Math.max(1, inFlight.length)];
        if (done === undefined) return;
        queue.remove(done.tag);
        completed.add(done.tag);
        queue.startReady();
      };
      const check = (): void => {
        const inFlight = queue.inFlight();
        inFlight.forEach((a, i) => inFlight.slice(i + 1).forEach((b) => expect(race(a, b)).toBe(false)));
        for (const { op, tag } of inFlight) {
          if (op === 'flush') expect(writes.filter((write) => write < tag && !completed.has(write))).toEqual([]);
        }
        expect(inFlight.length > 0 || queue.count === 0).toBe(true);
      };
      for (const item of steps) {
        if (typeof item === 'number') finishOne(item);
        else {
          if (item.op === 'write') writes.push(tags);
          expect(queue.add(item, REPLY).request.tag).toBe(tags++);
        }
        check();
      }
      while (queue.count > 0) finishOne(tags);
      expect(completed.size).toBe(tags);
    }),
    { numRuns: 300 },
  );
});

test('save and restore keep every request, and a damaged state is refused', () => {
  const queue = new DiskRequestQueue(0);
  queue.add({ op: 'write', sector: 1, bytes: 512, data: new Uint8Array(512).fill(3) }, REPLY);
  queue.add({ op: 'read', sector: 1, bytes: 512, data: new Uint8Array(0) }, REPLY);
  const state = queue.save();
  const copy = new DiskRequestQueue(0);
  copy.restore(new SavedFields(state, 'disk'), SECTORS);
  expect(copy.save()).toEqual(state);
  expect(copy.inFlight()).toEqual(queue.inFlight());
  const requests = state['requests'] as readonly Record<string, never>[];
  const damages = [
    { ...state, nextTag: 1 },
    { ...state, nextTag: 'x' },
    { ...state, extra: 1 },
    { nextTag: 2 },
    { ...state, requests: [requests[1]!, requests[0]!] },
    { ...state, requests: [{ ...requests[0]!, data: new Uint8Array(511) }] },
    { ...state, requests: [{ ...requests[0]!, op: 'trim' }] },
    { ...state, requests: [{ ...requests[0]!, sector: SECTORS }] },
    { ...state, requests: [{ ...requests[0]!, replyLengths: [] }] },
  ];
  for (const damaged of damages) {
    expect(() => new DiskRequestQueue(0).restore(new SavedFields(damaged, 'disk'), SECTORS)).toThrow(DecodeError);
  }
});

test('orphans keep their place and block what races with them', () => {
  const queue = new DiskRequestQueue(0);
  queue.add({ op: 'write', sector: 0, bytes: 512, data: new Uint8Array(512) }, REPLY);
  queue.add({ op: 'write', sector: 0, bytes: 512, data: new Uint8Array(512) }, REPLY);
  queue.orphanAll();
  expect(queue.count).toBe(1);
  const read = queue.add({ op: 'read', sector: 0, bytes: 512, data: new Uint8Array(0) }, REPLY);
  expect([read.request.tag, read.inFlight]).toEqual([2, false]);
  expect(queue.remove(0)?.orphan).toBe(true);
  expect(queue.startReady()).toEqual([read]);
});
