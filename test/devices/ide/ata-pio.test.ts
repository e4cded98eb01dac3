/**
 * Goal: sectors reach the host and the medium over the data port, in the right order, size and moment.
 * Method: a guest driver on the port bus; the test answers disk requests with sectors that no two are alike.
 */
import { describe, expect, test } from '@jest/globals';
import { ABRT, BSY, DRQ, ERR, IDNF, IdeRig, READY, SECTOR, SECTORS, UNC, sectorData } from './ide-rig.js';

const EMPTY = new Uint8Array(0);

describe('reading', () => {
  test.each([2, 4])(
    'gives sectors as words of %i bytes, with an interrupt before each sector and none after',
    (size) => {
      const rig = new IdeRig();
      rig.send({ code: 0x20, lba: 0x12345, count: 3 });
      expect(rig.status).toBe(BSY);
      const request = rig.request();
      expect(request).toEqual({ drive: 2, tag: 0, op: 'read', sector: 0x12345, bytes: 3 * SECTOR, data: EMPTY });
      expect(rig.ide.pendingRequests()).toEqual([request]);
      rig.complete(request);
      for (let i = 0; i < 3; i++) {
        expect([rig.irq, rig.status, rig.irq]).toEqual([true, READY | DRQ, false]);
        expect(rig.readWords(SECTOR, size)).toEqual(sectorData(0x12345 + i));
      }
      expect([rig.irq, rig.status, rig.edgeCount]).toEqual([false, READY, 3]);
      expect([rig.in(2), rig.address()]).toEqual([0, 0x12347]);
      expect(rig.in(0, 2)).toBe(0xffff);
    },
  );

  test('takes count 0 for 256 sectors, or 65536 of a 48-bit command in chunks of 1 MiB', () => {
    const rig = new IdeRig();
    rig.send({ code: 0x20, count: 0 });
    expect(rig.request().bytes).toBe(256 * SECTOR);
    const other = new IdeRig();
    other.send({ code: 0x42, count: 0, lba: 1000, extended: true });
    for (let sector = 1000; sector < 1000 + 65536; sector += 2048) {
      const request = other.request();
      expect(request).toMatchObject({ op: 'read', sector, bytes: 2 ** 20 });
      expect(other.status).toBe(BSY);
      other.complete(request);
    }
    expect([other.irq, other.status, other.address(true)]).toEqual([true, READY, 1000 + 65535]);
  });

  test('gives what was answered, whatever becomes of that memory', () => {
    const rig = new IdeRig();
    rig.send({ code: 0x20, lba: 7, count: 2 });
    const memory = Buffer.from(sectorData(7, 2));
    const { drive, tag } = rig.request();
    rig.ide.complete({ drive, tag, status: 'ok', data: memory });
    memory.fill(0xee);
    expect(rig.readWords(SECTOR)).toEqual(sectorData(7));
    expect(rig.readWords(SECTOR)).toEqual(sectorData(8));
  });

  test('goes on with the next chunk when the host has read one', () => {
    const rig = new IdeRig();
    rig.send({ code: 0x24, lba: 300_000, count: 2049, extended: true });
    rig.complete(rig.request());
    expect(Buffer.compare(rig.readWords(2 ** 20, 4), sectorData(300_000, 2048))).toBe(0);
    expect(rig.altStatus).toBe(BSY);
    const request = rig.request();
    expect(request).toMatchObject({ sector: 302_048, bytes: SECTOR });
    rig.complete(request);
    expect(rig.readWords(SECTOR)).toEqual(sectorData(302_048));
    expect([rig.status, rig.address(true)]).toEqual([READY, 302_048]);
  });

  test('reads blocks of the size that was set, and a shorter last one', () => {
    const rig = new IdeRig();
    rig.send({ code: 0xc6, count: 4 });
    rig.send({ code: 0xc4, lba: 5, count: 10 });
    rig.complete(rig.request());
    const edges: number[] = [];
    for (let i = 0; i < 10; i++) {
      expect(rig.status).toBe(READY | DRQ);
      edges.push(rig.edgeCount);
      expect(rig.readWords(SECTOR)).toEqual(sectorData(5 + i));
    }
    expect(edges).toEqual([2, 2, 2, 2, 3, 3, 3, 3, 4, 4]);
    expect([rig.status, rig.edgeCount]).toEqual([READY, 4]);
  });

  test('reports an unreadable sector with its address and what is left', () => {
    const rig = new IdeRig();
    rig.send({ code: 0x20, lba: 100, count: 5 });
    rig.complete(rig.request(), 'error');
    expect([rig.irq, rig.status, rig.error]).toEqual([true, READY | ERR, UNC]);
    expect([rig.in(2), rig.address()]).toEqual([5, 100]);
    rig.send({ code: 0x10 });
    expect([rig.status, rig.error]).toEqual([READY, 0]);
  });

  test('a byte access takes a whole word, and a double word may end one block and begin the next', () => {
    const rig = new IdeRig();
    rig.send({ code: 0x20, count: 2 });
    rig.complete(rig.request());
    const bytes = sectorData(0, 2);
    expect(rig.in(0)).toBe(bytes[0]);
    rig.readWords(508, 4);
    expect(rig.in(0, 4)).toBe(new DataView(bytes.buffer).getUint32(510, true));
    expect(rig.edgeCount).toBe(1);
    expect([rig.in(0, 2), rig.status]).toEqual([bytes[514]! | (bytes[515]! << 8), READY | DRQ]);
  });

  test('a command in the middle of the data ends it', () => {
    const rig = new IdeRig();
    rig.send({ code: 0x20, lba: 3, count: 2 });
    rig.complete(rig.request());
    rig.readWords(100);
    rig.send({ code: 0x20, lba: 8, count: 1 });
    rig.complete(rig.request());
    expect(rig.readWords(SECTOR)).toEqual(sectorData(8));
    expect(rig.status).toBe(READY);
  });

  test('registers of a busy drive take no writes, and a command then is lost', () => {
    const rig = new IdeRig();
    rig.send({ code: 0x20, lba: 3, count: 1 });
    rig.send({ code: 0xec, lba: 99, count: 9, device: 1 });
    expect([rig.in(2), rig.in(3), rig.in(6)]).toEqual([1, 3, 0xe0]);
    rig.complete(rig.request());
    expect(rig.readWords(SECTOR)).toEqual(sectorData(3));
  });
});

describe('addresses', () => {
  test('by cylinder, head and sector, and back', () => {
    const rig = new IdeRig();
    rig.send({ code: 0x20, count: 2, chs: [3, 7, 63] });
    const sector = (3 * 16 + 7) * 63 + 62;
    const request = rig.request();
    expect(request.sector).toBe(sector);
    rig.complete(request);
    rig.readWords(2 * SECTOR);
    expect([rig.in(3), rig.in(4), rig.in(5), rig.in(6)]).toEqual([1, 3, 0, 0xa8]);
  });

  test('by the geometry that the host has set', () => {
    const rig = new IdeRig();
    rig.out(6, 0xa3);
    rig.out(2, 17);
    rig.out(7, 0x91);
    expect(rig.status).toBe(READY);
    const words = rig.identify();
    expect([...words.slice(54, 57)]).toEqual([Math.floor(SECTORS / 68), 4, 17]);
    expect(words[1]).toBe(Math.floor(SECTORS / 1008));
    rig.send({ code: 0x20, count: 1, chs: [300, 3, 17] });
    expect(rig.request().sector).toBe((300 * 4 + 3) * 17 + 16);
  });

  test('of 48 bits reach beyond 2^32', () => {
    const drive = { drive: 0, sectors: 2 ** 42, readonly: false, serial: '' };
    const rig = new IdeRig([drive, null, null, null]);
    rig.send({ code: 0x24, lba: 0x123_4567_89ab, count: 1, extended: true });
    const request = rig.request();
    expect(request.sector).toBe(0x123_4567_89ab);
    rig.complete(request);
    rig.readWords(SECTOR);
    expect(rig.address(true)).toBe(0x123_4567_89ab);
    const words = rig.identify();
    expect([...words.slice(100, 104)]).toEqual([0, 0, 0x400, 0]);
    expect([words[60], words[61], words[1]]).toEqual([0xffff, 0x0fff, 16383]);
  });

  test.each([
    ['behind the end', { code: 0x20, lba: SECTORS, count: 1 }],
    ['across the end', { code: 0x20, lba: SECTORS - 1, count: 2 }],
    ['across the end, writing', { code: 0x30, lba: SECTORS - 1, count: 2 }],
    ['across the end, by DMA', { code: 0xc8, lba: SECTORS - 1, count: 2 }],
    ['of 48 bits behind the end', { code: 0x24, lba: 2 ** 47, count: 1, extended: true }],
    ['sector 0 of a track', { code: 0x20, count: 1, chs: [0, 0, 0] }],
    ['sector 64 of a track', { code: 0x20, count: 1, chs: [0, 0, 64] }],
    ['a cylinder behind the last', { code: 0x20, count: 1, chs: [396, 0, 1] }],
    ['a seek behind the end', { code: 0x70, lba: SECTORS }],
  ] as const)('%s are not found', (_, command) => {
    const rig = new IdeRig();
    rig.send(command);
    expect(rig.requests()).toEqual([]);
    expect([rig.irq, rig.status, rig.error]).toEqual([true, READY | ERR, IDNF]);
  });
});

describe('writing', () => {
  test.each([2, 4])('collects words of %i bytes, with an interrupt after each sector', (size) => {
    const rig = new IdeRig();
    rig.send({ code: 0x30, lba: 50, count: 3 });
    expect([rig.irq, rig.status]).toEqual([false, READY | DRQ]);
    for (let i = 0; i < 3; i++) {
      expect(rig.requests()).toEqual([]);
      rig.writeWords(sectorData(50 + i), size);
      expect([rig.irq, rig.status]).toEqual(i < 2 ? [true, READY | DRQ] : [false, BSY]);
    }
    const request = rig.request();
    expect(request).toMatchObject({ op: 'write', sector: 50, bytes: 3 * SECTOR, data: sectorData(50, 3) });
    rig.complete(request);
    expect([rig.irq, rig.status, rig.edgeCount, rig.address()]).toEqual([true, READY, 3, 52]);
  });

  test('interrupts for each chunk of 1 MiB and at the end', () => {
    const rig = new IdeRig();
    rig.send({ code: 0xc6, count: 16 });
    rig.send({ code: 0x39, lba: 7, count: 2050, extended: true });
    expect(rig.status).toBe(READY | DRQ);
    rig.writeWords(sectorData(7, 2048), 4);
    expect(rig.status).toBe(BSY);
    const edges = rig.edgeCount;
    expect(rig.completeWrite()).toMatchObject({ sector: 7, bytes: 2 ** 20 });
    expect([rig.irq, rig.edgeCount - edges, rig.status]).toEqual([true, 1, READY | DRQ]);
    rig.writeWords(sectorData(7 + 2048, 2), 4);
    expect(rig.completeWrite()).toMatchObject({ sector: 7 + 2048, data: sectorData(7 + 2048, 2) });
    expect([rig.irq, rig.status, rig.address(true)]).toEqual([true, READY, 7 + 2049]);
  });

  test('a byte access gives a whole word', () => {
    const rig = new IdeRig();
    rig.send({ code: 0x30, count: 1 });
    for (let i = 0; i < 256; i++) rig.out(0, i);
    const data = new Uint8Array(SECTOR).map((_, at) => (at % 2 === 0 ? at / 2 : 0));
    expect(rig.request().data).toEqual(data);
  });

  test('without a write cache is over only when it has been flushed', () => {
    const rig = new IdeRig();
    rig.send({ code: 0xef, features: 0x82 });
    expect(rig.status).toBe(BSY);
    rig.complete(rig.request());
    expect(rig.identify()[85]! & 0x20).toBe(0);
    rig.send({ code: 0x30, lba: 4, count: 1 });
    rig.writeWords(sectorData(4));
    rig.completeWrite();
    expect(rig.status).toBe(BSY);
    const flush = rig.request();
    expect(flush).toMatchObject({ op: 'flush', tag: 2 });
    rig.complete(flush);
    expect([rig.irq, rig.status]).toEqual([true, READY]);
  });

  test('reports a failed write, and a failed flush', () => {
    const rig = new IdeRig();
    rig.send({ code: 0x30, lba: 4, count: 1 });
    rig.writeWords(sectorData(4));
    rig.complete(rig.request(), 'error');
    expect([rig.irq, rig.status, rig.error, rig.address()]).toEqual([true, READY | ERR, ABRT, 4]);
    rig.send({ code: 0xea });
    rig.complete(rig.request(), 'error');
    expect([rig.irq, rig.status, rig.error]).toEqual([true, READY | ERR, ABRT]);
  });

  test('to a read-only drive is refused', () => {
    const rig = new IdeRig();
    for (const code of [0x30, 0x34, 0xca, 0x35]) {
      rig.send({ code, count: 1, device: 1 });
      expect([rig.status, rig.error]).toEqual([READY | ERR, ABRT]);
    }
    expect(rig.requests()).toEqual([]);
  });
});

test('a drive restored in the middle of a transfer goes on with it', () => {
  const rig = new IdeRig();
  rig.send({ code: 0x20, lba: 60, count: 2 });
  rig.complete(rig.request());
  rig.readWords(300);
  const other = new IdeRig();
  other.ide.restore(rig.ide.save());
  expect(other.levels).toEqual([false, false]);
  expect(other.readWords(2 * SECTOR - 300)).toEqual(sectorData(60, 2).subarray(300));
  other.send({ code: 0x30, lba: 61, count: 2 });
  other.writeWords(sectorData(61, 2).subarray(0, 700));
  rig.ide.restore(other.ide.save());
  rig.writeWords(sectorData(61, 2).subarray(700));
  const pending = rig.request();
  expect(pending.data).toEqual(sectorData(61, 2));
  other.ide.restore(rig.ide.save());
  expect(other.ide.pendingRequests()).toEqual([pending]);
  other.complete(pending);
  expect(other.status).toBe(READY);
});
