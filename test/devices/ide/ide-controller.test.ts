/**
 * Goal: firmware and kernels find the controller, its drives and empty places, and drive selection, resets and
 * interrupts work as on the hardware.
 * Method: a guest driver on the port bus; configuration space through the PCI function; the device contract.
 */
import { describe, expect, test } from '@jest/globals';
import { describeDeviceContract } from '../device-contract.js';
import { ABRT, BSY, DRQ, ERR, IdeRig, MASTER, READY, SECTOR, SLAVE, type Drives } from './ide-rig.js';

const NO_DRIVES: Drives = [null, null, null, null];

describe('configuration space', () => {
  const { pci } = new IdeRig().ide;

  test('shows a PIIX3 IDE function in legacy mode with a bus master', () => {
    expect(pci.configRead(0, 4)).toBe(0x70108086);
    expect(pci.configRead(8, 4) >>> 8).toBe(0x010180);
    expect([0x10, 0x14, 0x18, 0x1c].map((bar) => pci.configRead(bar, 4))).toEqual([0, 0, 0, 0]);
    expect(pci.configRead(0x3d, 1)).toBe(0);
  });

  test('sizes BAR4 as 16 bytes of I/O', () => {
    const other = new IdeRig().ide.pci;
    other.configWrite(0x20, 4, 0xffffffff);
    expect(other.configRead(0x20, 4)).toBe(0xfffffff1);
  });

  test('has both channels enabled before any firmware ran, and keeps timings', () => {
    const other = new IdeRig().ide.pci;
    expect([other.configRead(0x41, 1), other.configRead(0x43, 1)]).toEqual([0x80, 0x80]);
    other.configWrite(0x40, 4, 0xa307b303);
    other.configWrite(0x44, 1, 0x5a);
    expect([other.configRead(0x40, 4), other.configRead(0x44, 1)]).toEqual([0xa307b303, 0x5a]);
  });
});

test('takes the legacy ports of both channels', () => {
  expect(new IdeRig().ide.ports.map(({ name, base, count }) => [name, base, count])).toEqual([
    ['ide-primary', 0x1f0, 8],
    ['ide-primary-control', 0x3f6, 1],
    ['ide-secondary', 0x170, 8],
    ['ide-secondary-control', 0x376, 1],
  ]);
});

describe('places', () => {
  test('an absent device 1 has status 0 and takes no command, and shows that it is selected', () => {
    const rig = new IdeRig([MASTER, null, null, null]);
    rig.out(6, 0xb0);
    expect([rig.status, rig.altStatus, rig.in(6)]).toEqual([0, 0, 0xb0]);
    rig.out(2, 0x55);
    expect(rig.in(2)).toBe(0);
    rig.out(7, 0xec);
    expect([rig.status, rig.irq, rig.in(0, 2)]).toEqual([0, false, 0xffff]);
    rig.out(6, 0xa0);
    expect(rig.status).toBe(READY);
  });

  test('an absent device 0 beside a present device 1 has status 0', () => {
    const rig = new IdeRig().secondary();
    expect([rig.status, rig.in(6)]).toEqual([0, 0]);
    rig.out(6, 0xb0);
    expect([rig.status, rig.in(6)]).toEqual([READY, 0xb0]);
  });

  test('an empty channel reads 0 and swallows everything', () => {
    const rig = new IdeRig(NO_DRIVES);
    for (let register = 1; register < 8; register++) {
      rig.out(register, 0xec);
      expect(rig.in(register)).toBe(0);
    }
    rig.control(4);
    rig.control(0);
    expect([rig.altStatus, rig.irq]).toEqual([0, false]);
  });

  test('the two drives keep registers and settings of their own', () => {
    const rig = new IdeRig();
    expect(rig.identify(0)[60]).toBe(MASTER.sectors & 0xffff);
    expect(rig.identify(1)[60]).toBe(SLAVE.sectors);
    rig.send({ code: 0xc6, count: 8 });
    rig.send({ code: 0xff, device: 1 });
    expect([rig.status, rig.error]).toEqual([READY | ERR, ABRT]);
    expect(rig.identify(1)[59]).toBe(0);
    expect(rig.identify(0)[59]).toBe(0x108);
    rig.out(6, 0xb0);
    expect(rig.error).toBe(0);
  });

  test('registers are two deep, and HOB shows the deeper one until the next write', () => {
    const rig = new IdeRig();
    for (const value of [0x12, 0x34]) rig.out(3, value);
    expect(rig.in(3)).toBe(0x34);
    rig.control(0x80);
    expect(rig.in(3)).toBe(0x12);
    rig.out(2, 1);
    expect(rig.in(3)).toBe(0x34);
  });

  test('16-bit and 32-bit accesses to byte registers reach them one by one', () => {
    const rig = new IdeRig();
    rig.out(2, 0x44332211, 4);
    expect([rig.in(2), rig.in(3), rig.in(4), rig.in(5)]).toEqual([0x11, 0x22, 0x33, 0x44]);
    expect(rig.in(2, 4)).toBe(0x44332211);
    expect(rig.in(6, 2)).toBe((READY << 8) | 0xa0);
  });
});

describe('interrupts', () => {
  test('follow the selected drive, and reading status, but not alternate status, ends them', () => {
    const rig = new IdeRig();
    rig.send({ code: 0xe7 });
    rig.complete(rig.request());
    expect([rig.irq, rig.altStatus, rig.irq]).toEqual([true, READY, true]);
    rig.out(6, 0xb0);
    expect(rig.irq).toBe(false);
    rig.out(6, 0xa0);
    expect(rig.irq).toBe(true);
    expect([rig.status, rig.irq]).toEqual([READY, false]);
  });

  test('are held back by nIEN, and come when it goes', () => {
    const rig = new IdeRig();
    rig.control(2);
    rig.send({ code: 0x91, count: 63 });
    expect([rig.irq, rig.bmIn(2)]).toEqual([false, 0]);
    rig.control(0);
    expect([rig.irq, rig.bmIn(2)]).toEqual([true, 4]);
  });

  test('a new command ends the one before', () => {
    const rig = new IdeRig();
    rig.send({ code: 0x10 });
    expect(rig.irq).toBe(true);
    rig.send({ code: 0xe7 });
    expect([rig.irq, rig.status]).toEqual([false, BSY]);
  });

  test('of the secondary channel go to its own line', () => {
    const rig = new IdeRig().secondary();
    rig.send({ code: 0x10, device: 1 });
    expect(rig.levels).toEqual([false, true]);
  });
});

describe('resets', () => {
  test('a software reset keeps both drives busy, then leaves the signature of an ATA drive and device 0', () => {
    const rig = new IdeRig();
    rig.send({ code: 0xec, device: 1 });
    expect(rig.irq).toBe(true);
    rig.control(4);
    expect([rig.altStatus, rig.irq]).toEqual([BSY, false]);
    rig.out(6, 0xb0);
    rig.out(7, 0x10);
    rig.control(0);
    expect([rig.status, rig.in(6), rig.error]).toEqual([READY, 0xa0, 1]);
    expect([2, 3, 4, 5].map((register) => rig.in(register))).toEqual([1, 1, 0, 0]);
    expect(rig.edgeCount).toBe(1);
  });

  test('a software reset waits for the write that is on its way, and forgets what it was for', () => {
    const rig = new IdeRig();
    rig.send({ code: 0x30, lba: 9, count: 1 });
    rig.writeWords(new Uint8Array(SECTOR).fill(1));
    const request = rig.request();
    rig.control(4);
    rig.control(0);
    expect(rig.altStatus).toBe(BSY);
    expect(rig.ide.pendingRequests()).toEqual([request]);
    rig.complete(request);
    expect([rig.altStatus, rig.irq, rig.error]).toEqual([READY, false, 1]);
    expect(rig.ide.pendingRequests()).toEqual([]);
  });

  test('no diagnosis reaches a drive in reset, also where device 0 is absent', () => {
    const rig = new IdeRig().secondary();
    rig.control(4);
    rig.out(7, 0x90);
    expect(() => new IdeRig().ide.restore(rig.ide.save())).not.toThrow();
    rig.control(0);
    rig.out(6, 0xb0);
    expect(rig.status).toBe(READY);
  });

  test('device 0 is busy until the last write to device 1 is done', () => {
    const rig = new IdeRig([MASTER, { ...SLAVE, readonly: false }, null, null]);
    rig.send({ code: 0x30, lba: 9, count: 1, device: 1 });
    rig.writeWords(new Uint8Array(SECTOR).fill(1));
    const request = rig.request();
    rig.control(4);
    rig.control(0);
    expect(rig.status).toBe(BSY);
    rig.out(7, 0x90);
    expect(() =>
      new IdeRig([MASTER, { ...SLAVE, readonly: false }, null, null]).ide.restore(rig.ide.save()),
    ).not.toThrow();
    rig.complete(request);
    expect(rig.status).toBe(READY);
    rig.send({ code: 0xec, device: 1 });
    expect(rig.status).toBe(READY | DRQ);
  });

  test('an answer that comes while reset is held does not end it', () => {
    const rig = new IdeRig();
    rig.send({ code: 0x20, count: 1 });
    rig.control(4);
    rig.complete(rig.request());
    expect(rig.altStatus).toBe(BSY);
    rig.control(0);
    expect(rig.altStatus).toBe(READY);
  });

  test('resets without end leave one pending request', () => {
    const rig = new IdeRig();
    for (let i = 0; i < 1000; i++) {
      rig.send({ code: 0x20, count: 1 });
      rig.control(4);
      rig.control(0);
    }
    expect(rig.ide.pendingRequests()).toHaveLength(1);
  });

  test('EXECUTE DEVICE DIAGNOSTIC reaches both drives whichever is selected, and device 0 reports', () => {
    const rig = new IdeRig();
    rig.send({ code: 0xff, device: 1 });
    rig.send({ code: 0x90, device: 1 });
    expect([rig.irq, rig.status, rig.error, rig.in(6)]).toEqual([true, READY, 1, 0xa0]);
    rig.out(6, 0xb0);
    expect([rig.irq, rig.status, rig.error]).toEqual([false, READY, 1]);
  });

  test('settings outlive a software reset', () => {
    const rig = new IdeRig();
    rig.send({ code: 0xc6, count: 16 });
    rig.control(4);
    rig.control(0);
    expect(rig.identify()[59]).toBe(0x110);
  });
});

describe('saved state', () => {
  test('belongs to a controller with the same drives', () => {
    const state = new IdeRig().ide.save();
    for (const drives of [NO_DRIVES, [MASTER, null, null, null], [MASTER, SLAVE, MASTER, SLAVE]] as const) {
      const { ide } = new IdeRig(drives);
      const before = ide.save();
      expect(() => {
        ide.restore(state);
      }).toThrow('drives');
      expect(ide.save()).toEqual(before);
    }
  });
});

/** The registers of a controller for the contract, and a way to get it to work. */
function subject(busy: (rig: IdeRig) => void): Parameters<typeof describeDeviceContract>[1] {
  return () => {
    const rig = new IdeRig();
    rig.ide.reset();
    return {
      device: rig.ide,
      blocks: [
        ...rig.ide.ports.map(({ registers, count }) => ({ registers, bytes: count })),
        { registers: rig.ide.pci.bars[4]!.registers, bytes: 16 },
      ],
      get calls() {
        return [...rig.calls, ...rig.environment.outputs.map(({ kind }) => kind)];
      },
      busy: () => {
        rig.assign();
        busy(rig);
      },
    };
  };
}

describeDeviceContract(
  'a controller in the middle of reading',
  subject((rig) => {
    rig.send({ code: 0xc6, count: 4 });
    rig.send({ code: 0xc4, lba: 77, count: 7 });
    rig.complete(rig.request());
    rig.readWords(5 * SECTOR + 100);
    expect(rig.status).toBe(READY | DRQ);
    rig.secondary().send({ code: 0xff, device: 1 });
  }),
);
describeDeviceContract(
  'a controller in the middle of writing',
  subject((rig) => {
    rig.send({ code: 0x30, lba: 77, count: 3 });
    rig.writeWords(new Uint8Array(SECTOR + 6).fill(9), 2);
    expect(rig.status).toBe(READY | DRQ);
  }),
);
describeDeviceContract(
  'a controller waiting for the bus master',
  subject((rig) => {
    rig.table([[0x20_0000, 512]]);
    rig.send({ code: 0xc8, lba: 77, count: 3 });
    expect(rig.status).toBe(READY | DRQ);
  }),
);
describeDeviceContract(
  'a busy controller',
  subject((rig) => {
    rig.table([
      [0x20_0000, 0x8000],
      [0x21_0000, 0x8000],
    ]);
    rig.startDma({ code: 0xca, lba: 77, count: 100 }, false);
    rig.requests();
    expect(rig.status).toBe(BSY);
  }),
);
describeDeviceContract(
  'a controller in reset',
  subject((rig) => {
    rig.send({ code: 0x20, lba: 77, count: 100 });
    rig.requests();
    rig.control(4);
    rig.control(0);
    expect(rig.status).toBe(BSY);
  }),
);
