/**
 * Goal: DMA data goes exactly where the table says, at the right moment, and the status bits tell drivers how it went.
 * Method: a guest driver lays tables in RAM with a hole in it and starts transfers through BAR4.
 */
import { describe, expect, test } from '@jest/globals';
import { HOLE_START, RAM_BYTES } from '../virtio/fake-world.js';
import { ABRT, BM_PORT, BSY, DATA_AT, DRQ, ERR, IdeRig, PRD_AT, READY, SECTOR, UNC, sectorData } from './ide-rig.js';

const ACTIVE = 1;
const ERROR = 2;
const INTERRUPT = 4;
const READ = 0xc8;
const WRITE = 0xca;

describe('registers', () => {
  test('take any width, keep what is writable, and clear status bits that are written as ones', () => {
    const rig = new IdeRig();
    rig.bmOut(4, 0xffffffff, 4);
    expect([rig.bmIn(4, 4), rig.bmIn(5, 2), rig.bmIn(7)]).toEqual([0xfffffffc, 0xffff, 0xff]);
    rig.bmOut(5, 0x1234, 2);
    expect(rig.bmIn(4, 4)).toBe(0xff1234fc);
    rig.bmOut(0, 0xfe);
    expect(rig.bmIn(0)).toBe(8);
    rig.bmOut(2, 0xff);
    expect(rig.bmIn(0, 4)).toBe(0x0060_0008);
    rig.bmOut(1, 0xff);
    rig.bmOut(3, 0xff);
    expect(rig.bmIn(0, 4)).toBe(0x0060_0008);
  });

  test('of the secondary channel follow those of the primary', () => {
    const rig = new IdeRig().secondary();
    rig.bmOut(4, 0x1234_5678, 4);
    expect([rig.bus.read(BM_PORT + 12, 4), rig.bus.read(BM_PORT + 4, 4)]).toEqual([0x1234_5678, 0]);
  });
});

describe('reading', () => {
  test('lands in the regions with the completion, and interrupts once', () => {
    const rig = new IdeRig();
    rig.table([
      [DATA_AT + 2, 600],
      [DATA_AT + 0x4000, 424],
    ]);
    rig.startDma({ code: READ, lba: 40, count: 2 }, true);
    expect([rig.altStatus, rig.bmIn(2), rig.irq]).toEqual([BSY, ACTIVE, false]);
    const request = rig.request();
    expect(request).toMatchObject({ op: 'read', sector: 40, bytes: 1024 });
    expect(rig.ram.read(DATA_AT, 0x5000)).toEqual(new Uint8Array(0x5000));
    rig.complete(request);
    const data = sectorData(40, 2);
    expect(rig.ram.read(DATA_AT + 2, 600)).toEqual(data.subarray(0, 600));
    expect(rig.ram.read(DATA_AT + 0x4000, 424)).toEqual(data.subarray(600));
    expect([rig.bmIn(2), rig.irq, rig.edgeCount, rig.status, rig.address()]).toEqual([INTERRUPT, true, 1, READY, 41]);
    rig.bmOut(0, 0);
    rig.bmOut(2, INTERRUPT);
    expect(rig.bmIn(2)).toBe(0);
  });

  test('moves 48-bit transfers in chunks of 1 MiB through one table', () => {
    const rig = new IdeRig();
    const regions = Array.from({ length: 17 }, (_, i) => [DATA_AT + 0x1_0000 * i, i === 16 ? 1024 : 0] as const);
    rig.table(regions);
    rig.startDma({ code: 0x25, lba: 5, count: 2050, extended: true }, true);
    const first = rig.request();
    expect(first).toMatchObject({ sector: 5, bytes: 2 ** 20 });
    rig.complete(first);
    expect([rig.altStatus, rig.bmIn(2), rig.irq]).toEqual([BSY, ACTIVE, false]);
    rig.complete(rig.request());
    expect(Buffer.compare(rig.ram.read(DATA_AT, 2050 * SECTOR)!, sectorData(5, 2050))).toBe(0);
    expect([rig.bmIn(2), rig.status, rig.address(true)]).toEqual([INTERRUPT, READY, 2054]);
  });

  test('waits for the start bit, whether the command or the start comes first', () => {
    const rig = new IdeRig();
    rig.table([[DATA_AT, SECTOR]]);
    rig.send({ code: READ, lba: 1, count: 1 });
    expect([rig.altStatus, rig.requests()]).toEqual([READY | DRQ, []]);
    expect(rig.in(0, 2)).toBe(0xffff);
    rig.bmOut(0, 9);
    rig.complete(rig.request());
    expect(rig.bmIn(2)).toBe(INTERRUPT);
    const other = new IdeRig();
    other.table([[DATA_AT, SECTOR]]);
    other.bmOut(0, 9);
    expect(other.requests()).toEqual([]);
    other.send({ code: READ, lba: 1, count: 1 });
    other.complete(other.request());
    expect(other.ram.read(DATA_AT, SECTOR)).toEqual(sectorData(1));
  });

  test('waits while the function may not use the bus', () => {
    const rig = new IdeRig();
    rig.ide.pci.configWrite(4, 2, 1);
    rig.table([[DATA_AT, SECTOR]]);
    rig.startDma({ code: READ, lba: 1, count: 1 }, true);
    expect([rig.altStatus, rig.bmIn(2), rig.requests()]).toEqual([READY | DRQ, ACTIVE, []]);
    rig.ide.pci.configWrite(4, 2, 5);
    rig.bmOut(0, 9);
    rig.complete(rig.request());
    expect(rig.status).toBe(READY);
  });

  test('an unreadable sector ends it with an error and leaves memory alone', () => {
    const rig = new IdeRig();
    rig.table([[DATA_AT, SECTOR]]);
    rig.startDma({ code: READ, lba: 9, count: 1 }, true);
    rig.complete(rig.request(), 'error');
    expect([rig.bmIn(2), rig.irq, rig.status, rig.error]).toEqual([ACTIVE | INTERRUPT, true, READY | ERR, UNC]);
    expect(rig.ram.read(DATA_AT, SECTOR)).toEqual(new Uint8Array(SECTOR));
  });

  test('stopped on its way is thrown away, and can be started again', () => {
    const rig = new IdeRig();
    rig.table([[DATA_AT, SECTOR]]);
    rig.startDma({ code: READ, lba: 9, count: 1 }, true);
    rig.bmOut(0, 8);
    rig.complete(rig.request());
    expect([rig.bmIn(2), rig.irq, rig.altStatus]).toEqual([0, false, READY | DRQ]);
    expect(rig.ram.read(DATA_AT, SECTOR)).toEqual(new Uint8Array(SECTOR));
    rig.bmOut(0, 9);
    rig.complete(rig.request());
    expect(rig.ram.read(DATA_AT, SECTOR)).toEqual(sectorData(9));
    expect(rig.status).toBe(READY);
  });
});

describe('writing', () => {
  test('gathers a copy at the start', () => {
    const rig = new IdeRig();
    const data = sectorData(70, 2);
    rig.ram.write(DATA_AT, data.subarray(0, 10));
    rig.ram.write(DATA_AT + 0x800, data.subarray(10));
    rig.table([
      [DATA_AT, 10],
      [DATA_AT + 0x800, 1014],
    ]);
    rig.startDma({ code: WRITE, lba: 70, count: 2 }, false);
    rig.ram.memory.fill(0xff, DATA_AT, DATA_AT + 0x1000);
    const request = rig.completeWrite();
    expect(request).toMatchObject({ sector: 70, data });
    expect([rig.bmIn(2), rig.irq, rig.status, rig.address()]).toEqual([INTERRUPT, true, READY, 71]);
  });

  test('fails as the medium does', () => {
    const rig = new IdeRig();
    rig.table([[DATA_AT, SECTOR]]);
    rig.startDma({ code: WRITE, lba: 70, count: 1 }, false);
    rig.complete(rig.request(), 'error');
    expect([rig.status, rig.error, rig.address()]).toEqual([READY | ERR, ABRT, 70]);
  });

  test('is flushed when there is no write cache', () => {
    const rig = new IdeRig();
    rig.send({ code: 0xef, features: 0x82 });
    rig.complete(rig.request());
    rig.table([[DATA_AT, SECTOR]]);
    rig.startDma({ code: 0x35, lba: 70, count: 1, extended: true }, false);
    rig.completeWrite();
    expect([rig.irq, rig.altStatus]).toEqual([false, BSY]);
    expect(rig.ide.pendingRequests()).toMatchObject([{ op: 'flush' }]);
    rig.complete(rig.request());
    expect([rig.irq, rig.status, rig.address(true)]).toEqual([true, READY, 70]);
  });
});

describe('tables', () => {
  test('larger than the transfer leave the bus master active', () => {
    const rig = new IdeRig();
    rig.table([[DATA_AT, 1024]]);
    rig.startDma({ code: READ, count: 1 }, true);
    rig.complete(rig.request());
    expect([rig.bmIn(2), rig.status]).toEqual([ACTIVE | INTERRUPT, READY]);
    expect(rig.ram.read(DATA_AT + SECTOR, SECTOR)).toEqual(new Uint8Array(SECTOR));
  });

  test.each([
    ['reading', READ, true, 1],
    ['writing', WRITE, false, 0],
  ] as const)('smaller than the transfer stop it without an interrupt, %s', (_, code, toMemory, requests) => {
    const rig = new IdeRig();
    rig.table([[DATA_AT, 512]]);
    rig.startDma({ code, count: 2 }, toMemory);
    const emitted = rig.requests();
    expect(emitted).toHaveLength(requests);
    emitted.forEach((request) => {
      rig.complete(request);
    });
    expect([rig.bmIn(2), rig.irq, rig.altStatus]).toEqual([0, false, READY | DRQ]);
    // What a driver does about it.
    rig.control(4);
    rig.control(0);
    expect([rig.status, rig.identify()[0]]).toEqual([READY, 0x40]);
  });

  test.each([
    ['a region in a hole', [[HOLE_START, 512]], PRD_AT],
    ['a region behind RAM', [[0xffff_fffe, 512]], PRD_AT],
    ['a region that sticks out of RAM', [[RAM_BYTES - 256, 512]], PRD_AT],
    ['a table in a hole', [], HOLE_START],
    ['a table behind RAM', [], 0xffff_fffc],
  ] as const)('with %s set the error bit and stop', (_, regions, at) => {
    for (const [code, toMemory] of [
      [READ, true],
      [WRITE, false],
    ] as const) {
      const rig = new IdeRig();
      rig.table(regions, at);
      rig.startDma({ code, count: 1 }, toMemory);
      rig.requests().forEach((request) => {
        rig.complete(request);
      });
      expect([rig.bmIn(2), rig.irq, rig.altStatus]).toEqual([ERROR, false, READY | DRQ]);
      rig.bmOut(2, ERROR);
      expect(rig.bmIn(2)).toBe(0);
    }
  });

  test('without an end stop at the 64 KiB boundary that they may not cross', () => {
    const rig = new IdeRig();
    // Every entry, also of a table that begins in the middle of one, is a region of 2 bytes at 2.
    for (let at = 0x1_f000; at < 0x2_1000; at += 4) rig.ram.writeU32(at, 2);
    rig.ram.accesses = 0;
    for (const start of [0x1_f000, 0x1_f004]) {
      rig.bmOut(4, start, 4);
      rig.startDma({ code: WRITE, count: 255 }, false);
      expect(rig.requests()).toEqual([]);
      expect(rig.bmIn(2) & ACTIVE).toBe(0);
      rig.bmOut(0, 0);
    }
    expect(rig.ram.accesses).toBeLessThan(2 * 3 * 0x1000);
  });
});

test('a transfer restored on its way lands in the other machine', () => {
  const rig = new IdeRig();
  const regions = Array.from({ length: 34 }, (_, i) => [DATA_AT + 0x8000 * i, 0x8000] as const);
  rig.table(regions);
  rig.startDma({ code: 0x25, lba: 5, count: 34 * 64, extended: true }, true);
  rig.complete(rig.request());
  const other = new IdeRig();
  other.ram.memory.set(rig.ram.memory);
  other.ide.restore(rig.ide.save());
  const [pending] = other.ide.pendingRequests();
  expect(pending).toEqual(rig.request());
  other.complete(pending!);
  expect(Buffer.compare(other.ram.read(DATA_AT, 34 * 0x8000)!, sectorData(5, 34 * 64))).toBe(0);
  expect([other.bmIn(2), other.irq, other.status]).toEqual([INTERRUPT, true, READY]);
});
