/**
 * Goal: a guest finds, sizes, places and uses PCI functions through the ports alone, and no placement does harm.
 * Method: port and memory bus with a host bridge and small functions; scans and placements as firmware makes them.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { InvariantError } from '../../emulator/errors.js';
import type { RegisterBlock } from '../../devices/device.js';
import { IrqRouter } from '../../devices/irq-router.js';
import { MemoryBus } from '../../devices/memory-bus.js';
import type { PciBar } from '../../devices/pci-config.js';
import { PciFunction } from '../../devices/pci-device.js';
import { PCI_PORT, PCI_PORT_COUNT, PciHost } from '../../devices/pci-host.js';
import { PortBus } from '../../devices/port-bus.js';
import { describeDeviceContract } from './device-contract.js';
import { FakeWorld } from './fake-world.js';

/** Reads as `tag` in every byte. */
function tagged(tag: number): RegisterBlock & { readonly written: string[] } {
  const written: string[] = [];
  return {
    written,
    read: (_offset, size) => [0, tag, tag * 0x101, 0, tag * 0x1010101][size]!,
    write: (offset, size, value) => written.push(`${offset}/${size}=${value.toString(16)}`),
  };
}

function createFunction(deviceId: number, bars: (PciBar | null)[], interruptPin: 0 | 1 | 2 = 1): PciFunction {
  return new PciFunction({
    vendorId: 0x1234,
    deviceId,
    classCode: 0x010000,
    revision: 0,
    subsystemVendorId: 0,
    subsystemId: 0,
    interruptPin,
    bars,
  });
}

function create() {
  const world = new FakeWorld();
  const router = new IrqRouter({ line: (irq) => world.line(`irq ${irq}`), route: (pirq) => 10 + (pirq >> 1) });
  const device = new PciHost({ environment: world, router });
  const ports = new PortBus();
  const memory = new MemoryBus();
  ports.insert('pci', PCI_PORT, PCI_PORT_COUNT, device, 4);
  ports.setMovable(device.ioRanges);
  memory.setMovable(device.memoryRanges);
  const select = (slot: number, register: number, fn = 0, bus = 0) =>
    ports.write(0xcf8, 4, (0x80000000 | (bus << 16) | (slot << 11) | (fn << 8) | register) >>> 0);
  const get = (slot: number, register: number) => {
    select(slot, register);
    return ports.read(0xcfc, 4);
  };
  const set = (slot: number, register: number, value: number) => {
    select(slot, register);
    ports.write(0xcfc, 4, value);
  };
  const busy = () => {
    set(0, 0x58, 0x11223344);
    select(3, 0x44, 1);
    ports.write(0xcf9, 1, 0x02);
  };
  const blocks = [{ registers: device, bytes: PCI_PORT_COUNT }];
  return { world, router, device, ports, memory, select, get, set, blocks, calls: world.calls, busy };
}

/** Two functions, in slots 2 and 3, with an I/O BAR of 64 bytes and a memory BAR of 4 KiB each. */
function createWithTwo() {
  const host = create();
  const registers = [tagged(0x22), tagged(0x23), tagged(0x32), tagged(0x33)] as const;
  const barsOf = (io: RegisterBlock, mem: RegisterBlock): PciBar[] => [
    { kind: 'io', bytes: 64, registers: io },
    { kind: 'memory', bytes: 4096, registers: mem },
  ];
  const second = createFunction(3, barsOf(registers[2], registers[3]));
  const first = createFunction(2, barsOf(registers[0], registers[1]));
  // Inserted in the wrong order on purpose.
  host.device.insert(3, 0, second);
  host.device.insert(2, 0, first);
  return { ...host, registers, first, second };
}

describeDeviceContract('PCI host', create);

describe('configuration mechanism 1', () => {
  test('the address register is found by writing and reading it as a dword', () => {
    const { ports } = create();
    ports.write(0xcf8, 4, 0x80000000);
    expect(ports.read(0xcf8, 4)).toBe(0x80000000);
    ports.write(0xcf8, 4, 0xffffffff);
    expect(ports.read(0xcf8, 4)).toBe(0x80fffffc);
    ports.write(0xcfb, 1, 0x01);
    ports.write(0xcf8, 2, 0);
    expect(ports.read(0xcf8, 4)).toBe(0x80fffffc);
    expect(ports.read(0xcfb, 1)).toBe(0xff);
  });

  test('the bridge is a 440FX in slot 0', () => {
    const { get } = create();
    expect([get(0, 0), get(0, 8) >>> 8]).toEqual([0x12378086, 0x060000]);
  });

  test('absent functions and buses read all ones, and writes to them vanish', () => {
    const { get, set, select, ports } = create();
    expect(get(5, 0)).toBe(0xffffffff);
    set(5, 4, 7);
    select(0, 0, 1);
    expect(ports.read(0xcfc, 2)).toBe(0xffff);
    select(0, 0, 0, 1);
    expect(ports.read(0xcfc, 1)).toBe(0xff);
  });

  test('without the enable bit the data port is open bus', () => {
    const { ports } = create();
    ports.write(0xcf8, 4, 0x00000000);
    expect(ports.read(0xcfc, 4)).toBe(0xffffffff);
  });

  test('bytes and words of the data port are those of the register', () => {
    const { ports, select, set, get } = create();
    select(0, 0);
    expect([0xcfc, 0xcfd, 0xcfe, 0xcff].map((port) => ports.read(port, 1))).toEqual([0x86, 0x80, 0x37, 0x12]);
    expect([ports.read(0xcfd, 2), ports.read(0xcfe, 2)]).toEqual([0x3780, 0x1237]);
    set(0, 0x58, 0);
    ports.write(0xcfd, 1, 0x30);
    ports.write(0xcfe, 2, 0x3333);
    expect(get(0, 0x58)).toBe(0x33333000);
  });

  test('a scan finds exactly the functions that are there', () => {
    const { get } = createWithTwo();
    const found = Array.from({ length: 32 }, (_, slot) => slot).filter((slot) => get(slot, 0) !== 0xffffffff);
    expect(found).toEqual([0, 2, 3]);
  });

  test('a place is given away once', () => {
    const { device } = createWithTwo();
    expect(() => device.insert(2, 0, createFunction(9, []))).toThrow(InvariantError);
    expect(() => device.insert(32, 0, createFunction(9, []))).toThrow(InvariantError);
    expect(() => device.insert(4, 8, createFunction(9, []))).toThrow(InvariantError);
  });
});

describe('reset control', () => {
  test('a rising bit 2 resets, in the two steps of drivers and in one', () => {
    for (const values of [[0x02, 0x06], [0x06]]) {
      const { ports, world } = create();
      for (const value of values) ports.write(0xcf9, 1, value);
      ports.write(0xcf9, 1, 0x06);
      expect(world.take()).toEqual(['stop reset 0']);
      expect(ports.read(0xcf9, 1)).toBe(0x06);
    }
  });
});

describe('resources assigned by firmware', () => {
  test('are distinct, aligned, enabled, and the same every time', () => {
    const { device, first, second, get } = createWithTwo();
    device.assignResources();
    expect([first.barAddress(0), second.barAddress(0)]).toEqual([0xc000, 0xc040]);
    expect([first.barAddress(1), second.barAddress(1)]).toEqual([0xfe000000, 0xfe001000]);
    expect([get(2, 4), get(3, 4)]).toEqual([3, 3]);
    expect([get(2, 0x3c), get(3, 0x3c)]).toEqual([0x010a, 0x010b]);
  });

  test('leave functions without BARs and pins alone', () => {
    const { device, get } = create();
    device.insert(1, 0, createFunction(1, [], 0));
    device.assignResources();
    expect([get(1, 4), get(1, 0x3c), get(0, 4)]).toEqual([0, 0, 0]);
  });

  test('align a large BAR behind a small one', () => {
    const { device } = create();
    const pci = createFunction(1, [
      { kind: 'memory', bytes: 16, registers: tagged(1) },
      null,
      { kind: 'memory', bytes: 0x10000, registers: tagged(2) },
    ]);
    device.insert(1, 0, pci);
    device.assignResources();
    expect([pci.barAddress(0), pci.barAddress(1), pci.barAddress(2)]).toEqual([0xfe000000, null, 0xfe010000]);
  });

  test('that do not fit are our mistake', () => {
    const { device } = create();
    const bar: PciBar = { kind: 'io', bytes: 0x2000, registers: tagged(1) };
    device.insert(1, 0, createFunction(1, [bar, bar, bar]));
    expect(() => device.assignResources()).toThrow(InvariantError);
  });
});

describe('base addresses', () => {
  test('lead accesses of every width to the function', () => {
    const { device, ports, memory, registers } = createWithTwo();
    device.assignResources();
    expect([ports.read(0xc000, 1), ports.read(0xc07e, 2), ports.read(0xc03c, 4)]).toEqual([0x22, 0x3232, 0x22222222]);
    expect([memory.read(0xfe000fff, 1), memory.read(0xfe001ffc, 4)]).toEqual([0x23, 0x33333333]);
    ports.write(0xc041, 2, 0xabcd);
    memory.write(0xfe001800, 4, 0xdeadbeef);
    expect([registers[2].written, registers[3].written]).toEqual([['1/2=abcd'], ['2048/4=deadbeef']]);
  });

  test('an access across the border of two functions is split', () => {
    const { device, ports, memory } = createWithTwo();
    device.assignResources();
    expect(ports.read(0xc03e, 4)).toBe(0x32322222);
    expect(memory.read(0xfe001fff, 2)).toBe(0xff33);
  });

  test('nothing answers while decoding is off', () => {
    const { device, ports, memory, set } = createWithTwo();
    device.assignResources();
    set(2, 4, 0);
    expect([ports.read(0xc000, 1), memory.read(0xfe000000, 4)]).toEqual([0xff, 0xffffffff]);
    expect(ports.read(0xc040, 1)).toBe(0x32);
  });

  test('where two overlap, the lower slot answers', () => {
    const { device, memory, ports, set } = createWithTwo();
    device.assignResources();
    set(3, 0x10, 0xc000);
    set(3, 0x14, 0xfe000000);
    expect([ports.read(0xc000, 1), memory.read(0xfe000000, 1)]).toEqual([0x22, 0x23]);
    set(2, 4, 0);
    expect([ports.read(0xc000, 1), memory.read(0xfe000000, 1)]).toEqual([0x32, 0x33]);
  });

  test('a fixed range wins over a base address on top of it', () => {
    const { ports, get, set } = createWithTwo();
    set(2, 0x10, 0x0cc0);
    set(2, 4, 1);
    expect(ports.read(0xcc0, 1)).toBe(0x22);
    expect(get(0, 0)).toBe(0x12378086);
  });

  test('no placement makes a bus throw, or give a value out of range', () => {
    const address = fc.oneof(
      fc.integer({ min: 0, max: 0xffffffff }),
      fc.constantFrom(0, 0xcc0, 0xc000, 0xffc0, 0xfffff000, 0xfffffff0, 0xffffffff),
    );
    const access = fc.tuple(address, fc.constantFrom(1, 2, 4));
    fc.assert(
      fc.property(
        fc.array(address, { minLength: 4, maxLength: 4 }),
        fc.nat(7),
        fc.array(access),
        (places, on, tries) => {
          const { ports, memory, set } = createWithTwo();
          places.forEach((place, i) => set(2 + (i >> 1), 0x10 + 4 * (i & 1), place));
          set(2, 4, on);
          set(3, 4, on);
          for (const [at, size] of tries) {
            for (const value of [ports.read(at & 0xffff, size), memory.read(at, size)]) {
              expect(Number.isInteger(value) && value >= 0 && value < 2 ** (8 * size)).toBe(true);
            }
            ports.write(at & 0xffff, size, 0);
            memory.write(at, size, 0);
          }
        },
      ),
    );
  });
});
