/**
 * Goal: addresses outside RAM reach the device that owns them, over the whole 4 GiB.
 * Method: small register blocks at the ends of the address space, and movable ranges behind them.
 */
import { describe, expect, test } from '@jest/globals';
import { InvariantError } from '../../emulator/errors.js';
import type { RegisterBlock } from '../../devices/device.js';
import { MemoryBus } from '../../devices/memory-bus.js';

/** Four bytes of storage. */
function storage(): RegisterBlock & { readonly bytes: Uint8Array } {
  const bytes = new Uint8Array(4);
  return {
    bytes,
    read: (offset, size) => {
      let value = 0;
      for (let i = 0; i < size; i++) value += bytes[offset + i]! * 2 ** (8 * i);
      return value;
    },
    write: (offset, size, value) => {
      for (let i = 0; i < size; i++) bytes[offset + i] = value >>> (8 * i);
    },
  };
}

describe('memory bus', () => {
  test('the open bus reads all ones, also across the end of the address space', () => {
    const bus = new MemoryBus();
    expect(bus.read(0xffffffff, 4)).toBe(0xffffffff);
    expect(() => bus.write(0xfffffffe, 4, 0)).not.toThrow();
  });

  test('devices at both ends are found, whatever the order of insertion', () => {
    const bus = new MemoryBus();
    const [first, last, middle] = [storage(), storage(), storage()];
    bus.insert('last', 0xfffffffc, 4, last);
    bus.insert('first', 0, 4, first);
    bus.insert('middle', 0xfee00000, 4, middle);
    bus.write(0xfffffffc, 4, 0xdeadbeef);
    bus.write(2, 2, 0x1234);
    expect(bus.read(0xfffffffc, 4)).toBe(0xdeadbeef);
    expect(bus.read(0xfffffffe, 4)).toBe(0xffffdead);
    expect([...first.bytes]).toEqual([0, 0, 0x34, 0x12]);
    expect(bus.read(0xfee00000, 4)).toBe(0);
    expect(bus.read(0xfee00004, 1)).toBe(0xff);
  });

  test('a write that sticks out reaches the device with the bytes that are inside', () => {
    const bus = new MemoryBus();
    const device = storage();
    bus.insert('device', 0x1000, 4, device);
    bus.write(0x0ffe, 4, 0x44332211);
    bus.write(0x1003, 4, 0x88776655);
    expect([...device.bytes]).toEqual([0x33, 0x44, 0, 0x55]);
  });

  test('overlaps are refused', () => {
    const bus = new MemoryBus();
    bus.insert('first', 0xe0000000, 0x1000, storage());
    expect(() => bus.insert('second', 0xe0000fff, 2, storage())).toThrow(InvariantError);
    expect(() => bus.insert('beyond', 0xffffffff, 2, storage())).toThrow(InvariantError);
  });

  test('movable ranges lie behind the fixed ones', () => {
    const bus = new MemoryBus();
    bus.insert('fixed', 0xfe000000, 4, storage());
    const written: number[] = [];
    bus.setMovable({ read: () => 0x77, write: (address) => written.push(address) > 0 });
    expect([bus.read(0xfe000000, 1), bus.read(0xfe000004, 1)]).toEqual([0, 0x77]);
    bus.write(0xfe000000, 4, 1);
    bus.write(0xfe000004, 4, 1);
    expect(written).toEqual([0xfe000004]);
  });
});
