/**
 * Goal: drivers and firmware that probe, size and place a PCI function find what the specification says.
 * Method: configuration accesses of every width; a property compares configuration space with bytes and masks.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { DecodeError, InvariantError } from '../../emulator/errors.js';
import type { RegisterBlock } from '../../devices/device.js';
import type { PciFunctionConfig } from '../../devices/pci-config.js';
import { PciFunction } from '../../devices/pci-device.js';
import { describeDeviceContract } from './device-contract.js';
import { FakeWorld } from './fake-world.js';

const nothing: RegisterBlock = { read: () => 0, write: () => undefined };
const identity = {
  vendorId: 0x1af4,
  deviceId: 0x1000,
  classCode: 0x020000,
  revision: 3,
  subsystemVendorId: 0x1af4,
  subsystemId: 1,
  interruptPin: 1,
} as const;

function create(extra: Partial<PciFunctionConfig> = {}) {
  const world = new FakeWorld();
  const handled: string[] = [];
  const handler: RegisterBlock = {
    read: (offset, size) => {
      handled.push(`r${offset}/${size}`);
      return 0x11 * size;
    },
    write: (offset, size, value) => {
      handled.push(`w${offset}/${size}=${value.toString(16)}`);
    },
  };
  const device = new PciFunction({
    ...identity,
    bars: [{ kind: 'io', bytes: 64, registers: nothing }, { kind: 'memory', bytes: 0x4000, registers: nothing }, null],
    capabilities: [
      { id: 9, bytes: Uint8Array.of(16, 1, 2, 3), writableMask: Uint8Array.of(0, 0, 0xf0, 0) },
      { id: 9, bytes: new Uint8Array(18), handler },
    ],
    storage: [{ offset: 0x40, bytes: Uint8Array.of(1, 2), writableMask: Uint8Array.of(0x0f, 0xff) }],
    irq: world.line('inta'),
    ...extra,
  });
  const config: RegisterBlock = {
    read: (offset, size) => device.configRead(offset, size),
    write: (offset, size, value) => device.configWrite(offset, size, value),
  };
  const busy = () => {
    device.configWrite(0x10, 4, 0xc000);
    device.configWrite(0x14, 4, 0xfe000000);
    device.configWrite(0x3c, 1, 11);
    device.configWrite(0x04, 2, 0x0403);
    device.inta.set(true);
    device.configWrite(0x40, 2, 0xffff);
    device.configWrite(0x48, 1, 0xff);
  };
  return { world, device, handled, blocks: [{ registers: config, bytes: 260 }], calls: world.calls, busy };
}

describeDeviceContract('PCI function', () => create());

describe('header', () => {
  test('identity in every width', () => {
    const { device } = create();
    expect(device.configRead(0x00, 4)).toBe(0x10001af4);
    expect(device.configRead(0x02, 2)).toBe(0x1000);
    expect(device.configRead(0x08, 4)).toBe(0x02000003);
    expect(device.configRead(0x2c, 4)).toBe(0x00011af4);
    expect([device.configRead(0x0e, 1), device.configRead(0x3d, 1)]).toEqual([0, 1]);
  });

  test('identity is read-only', () => {
    const { device } = create();
    device.configWrite(0x00, 4, 0);
    device.configWrite(0x08, 4, 0);
    device.configWrite(0x2c, 4, 0);
    expect(device.configRead(0x00, 4)).toBe(0x10001af4);
    expect(device.configRead(0x3d, 1)).toBe(1);
  });

  test('only command bits that mean something can be set', () => {
    const { device } = create();
    device.configWrite(0x04, 4, 0xffffffff);
    expect(device.configRead(0x04, 4)).toBe(0x00100547);
    expect(device.busMaster).toBe(true);
  });

  test('bytes behind configuration space read all ones', () => {
    const { device } = create();
    expect([device.configRead(0x100, 1), device.configRead(0xfe, 4)]).toEqual([0xff, 0xffff0000]);
  });

  test('a function of several announces the others', () => {
    expect(create({ multifunction: true }).device.configRead(0x0e, 1)).toBe(0x80);
  });
});

describe('base address registers', () => {
  test('sizing shows the size, the kind, and all upper bits writable', () => {
    const { device } = create();
    for (const offset of [0x10, 0x14, 0x18, 0x24, 0x30]) device.configWrite(offset, 4, 0xffffffff);
    expect([0x10, 0x14, 0x18, 0x24, 0x30].map((offset) => device.configRead(offset, 4))).toEqual([
      0xffffffc1, 0xffffc000, 0, 0, 0,
    ]);
  });

  test('a BAR is decoded when its space is enabled and an address is assigned', () => {
    const { device } = create();
    device.configWrite(0x04, 2, 3);
    expect([device.barAddress(0), device.barAddress(1)]).toEqual([null, null]);
    device.configWrite(0x10, 4, 0xc000);
    device.configWrite(0x14, 4, 0xfe000000);
    expect([device.barAddress(0), device.barAddress(1), device.barAddress(2), device.barAddress(5)]).toEqual([
      0xc000,
      0xfe000000,
      null,
      null,
    ]);
    device.configWrite(0x04, 2, 1);
    expect([device.barAddress(0), device.barAddress(1)]).toEqual([0xc000, null]);
    device.configWrite(0x04, 2, 2);
    expect([device.barAddress(0), device.barAddress(1)]).toEqual([null, 0xfe000000]);
  });

  test('an I/O BAR beyond the last port is not decoded', () => {
    const { device } = create();
    device.configWrite(0x04, 2, 3);
    device.configWrite(0x10, 4, 0x1c000);
    expect(device.barAddress(0)).toBeNull();
    device.configWrite(0x10, 4, 0xffc0);
    expect(device.barAddress(0)).toBe(0xffc0);
  });

  test('an address can be written a byte at a time', () => {
    const { device } = create();
    device.configWrite(0x04, 2, 3);
    [0x12, 0x56, 0x34, 0xfe].forEach((byte, i) => device.configWrite(0x14 + i, 1, byte));
    expect(device.barAddress(1)).toBe(0xfe344000);
  });

  test('findBar tells which BAR contains an address', () => {
    const { device } = create();
    device.configWrite(0x10, 4, 0xc000);
    device.configWrite(0x14, 4, 0xffffc000);
    device.configWrite(0x04, 2, 3);
    expect([0xbfff, 0xc000, 0xc03f, 0xc040].map((port) => device.findBar('io', port))).toEqual([-1, 0, 0, -1]);
    expect([0xffffbfff, 0xffffc000, 0xffffffff].map((at) => device.findBar('memory', at))).toEqual([-1, 1, 1]);
    expect(device.findBar('memory', 0xc000)).toBe(-1);
  });

  test.each([
    ['io', 2],
    ['io', 48],
    ['memory', 8],
    ['memory', 0x3000],
  ] as const)('an %s BAR of %i bytes is refused', (kind, bytes) => {
    expect(() => create({ bars: [{ kind, bytes, registers: nothing }] })).toThrow(InvariantError);
  });
});

describe('capabilities', () => {
  test('the list leads from one to the next, and the status register announces it', () => {
    const { device } = create();
    expect(device.configRead(0x06, 2) & 0x10).toBe(0x10);
    const first = device.configRead(0x34, 1);
    expect([first, device.capabilityOffset(0)]).toEqual([0x44, 0x44]);
    expect(device.configRead(first, 4)).toBe(0x01104c09);
    expect(device.configRead(0x4c, 2)).toBe(0x0009);
    expect(device.capabilityOffset(1)).toBe(0x4c);
  });

  test('without capabilities neither is announced', () => {
    const { device } = create({ capabilities: [] });
    expect([device.configRead(0x06, 2), device.configRead(0x34, 1)]).toEqual([0, 0]);
  });

  test('only masked bits of a body can be written', () => {
    const { device } = create();
    device.configWrite(0x46, 4, 0xffffffff);
    expect(device.configRead(0x46, 4)).toBe(0x03f20110);
  });

  test('a handler gets whole accesses inside its body, with offsets from its start', () => {
    const { device, handled } = create();
    expect(device.configRead(0x5c, 4)).toBe(0x44);
    device.configWrite(0x5c, 2, 0xbeef);
    expect(handled).toEqual(['r14/4', 'w14/2=beef']);
  });

  test('an access across the edge of a handled body arrives as bytes', () => {
    const { device, handled } = create();
    expect(device.configRead(0x4c, 4)).toBe(0x11110009);
    device.configWrite(0x5e, 4, 0x04030201);
    expect(handled).toEqual(['r0/1', 'r1/1', 'w16/1=1', 'w17/1=2']);
  });

  test('capabilities that do not fit are refused', () => {
    const body = { id: 9, bytes: new Uint8Array(100) };
    expect(() => create({ capabilities: [body, body] })).toThrow(InvariantError);
  });
});

describe('interrupt pin', () => {
  test('the level reaches the line, and status shows it', () => {
    const { device, world } = create();
    device.inta.set(true);
    device.inta.set(true);
    expect(world.take()).toEqual(['inta high']);
    expect(device.configRead(0x06, 1) & 0x08).toBe(0x08);
    device.inta.set(false);
    expect(world.take()).toEqual(['inta low']);
  });

  test('the interrupt disable bit cuts the line off, not the status', () => {
    const { device, world } = create();
    device.inta.set(true);
    device.configWrite(0x04, 2, 0x0400);
    expect(world.take()).toEqual(['inta high', 'inta low']);
    expect(device.configRead(0x06, 1) & 0x08).toBe(0x08);
    device.configWrite(0x04, 2, 0x0000);
    expect(world.take()).toEqual(['inta high']);
  });
});

test('configuration space is bytes with a mask, in any width and order', () => {
  const access = fc.record({
    offset: fc.integer({ min: 0, max: 0x4b }),
    size: fc.constantFrom(1, 2, 4),
    value: fc.integer({ min: 0, max: 0xffffffff }),
  });
  const bytesOf = (device: PciFunction) => Array.from({ length: 0x4c }, (_, at) => device.configRead(at, 1));
  const zeros = create().device;
  const ones = create().device;
  for (let at = 0; at < 0x4c; at++) {
    zeros.configWrite(at, 1, 0);
    ones.configWrite(at, 1, 0xff);
  }
  const [low, high] = [bytesOf(zeros), bytesOf(ones)];
  fc.assert(
    fc.property(fc.array(access, { maxLength: 20 }), (accesses) => {
      const { device } = create();
      const model = bytesOf(device);
      for (const { offset, size, value } of accesses) {
        device.configWrite(offset, size, value);
        for (let i = 0; i < size && offset + i < 0x4c; i++) {
          const mask = low[offset + i]! ^ high[offset + i]!;
          model[offset + i] = (model[offset + i]! & ~mask) | ((value >>> (8 * i)) & mask);
        }
        expect(bytesOf(device)).toEqual(model);
      }
    }),
  );
});

test('state that changes a read-only bit is refused', () => {
  const { device } = create();
  const state = device.save();
  for (const damaged of [
    { command: 0x8000 },
    { bars: [0, 0xfe000000, 0] },
    { bars: [1, 1, 0] },
    { bars: [1, 0, 16] },
  ]) {
    expect(() => device.restore({ ...state, ...damaged })).toThrow(DecodeError);
  }
});
