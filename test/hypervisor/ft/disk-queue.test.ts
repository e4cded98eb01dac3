/**
 * Goal: under the host clock a completion reaches the guest when the host has it; under the icount clock at a fixed
 * guest time after its doorbell, in the doorbells' order, however the host orders or delays them.
 * Method: random doorbells and random orders of completion, against the one order that is right.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { DiskCompletion, DiskRequest } from '../../../devices/environment.js';
import { InvariantError } from '../../../emulator/errors.js';
import { DISK_LATENCY_NS, DiskQueue } from '../../../hypervisor/ft/disk-queue.js';

const NO_DATA = new Uint8Array(0);

function request(tag: number, drive = 0): DiskRequest {
  return { drive, tag, op: 'read', sector: tag, bytes: 512, data: NO_DATA };
}

function completion(tag: number, drive = 0): DiskCompletion {
  return { drive, tag, status: 'ok', data: NO_DATA };
}

describe('clock host', () => {
  test('hands every completion on at once and never makes the guest wait', () => {
    const queue = new DiskQueue('host');
    queue.submitted(request(1), 100);
    expect(queue.nextDueNs()).toBeNull();
    expect(queue.hostIsLate(10 ** 12)).toBe(false);
    expect(queue.completed(completion(1))).toEqual([completion(1)]);
    expect(queue.due(10 ** 12)).toEqual([]);
  });
});

describe('clock icount', () => {
  test('a completion is due a fixed guest time after its doorbell, not earlier', () => {
    const queue = new DiskQueue('icount');
    queue.submitted(request(1), 1000);
    expect(queue.completed(completion(1))).toEqual([]);
    expect(queue.nextDueNs()).toBe(1000 + DISK_LATENCY_NS);
    expect(queue.due(1000 + DISK_LATENCY_NS - 1)).toEqual([]);
    expect(queue.due(1000 + DISK_LATENCY_NS)).toEqual([completion(1)]);
    expect(queue.nextDueNs()).toBeNull();
    expect(queue.due(10 ** 12)).toEqual([]);
  });

  test('the host is late from the due time until it has finished', () => {
    const queue = new DiskQueue('icount');
    queue.submitted(request(1), 0);
    expect(queue.hostIsLate(DISK_LATENCY_NS - 1)).toBe(false);
    expect(queue.hostIsLate(DISK_LATENCY_NS)).toBe(true);
    expect(queue.due(DISK_LATENCY_NS)).toEqual([]);
    queue.completed(completion(1));
    expect(queue.hostIsLate(DISK_LATENCY_NS)).toBe(false);
    expect(queue.due(DISK_LATENCY_NS)).toEqual([completion(1)]);
  });

  test('a request that the host has finished waits for an earlier one that it has not', () => {
    const queue = new DiskQueue('icount');
    queue.submitted(request(1), 0);
    queue.submitted(request(2), 10);
    queue.completed(completion(2));
    expect(queue.hostIsLate(DISK_LATENCY_NS + 10)).toBe(true);
    expect(queue.due(DISK_LATENCY_NS + 10)).toEqual([]);
    queue.completed(completion(1));
    expect(queue.due(DISK_LATENCY_NS + 10).map(({ tag }) => tag)).toEqual([1, 2]);
  });

  test('drives have tags of their own', () => {
    const queue = new DiskQueue('icount');
    queue.submitted(request(1, 0), 0);
    queue.submitted(request(1, 1), 0);
    queue.completed(completion(1, 1));
    expect(queue.due(DISK_LATENCY_NS)).toEqual([]);
    queue.completed(completion(1, 0));
    expect(queue.due(DISK_LATENCY_NS).map(({ drive }) => drive)).toEqual([0, 1]);
  });

  test('a completion of a request that does not wait is a mistake of ours', () => {
    const queue = new DiskQueue('icount');
    expect(() => queue.completed(completion(1))).toThrow(InvariantError);
    queue.submitted(request(1), 0);
    queue.completed(completion(1));
    expect(() => queue.completed(completion(1))).toThrow(InvariantError);
    expect(queue.due(DISK_LATENCY_NS)).toEqual([completion(1)]);
    expect(() => queue.completed(completion(1))).toThrow(InvariantError);
  });

  test('what the guest sees does not depend on when, or in which order, the host finishes', () => {
    const doorbells = fc.array(fc.record({ drive: fc.nat(2), waitNs: fc.nat(DISK_LATENCY_NS) }), { maxLength: 20 });
    fc.assert(
      fc.property(doorbells, fc.infiniteStream(fc.nat()), (rings, random) => {
        const queue = new DiskQueue('icount');
        const unfinished: DiskRequest[] = [];
        const expected: string[] = [];
        const seen: string[] = [];
        const finishOne = (): void => {
          const [done] = unfinished.splice((random.next().value as number) % unfinished.length, 1);
          if (done !== undefined) queue.completed(completion(done.tag, done.drive));
        };
        // The guest's time: it stands still while the host is late.
        const runUntil = (untilNs: number): void => {
          for (let dueNs = queue.nextDueNs(); dueNs !== null && dueNs <= untilNs; dueNs = queue.nextDueNs()) {
            while (queue.hostIsLate(dueNs)) finishOne();
            for (const { drive, tag } of queue.due(dueNs)) seen.push(`${dueNs}: ${drive}/${tag}`);
          }
        };
        let nowNs = 0;
        rings.forEach(({ drive, waitNs }, tag) => {
          nowNs += waitNs;
          runUntil(nowNs);
          queue.submitted(request(tag, drive), nowNs);
          unfinished.push(request(tag, drive));
          expected.push(`${nowNs + DISK_LATENCY_NS}: ${drive}/${tag}`);
          if ((random.next().value as number) % 2 === 0) finishOne();
        });
        runUntil(Infinity);
        expect(seen).toEqual(expected);
      }),
    );
  });
});
