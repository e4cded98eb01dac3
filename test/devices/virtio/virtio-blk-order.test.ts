/**
 * Goal: requests leave in an order that two replicas share, in bounded numbers, and none is lost or answered twice
 * through driver resets, saves and restores.
 * Method: as in virtio-blk.test.ts; two drives run side by side where equality is claimed.
 */
import { describe, expect, test } from '@jest/globals';
import { InvariantError } from '../../../emulator/errors.js';
import { VirtioBlk } from '../../../devices/virtio/virtio-blk.js';
import { DiskRig, F_FLUSH, FLUSH, GET_ID, HEADERS_AT, IN, OUT, RING_AT, STATUS_AT, UNTOUCHED } from './disk-rig.js';
import { FakeEnvironment, FakeIrq } from './fake-world.js';
import { F_EVENT_IDX, F_INDIRECT, LegacyDriver, ModernDriver, NEEDS_RESET, type DriverRing } from './guest-driver.js';

describe('racing requests', () => {
  test('a request waits for earlier ones that overlap it when either writes', () => {
    const rig = new DiskRig('modern');
    rig.ask(OUT, 0, 1024, 1); // tag 0
    rig.ask(IN, 1, 512); // tag 1 waits for 0
    rig.ask(OUT, 1, 512, 2); // tag 2 waits for 0 and 1
    rig.ask(IN, 2, 512); // tag 3 is free
    const [write, free] = rig.requests();
    expect([write!.tag, free!.tag]).toEqual([0, 3]);
    expect(rig.disk.pendingRequests().map((request) => request.tag)).toEqual([0, 3]);
    rig.complete(write!);
    const [read, ...none] = rig.requests();
    expect([read!.tag, none]).toEqual([1, []]);
    rig.complete(read!);
    expect(rig.requests().map((request) => request.tag)).toEqual([2]);
  });

  test('a flush leaves only after every earlier write, and later writes pass it', () => {
    const rig = new DiskRig('modern');
    rig.ask(OUT, 0, 512);
    rig.ask(OUT, 10, 512);
    rig.ask(IN, 30, 512);
    const flush = rig.ask(FLUSH, 0, 0);
    rig.ask(OUT, 20, 512);
    const [first, second, , later] = rig.requests();
    expect(later).toMatchObject({ op: 'write', sector: 20 });
    rig.complete(second!);
    expect(rig.requests()).toEqual([]);
    rig.complete(first!);
    const [request] = rig.requests();
    expect(request).toMatchObject({ op: 'flush', sector: 0, bytes: 0 });
    expect(rig.status(flush)).toBe(UNTOUCHED);
    rig.complete(request!);
    expect(rig.status(flush)).toBe(0);
  });

  test('without the FLUSH feature a write is answered only after a flush of ours', () => {
    const rig = new DiskRig('legacy', []);
    const slot = rig.ask(OUT, 5, 512);
    const [write] = rig.requests();
    rig.complete(write!);
    expect(rig.status(slot)).toBe(UNTOUCHED);
    const [flush] = rig.requests();
    expect(flush).toMatchObject({ op: 'flush', tag: 1 });
    rig.complete(flush!);
    expect(rig.status(slot)).toBe(0);
    expect(rig.ring.takeUsed()).toEqual([{ head: 0, bytes: 1 }]);
  });
});

describe('driver reset', () => {
  test('orphans what is in flight: it stays pending, and its completion changes nothing', () => {
    const rig = new DiskRig('modern');
    const slot = rig.ask(OUT, 0, 512, 7);
    rig.ask(OUT, 0, 512, 8);
    const [write] = rig.requests();
    rig.driver.writeStatus(0);
    expect(rig.disk.pendingRequests()).toEqual([write]);
    [rig.ring] = rig.driver.start([F_FLUSH], [RING_AT]) as [DriverRing];
    // The new driver's read must still wait for the old write; the waiting second write is gone.
    const read = rig.ask(IN, 0, 512);
    expect(rig.requests()).toEqual([]);
    const memory = rig.ram.memory.slice();
    rig.complete(write!);
    expect(rig.ram.sameAs(memory)).toBe(true);
    expect(rig.status(slot)).toBe(UNTOUCHED);
    const [request] = rig.requests();
    expect(request).toMatchObject({ op: 'read', tag: 2 });
    rig.complete(request!);
    expect(rig.status(read)).toBe(0);
    expect(rig.ring.takeUsed()).toHaveLength(1);
  });

  test('a legacy driver that takes its queue away orphans too', () => {
    const rig = new DiskRig('legacy');
    rig.ask(IN, 0, 512);
    const [request] = rig.requests();
    const driver = new LegacyDriver(rig.disk.pci, rig.ram);
    driver.write(8, 4, 0);
    const memory = rig.ram.memory.slice();
    rig.complete(request!);
    expect(rig.ram.sameAs(memory)).toBe(true);
    expect(rig.irq.level).toBe(false);
  });

  test('submitting and resetting forever holds a bounded number of requests', () => {
    const rig = new DiskRig('modern');
    for (let round = 0; round < 400; round++) {
      rig.driver.writeStatus(0);
      [rig.ring] = rig.driver.start([F_FLUSH], [RING_AT]) as [DriverRing];
      rig.ring.add([
        { address: HEADERS_AT, bytes: 16, write: false },
        { address: STATUS_AT, bytes: 1, write: true },
      ]);
      rig.ram.writeU32(HEADERS_AT, FLUSH);
      rig.driver.notify(0);
    }
    expect(rig.disk.pendingRequests()).toHaveLength(256);
    // Room comes back with the completions, and the request left in the ring is taken then.
    const [first] = rig.requests();
    rig.complete(first!);
    expect(rig.disk.pendingRequests().at(-1)).toMatchObject({ op: 'flush', tag: 256 });
  });
});

describe('pressure', () => {
  test('at most about 8 MiB are pending; the rest stays in the ring until something completes', () => {
    const rig = new DiskRig('modern');
    for (let i = 0; i < 5; i++) {
      rig.ram.writeU32(HEADERS_AT + 16 * i, OUT);
      rig.ram.writeU32(HEADERS_AT + 16 * i + 8, 8192 * i);
      const data = { address: 0x10_0000, bytes: 0x20_0000, write: false };
      const header = { address: HEADERS_AT + 16 * i, bytes: 16, write: false };
      rig.ring.add([header, data, data, { address: STATUS_AT + i, bytes: 1, write: true }]);
    }
    rig.driver.notify(0);
    const requests = rig.requests();
    expect(requests.map((request) => request.bytes)).toEqual([0x40_0000, 0x40_0000]);
    rig.complete(requests[0]!);
    expect(rig.requests().map((request) => request.sector)).toEqual([16384]);
  });

  test('asks for a doorbell at the chain it did not take, and interrupts only when asked', () => {
    const rig = new DiskRig('modern', [F_FLUSH, F_EVENT_IDX]);
    rig.ring.setUsedEvent(1);
    rig.ask(IN, 0, 512);
    expect(rig.ring.availEvent).toBe(1);
    rig.ask(IN, 8, 512);
    expect(rig.ring.availEvent).toBe(2);
    const [a, b] = rig.requests();
    rig.complete(a!);
    expect(rig.irq.level).toBe(false);
    rig.complete(b!);
    expect(rig.irq.level).toBe(true);
  });

  test('honours the no-interrupt flag without EVENT_IDX', () => {
    const rig = new DiskRig('legacy');
    rig.ring.setNoInterrupt(true);
    rig.ask(IN, 0, 512);
    rig.complete(rig.requests()[0]!);
    expect([rig.irq.level, rig.driver.readIsr()]).toEqual([false, 0]);
    rig.ring.setNoInterrupt(false);
    rig.ask(IN, 0, 512);
    rig.complete(rig.requests()[0]!);
    expect(rig.irq.level).toBe(true);
  });

  test('runs through many wraps of a small ring and of the 16-bit indices', () => {
    const rig = new DiskRig('modern', [F_FLUSH, F_EVENT_IDX]);
    rig.driver = new ModernDriver(rig.disk.pci, rig.ram, 4);
    [rig.ring] = rig.driver.start([F_FLUSH, F_EVENT_IDX], [RING_AT]) as [DriverRing];
    rig.ram.writeU32(HEADERS_AT, GET_ID);
    for (let i = 0; i < 66_000; i++) {
      rig.ring.setUsedEvent(i & 0xffff);
      rig.ring.add([
        { address: HEADERS_AT, bytes: 16, write: false },
        { address: STATUS_AT, bytes: 1, write: true },
      ]);
      rig.driver.notify(0);
      if (!rig.irq.level || rig.driver.readIsr() !== 1) throw new Error(`no interrupt for request ${i}`);
    }
    expect(rig.ring.takeUsed()).toHaveLength(66_000 & 0xffff);
    expect(rig.driver.readStatus() & NEEDS_RESET).toBe(0);
  });
});

describe('state', () => {
  /** A rig in the middle of everything: in flight, waiting, orphaned, an interrupt pending. */
  function busyRig(): DiskRig {
    const rig = new DiskRig('modern', [F_FLUSH, F_INDIRECT]);
    rig.ask(OUT, 100, 512, 9);
    rig.driver.writeStatus(0);
    [rig.ring] = rig.driver.start([F_FLUSH, F_INDIRECT], [RING_AT]) as [DriverRing];
    rig.ask(OUT, 0, 1024, 1);
    rig.ask(IN, 0, 512);
    rig.ask(IN, 50, 512);
    rig.ask(FLUSH, 0, 0);
    rig.ask(GET_ID, 0, 20);
    return rig;
  }

  test('save, restore, save is equal, moves no line, emits nothing', () => {
    const rig = busyRig();
    rig.requests();
    const state = rig.disk.save();
    const irq = new FakeIrq();
    const environment = new FakeEnvironment();
    const copy = new VirtioBlk({ ...rig.options, irq, environment });
    copy.restore(state);
    expect(copy.save()).toEqual(state);
    expect(irq.moves).toBe(0);
    expect(environment.outputs).toEqual([]);
    expect(copy.pendingRequests()).toEqual(rig.disk.pendingRequests());
  });

  test('requests in flight complete in a restored device exactly as in the first one', () => {
    const first = busyRig();
    const second = busyRig();
    first.requests();
    second.requests();
    second.disk = new VirtioBlk(second.options);
    second.disk.restore(first.disk.save());
    expect(second.ram.sameAs(first.ram.memory)).toBe(true);
    for (const rig of [first, second]) {
      for (let pending = rig.disk.pendingRequests(); pending.length > 0; pending = rig.disk.pendingRequests()) {
        rig.complete(pending.at(-1)!, 'ok', 0x77);
      }
    }
    expect(second.ram.sameAs(first.ram.memory)).toBe(true);
    expect(second.environment.outputs).toEqual(first.environment.outputs);
    expect(second.disk.save()).toEqual(first.disk.save());
    expect(first.ring.takeUsed()).toHaveLength(5);
  });

  test('reset equals new', () => {
    const rig = busyRig();
    rig.disk.reset();
    expect(rig.disk.save()).toEqual(new VirtioBlk(rig.options).save());
  });

  test('a completion that fits no request in flight is refused loudly', () => {
    const rig = new DiskRig('modern');
    rig.ask(OUT, 0, 512);
    rig.ask(IN, 0, 512);
    const ok = { drive: 3, status: 'ok' as const, data: new Uint8Array(0) };
    expect(() => rig.disk.complete({ ...ok, tag: 5 })).toThrow(InvariantError);
    expect(() => rig.disk.complete({ ...ok, tag: 1 })).toThrow(InvariantError);
    expect(() => rig.disk.complete({ ...ok, tag: 0, data: new Uint8Array(1) })).toThrow(InvariantError);
    rig.complete(rig.requests()[0]!);
    expect(() => rig.disk.complete({ ...ok, tag: 1 })).toThrow(InvariantError);
  });
});
