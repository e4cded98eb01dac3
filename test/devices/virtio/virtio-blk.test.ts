/**
 * Goal: the block device does what its driver asks: transfers, flushes, errors, at the right moments.
 * Method: a small guest driver rings the doorbell through the BARs, legacy and modern; the test plays the backend.
 */
import { describe, expect, test } from '@jest/globals';
import { CAPACITY, DiskRig, F_FLUSH, FLUSH, GET_ID, HEADERS_AT, IN, OUT, STATUS_AT, UNTOUCHED } from './disk-rig.js';
import { F_INDIRECT, NEEDS_RESET } from './guest-driver.js';

describe.each(['legacy', 'modern'] as const)('%s driver', (kind) => {
  test('reads: data and status land only with the completion', () => {
    const rig = new DiskRig(kind);
    const slot = rig.ask(IN, 7, 1024);
    const [request] = rig.requests();
    expect(request).toEqual({ drive: 3, tag: 0, op: 'read', sector: 7, bytes: 1024, data: new Uint8Array(0) });
    expect(rig.status(slot)).toBe(UNTOUCHED);
    expect(rig.irq.level).toBe(false);
    rig.complete(request!, 'ok', 0x5a);
    expect(rig.ram.read(rig.dataAt(slot), 1024)).toEqual(new Uint8Array(1024).fill(0x5a));
    expect(rig.status(slot)).toBe(0);
    expect(rig.ring.takeUsed()).toEqual([{ head: 0, bytes: 1025 }]);
    expect(rig.irq.level).toBe(true);
    expect(rig.driver.readIsr()).toBe(1);
    expect(rig.driver.readIsr()).toBe(0);
    expect(rig.irq.level).toBe(false);
    expect(rig.disk.pendingRequests()).toEqual([]);
  });

  test('writes a copy of the data taken at the doorbell', () => {
    const rig = new DiskRig(kind);
    const slot = rig.ask(OUT, 9, 512, 0x11);
    rig.ram.memory.fill(0x22, rig.dataAt(slot), rig.dataAt(slot) + 512);
    const [request] = rig.requests();
    expect(request).toMatchObject({ op: 'write', sector: 9, bytes: 512, data: new Uint8Array(512).fill(0x11) });
    rig.complete(request!);
    expect(rig.status(slot)).toBe(0);
    expect(rig.ring.takeUsed()).toEqual([{ head: 0, bytes: 1 }]);
  });

  test('takes indirect descriptors and a header split over buffers', () => {
    const rig = new DiskRig(kind, [F_FLUSH, F_INDIRECT]);
    rig.queue(IN, 1, 512, 0, true);
    rig.ram.writeU32(0x2_7000, OUT);
    rig.ram.writeU32(0x2_7008, 2);
    rig.ring.add([
      { address: 0x2_7000, bytes: 5, write: false },
      { address: 0x2_7005, bytes: 11 + 100, write: false },
      { address: 0x2_7074, bytes: 412, write: false },
      { address: STATUS_AT + 40, bytes: 0, write: true },
      { address: STATUS_AT + 41, bytes: 1, write: true },
    ]);
    rig.driver.notify(0);
    const requests = rig.requests();
    expect(requests.map(({ op, sector, bytes }) => ({ op, sector, bytes }))).toEqual([
      { op: 'read', sector: 1, bytes: 512 },
      { op: 'write', sector: 2, bytes: 512 },
    ]);
    expect(requests[1]!.data).toEqual(rig.ram.read(0x2_7010, 512));
    requests.forEach((request) => rig.complete(request));
    expect(rig.ring.takeUsed()).toEqual([
      { head: 0, bytes: 513 },
      { head: 1, bytes: 1 },
    ]);
  });

  test('answers GET_ID, and refuses unknown types, at once', () => {
    const rig = new DiskRig(kind, [F_FLUSH], { serial: 'disk-7' });
    const id = rig.queue(GET_ID, 0, 20);
    const unknown = rig.queue(11, 0, 16);
    rig.driver.notify(0);
    expect(rig.requests()).toEqual([]);
    const expected = new Uint8Array(20);
    expected.set(new TextEncoder().encode('disk-7'));
    expect(rig.ram.read(rig.dataAt(id), 20)).toEqual(expected);
    expect([rig.status(id), rig.status(unknown)]).toEqual([0, 2]);
    expect(rig.ring.takeUsed().map((used) => used.bytes)).toEqual([21, 0]);
  });

  test.each([
    ['beyond the end', IN, CAPACITY, 512],
    ['across the end', OUT, CAPACITY - 1, 1024],
    ['at sector 2^63', IN, 2 ** 63, 512],
    ['of a part of a sector', IN, 0, 100],
  ])('gives an I/O error for a transfer %s', (_, type, sector, bytes) => {
    const rig = new DiskRig(kind);
    const slot = rig.ask(type, sector, bytes);
    expect(rig.requests()).toEqual([]);
    expect(rig.status(slot)).toBe(1);
    expect(rig.ring.takeUsed()).toHaveLength(1);
    expect(rig.driver.readStatus() & NEEDS_RESET).toBe(0);
  });

  test('gives an I/O error for writes to a read-only drive and for a transfer of more than 4 MiB', () => {
    const rig = new DiskRig(kind, [F_FLUSH], { readOnly: true });
    const write = rig.ask(OUT, 0, 512);
    expect(rig.status(write)).toBe(1);
    const header = { address: HEADERS_AT + 16 * 100, bytes: 16, write: false };
    const huge = { address: 0x10_0000, bytes: 0x8000_0000, write: true };
    rig.ring.add([header, huge, huge, { address: STATUS_AT + 99, bytes: 1, write: true }]);
    rig.driver.notify(0);
    // The status byte lies behind 4 GiB of buffers; it is found without walking them.
    expect(rig.status(99)).toBe(1);
    expect(rig.requests()).toEqual([]);
  });

  test('passes a backend error on as an I/O error', () => {
    const rig = new DiskRig(kind);
    const slots = [rig.ask(IN, 0, 512), rig.ask(OUT, 1, 512), rig.ask(FLUSH, 0, 0)];
    const before = rig.ram.read(rig.dataAt(0), 512);
    rig.requests().forEach((request) => rig.complete(request, 'error'));
    rig.requests().forEach((request) => rig.complete(request, 'error'));
    expect(slots.map((slot) => rig.status(slot))).toEqual([1, 1, 1]);
    expect(rig.ram.read(rig.dataAt(0), 512)).toEqual(before);
  });

  test('completes out of order, each under its own head', () => {
    const rig = new DiskRig(kind);
    for (const sector of [0, 10, 20]) rig.ask(IN, sector, 512);
    const [a, b, c] = rig.requests();
    for (const request of [c!, a!, b!]) rig.complete(request);
    expect(rig.ring.takeUsed().map((used) => used.head)).toEqual([6, 0, 3]);
  });
});
