/**
 * Goal: a port access reaches exactly the device that owns it, in pieces it can take, and nothing a guest does throws.
 * Method: recording register blocks; a property compares the bus with a plain byte-by-byte model.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { InvariantError } from '../../emulator/errors.js';
import type { MovableRanges } from '../../devices/bus.js';
import type { RegisterBlock } from '../../devices/device.js';
import { PortBus } from '../../devices/port-bus.js';

/** Bytes at 0.. that count up from `first`; remembers the accesses. */
function recorder(first: number): RegisterBlock & { readonly seen: string[] } {
  const seen: string[] = [];
  return {
    seen,
    read: (offset, size) => {
      seen.push(`r${offset}/${size}`);
      let value = 0;
      for (let i = 0; i < size; i++) value += ((first + offset + i) & 0xff) * 2 ** (8 * i);
      return value;
    },
    write: (offset, size, value) => {
      seen.push(`w${offset}/${size}=${value.toString(16)}`);
    },
  };
}

describe('port bus', () => {
  test('ports of nobody read all ones in every width, and writes vanish', () => {
    const bus = new PortBus();
    expect([1, 2, 4].map((size) => bus.read(0x80, size))).toEqual([0xff, 0xffff, 0xffffffff]);
    expect(() => bus.write(0x80, 4, 0xffffffff)).not.toThrow();
  });

  test('a device sees offsets, not ports', () => {
    const bus = new PortBus();
    const chip = recorder(0x10);
    bus.insert('chip', 0x3f8, 8, chip);
    expect(bus.read(0x3fa, 1)).toBe(0x12);
    bus.write(0x3ff, 1, 0xab);
    expect(chip.seen).toEqual(['r2/1', 'w7/1=ab']);
  });

  test('a wide access to a byte-wide device becomes byte accesses at consecutive ports, low byte first', () => {
    const bus = new PortBus();
    const chip = recorder(0x10);
    bus.insert('chip', 0x40, 4, chip);
    expect(bus.read(0x40, 4)).toBe(0x13121110);
    bus.write(0x41, 2, 0xbeef);
    expect(chip.seen).toEqual(['r0/1', 'r1/1', 'r2/1', 'r3/1', 'w1/1=ef', 'w2/1=be']);
  });

  test('a device that takes 4 bytes gets them in one piece, at any alignment inside its range', () => {
    const bus = new PortBus();
    const chip = recorder(0);
    bus.insert('chip', 0xcf8, 8, chip, 4);
    bus.read(0xcf9, 4);
    bus.write(0xcfc, 4, 0x89abcdef);
    expect(chip.seen).toEqual(['r1/4', 'w4/4=89abcdef']);
  });

  test('an access that sticks out of a range is split between its neighbours', () => {
    const bus = new PortBus();
    const low = recorder(0x10);
    const high = recorder(0x20);
    bus.insert('low', 0x100, 2, low, 4);
    bus.insert('high', 0x102, 1, high, 4);
    expect(bus.read(0x100, 4)).toBe(0xff201110);
    expect(bus.read(0x101, 2)).toBe(0x2011);
    expect(low.seen).toEqual(['r0/2', 'r1/1']);
  });

  test('the last port has no neighbour', () => {
    const bus = new PortBus();
    bus.insert('last', 0xffff, 1, recorder(0x77));
    expect(bus.read(0xffff, 4)).toBe(0xffffff77);
    expect(() => bus.write(0xffff, 4, 0)).not.toThrow();
  });

  test('overlapping, empty and impossible ranges are refused', () => {
    const bus = new PortBus();
    bus.insert('first', 0x20, 4, recorder(0));
    for (const [base, count] of [
      [0x20, 4],
      [0x1f, 2],
      [0x23, 1],
      [0x21, 1],
      [0, 0x100],
    ] as const) {
      expect(() => bus.insert('second', base, count, recorder(0))).toThrow(InvariantError);
    }
    for (const [base, count] of [
      [0, 0],
      [-1, 2],
      [0xffff, 2],
      [0.5, 1],
    ] as const) {
      expect(() => bus.insert('odd', base, count, recorder(0))).toThrow(InvariantError);
    }
    expect(bus.ranges.map((range) => range.name)).toEqual(['first']);
  });

  test('movable ranges are asked only about accesses without a fixed byte', () => {
    const bus = new PortBus();
    const asked: string[] = [];
    const movable: MovableRanges = {
      read: (port, size) => {
        asked.push(`r${port.toString(16)}/${size}`);
        return 0x55;
      },
      write: (port, size) => {
        asked.push(`w${port.toString(16)}/${size}`);
        return true;
      },
    };
    bus.insert('fixed', 0xc002, 1, recorder(0x99));
    bus.setMovable(movable);
    expect(bus.read(0xc002, 1)).toBe(0x99);
    expect(bus.read(0xc000, 4)).toBe(0x55990055);
    bus.write(0xc001, 2, 0x1234);
    expect(asked).toEqual(['rc000/2', 'rc003/1', 'wc001/1']);
  });

  test('every access equals what byte-by-byte owners would give', () => {
    const range = fc.record({ base: fc.integer({ min: 0, max: 40 }), count: fc.integer({ min: 1, max: 9 }) });
    const width = fc.constantFrom(1 as const, 2 as const, 4 as const);
    fc.assert(
      fc.property(
        fc.array(fc.tuple(range, width), { maxLength: 6 }),
        fc.integer({ min: 0, max: 50 }),
        width,
        (ranges, port, size) => {
          const bus = new PortBus();
          const owner = new Map<number, number>();
          ranges.forEach(([{ base, count }, widthMax], index) => {
            const ports = Array.from({ length: count }, (_, i) => base + i);
            if (ports.some((taken) => owner.has(taken))) return;
            bus.insert(`r${index}`, base, count, recorder(16 * index), widthMax);
            ports.forEach((taken, i) => owner.set(taken, 16 * index + i));
          });
          let expected = 0;
          for (let i = 0; i < size; i++) expected += (owner.get(port + i) ?? 0xff) * 2 ** (8 * i);
          expect(bus.read(port, size)).toBe(expected);
        },
      ),
    );
  });
});
