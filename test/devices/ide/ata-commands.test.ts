/**
 * Goal: a host learns from IDENTIFY what the drive can do, sets it up, and gets an abort for everything else.
 * Method: every command code is sent through the ports; IDENTIFY is read word by word as a driver decodes it.
 */
import { describe, expect, test } from '@jest/globals';
import { ABRT, BSY, DRQ, ERR, IDNF, IdeRig, MASTER, READY, SECTORS, SLAVE } from './ide-rig.js';

/** Text of IDENTIFY words: two characters in each, the first in the high byte. */
function text(words: Uint16Array, first: number, count: number): string {
  return [...words.slice(first, first + count)].map((word) => String.fromCharCode(word >> 8, word & 0xff)).join('');
}

describe('IDENTIFY DEVICE', () => {
  test('is one block with an interrupt', () => {
    const rig = new IdeRig();
    rig.send({ code: 0xec });
    expect([rig.irq, rig.status]).toEqual([true, READY | DRQ]);
    rig.readWords(510);
    expect(rig.status).toBe(READY | DRQ);
    rig.readWords(2);
    expect([rig.status, rig.requests()]).toEqual([READY, []]);
  });

  test('tells size, geometry and names', () => {
    const words = new IdeRig().identify();
    expect(words[0]).toBe(0x0040);
    expect([words[1], words[3], words[6]]).toEqual([396, 16, 63]);
    expect([words[4], words[5]]).toEqual([63 * 512, 512]);
    expect([...words.slice(53, 57)]).toEqual([7, 396, 16, 63]);
    expect(words[57]! + words[58]! * 65536).toBe(396 * 16 * 63);
    expect(words[60]! + words[61]! * 65536).toBe(SECTORS);
    expect(words[100]! + words[101]! * 65536).toBe(SECTORS);
    expect(text(words, 10, 10)).toBe(MASTER.serial.padEnd(20));
    expect(text(words, 27, 20)).toBe('ft86 disk'.padEnd(40));
    expect(text(words, 23, 4)).toBe('1.0'.padEnd(8));
  });

  test('tells commands, caches and transfer modes', () => {
    const words = new IdeRig().identify();
    expect([words[47], words[49], words[50], words[59]]).toEqual([0x8010, 0x0f00, 0x4000, 0]);
    expect([words[63], words[64], words[88]]).toEqual([0x0407, 3, 0x003f]);
    expect([...words.slice(82, 88)]).toEqual([0x4068, 0x7400, 0x4000, 0x4068, 0x3400, 0x4000]);
  });

  test('tells master and slave apart, and sums up to 0', () => {
    const rig = new IdeRig();
    expect([rig.identify(0)[93], rig.identify(1)[93]]).toEqual([0x600b, 0x6300]);
    for (const device of [0, 1] as const) {
      const bytes = new Uint8Array(rig.identify(device).buffer);
      expect(bytes[510]).toBe(0xa5);
      expect(bytes.reduce((sum, byte) => sum + byte, 0) & 0xff).toBe(0);
    }
  });

  test.each([1, 1007, 1008, 2015])('gives a drive of %i sectors one cylinder', (sectors) => {
    const rig = new IdeRig([
      { drive: 0, sectors, readonly: false, serial: 'no\u00e9n-ascii and far too long' },
      null,
      null,
      null,
    ]);
    const words = rig.identify();
    expect([words[1], words[60], words[57]]).toEqual([1, sectors, Math.min(sectors, 1008)]);
    expect(text(words, 10, 10)).toBe('no n-ascii and far t');
    rig.send({ code: 0x20, count: 1, chs: [0, 0, 1] });
    expect(rig.request().sector).toBe(0);
  });
});

describe('SET FEATURES', () => {
  test.each([
    [0x00, 0x07, 0x3f],
    [0x0c, 0x07, 0x3f],
    [0x20, 0x0107, 0x3f],
    [0x22, 0x0407, 0x3f],
    [0x42, 0x07, 0x043f],
    [0x45, 0x07, 0x203f],
  ])('takes transfer mode 0x%x', (mode, multiword, ultra) => {
    const rig = new IdeRig();
    rig.send({ code: 0xef, features: 3, count: mode });
    expect([rig.irq, rig.status]).toEqual([true, READY]);
    const words = rig.identify();
    expect([words[63], words[88]]).toEqual([multiword, ultra]);
  });

  test('refuses modes that the drive lacks, and subcommands that it does not know', () => {
    const rig = new IdeRig();
    for (const count of [0x02, 0x0d, 0x10, 0x23, 0x46, 0x80, 0xff]) {
      rig.send({ code: 0xef, features: 3, count });
      expect([rig.status, rig.error]).toEqual([READY | ERR, ABRT]);
    }
    for (const features of [0x00, 0x05, 0x42, 0xcc, 0xff]) {
      rig.send({ code: 0xef, features });
      expect([rig.status, rig.error]).toEqual([READY | ERR, ABRT]);
    }
  });

  test('turns caches off and on', () => {
    const rig = new IdeRig();
    rig.send({ code: 0xef, features: 0x55 });
    expect(rig.identify()[85]).toBe(0x4028);
    rig.send({ code: 0xef, features: 0xaa });
    rig.send({ code: 0xef, features: 0x82 });
    rig.complete(rig.request());
    expect(rig.identify()[85]).toBe(0x4048);
    rig.send({ code: 0xef, features: 0x02 });
    expect(rig.requests()).toEqual([]);
    expect(rig.identify()[85]).toBe(0x4068);
    rig.send({ code: 0xef, features: 0x66 });
    expect(rig.status).toBe(READY);
  });
});

test('SET MULTIPLE MODE takes powers of two up to 16, 0 turns it off, and so does a wrong one', () => {
  const rig = new IdeRig();
  for (const [count, word] of [
    [1, 0x101],
    [16, 0x110],
    [0, 0],
    [2, 0x102],
    [32, 0],
    [8, 0x108],
    [3, 0],
  ] as const) {
    rig.send({ code: 0xc6, count });
    expect(rig.status).toBe(word === 0 && count !== 0 ? READY | ERR : READY);
    expect(rig.identify()[59]).toBe(word);
  }
  for (const code of [0xc4, 0xc5, 0x29, 0x39]) {
    rig.send({ code, count: 1 });
    expect([rig.status, rig.error]).toEqual([READY | ERR, ABRT]);
  }
});

test('INITIALIZE DEVICE PARAMETERS refuses tracks without sectors', () => {
  const rig = new IdeRig();
  rig.send({ code: 0x91, count: 0 });
  expect([rig.status, rig.error]).toEqual([READY | ERR, ABRT]);
  expect(rig.identify()[56]).toBe(63);
});

test('READ VERIFY reads the medium and moves nothing', () => {
  const rig = new IdeRig();
  rig.send({ code: 0x40, lba: 12, count: 4 });
  const good = rig.request();
  expect(good).toMatchObject({ op: 'read', sector: 12, bytes: 2048 });
  rig.complete(good);
  expect([rig.irq, rig.status, rig.address()]).toEqual([true, READY, 15]);
  rig.send({ code: 0x41, lba: 12, count: 4 });
  rig.complete(rig.request(), 'error');
  expect([rig.status, rig.error]).toEqual([READY | ERR, 0x40]);
});

describe('power management', () => {
  test.each([
    ['idle', [0xe1, 0x95, 0xe3, 0x97], 0x80],
    ['standby', [0xe0, 0x94, 0xe2, 0x96], 0x00],
  ] as const)('%s is told by CHECK POWER MODE, and a transfer ends it', (mode, codes, value) => {
    for (const code of codes) {
      const rig = new IdeRig();
      rig.send({ code });
      // A drive writes its cache back before its medium stops.
      expect(rig.altStatus).toBe(mode === 'standby' ? BSY : READY);
      for (const request of rig.requests()) rig.complete(request);
      rig.send({ code: 0xe5 });
      expect([rig.irq, rig.status, rig.in(2)]).toEqual([true, READY, value]);
      rig.send({ code: 0x20, count: 1 });
      rig.complete(rig.request());
      rig.send({ code: 0x98 });
      expect(rig.in(2)).toBe(0xff);
    }
  });

  test('a sleeping drive aborts everything until it is reset', () => {
    const rig = new IdeRig();
    rig.send({ code: 0xe6 });
    rig.complete(rig.request());
    for (const code of [0x20, 0xec, 0xe5]) {
      rig.send({ code, count: 1 });
      expect([rig.status, rig.error]).toEqual([READY | ERR, ABRT]);
    }
    rig.control(4);
    rig.control(0);
    rig.send({ code: 0xe5 });
    expect([rig.status, rig.in(2)]).toEqual([READY, 0xff]);
  });
});

test('SEEK and RECALIBRATE succeed at once', () => {
  const rig = new IdeRig();
  for (const code of [0x70, 0x10, 0x1f]) {
    rig.send({ code, lba: 5 });
    expect([rig.irq, rig.status, rig.error]).toEqual([true, READY, 0]);
  }
  rig.send({ code: 0x70, chs: [0, 0, 0] });
  expect([rig.status, rig.error]).toEqual([READY | ERR, IDNF]);
});

test('all other commands, NOP and those of packet devices among them, are aborted with an interrupt', () => {
  const known = [
    0x20, 0x21, 0x24, 0x25, 0x29, 0x30, 0x31, 0x34, 0x35, 0x39, 0x40, 0x41, 0x42, 0x70, 0x90, 0x91, 0xc4, 0xc5, 0xc6,
    0xc8, 0xc9, 0xca, 0xcb, 0xe7, 0xea, 0xec, 0xef, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0xe0, 0xe1, 0xe2, 0xe3, 0xe5,
    0xe6,
  ];
  for (let code = 0; code < 256; code++) {
    if (known.includes(code) || (code & 0xf0) === 0x10) continue;
    const rig = new IdeRig([SLAVE, null, null, null]);
    rig.send({ code, count: 1 });
    expect([code, rig.irq, rig.status, rig.error]).toEqual([code, true, READY | ERR, ABRT]);
    expect(rig.requests()).toEqual([]);
  }
});
