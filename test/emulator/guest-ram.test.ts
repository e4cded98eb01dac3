/**
 * Goal: the host reaches exactly the bytes that are RAM, and nothing else.
 * Method: accesses of every width at every border, against a plain array as a model.
 */
import { afterAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { HOLE_END, HOLE_START } from '../../emulator/guest-ram.js';
import { RecordingBus, RAM_BYTES } from './guest-code.js';
import { Vcpu } from '../../emulator/vcpu.js';

const vcpu = new Vcpu({ ramBytes: RAM_BYTES, bus: new RecordingBus() });
const { ram } = vcpu;
afterAll(() => vcpu.dispose());

function allowed(address: number, bytes: number): boolean {
  for (let at = address; at < address + bytes; at++)
    if (at < 0 || at >= RAM_BYTES || (at >= HOLE_START && at < HOLE_END)) return false;
  return true;
}

test.each([0, HOLE_START, HOLE_END, RAM_BYTES])('accesses around %i succeed exactly where RAM is', (border) => {
  for (let address = Math.max(0, border - 9); address < border + 9; address++) {
    expect(ram.read(address, 8) !== null).toBe(allowed(address, 8));
    expect(ram.readInto(address, new Uint8Array(5))).toBe(allowed(address, 5));
    expect(ram.write(address, new Uint8Array(3))).toBe(allowed(address, 3));
    expect(ram.readU16(address) !== null).toBe(allowed(address, 2));
    expect(ram.readU32(address) !== null).toBe(allowed(address, 4));
    expect(ram.readU64(address) !== null).toBe(allowed(address, 8));
    expect(ram.writeU16(address, 1)).toBe(allowed(address, 2));
    expect(ram.writeU32(address, 1)).toBe(allowed(address, 4));
  }
});

test.each([-1, 0.5, NaN, Infinity, 2 ** 32, 2 ** 53])('address %p is refused', (address) => {
  expect(ram.read(address, 4)).toBeNull();
  expect(ram.write(address, Uint8Array.of(1))).toBe(false);
  expect(ram.readU32(address)).toBeNull();
});

test('a refused write changes nothing', () => {
  const before = ram.readU32(HOLE_START - 4);
  expect(ram.write(HOLE_START - 4, Uint8Array.of(9, 9, 9, 9, 9))).toBe(false);
  expect(ram.readU32(HOLE_START - 4)).toBe(before);
});

test('values are little-endian and unsigned; a copy is private', () => {
  ram.writeU32(0x100, 0xfedcba98);
  ram.writeU32(0x104, 0x0001ffff);
  expect(ram.readU16(0x100)).toBe(0xba98);
  expect(ram.readU64(0x100)).toBe(0x1fffffedcba98);
  const copy = ram.read(0x100, 4)!;
  copy[0] = 0;
  expect(ram.readU32(0x100)).toBe(0xfedcba98);
  ram.writeU32(0x104, 0x00200000);
  expect(ram.readU64(0x100)).toBeNull(); // not a safe integer
});

test('what is written is read back', () => {
  fc.assert(
    fc.property(fc.integer({ min: HOLE_END, max: RAM_BYTES - 100 }), fc.uint8Array({ maxLength: 100 }), (at, data) => {
      expect(ram.write(at, data)).toBe(true);
      expect(ram.read(at, data.length)).toEqual(data);
      const into = new Uint8Array(data.length);
      expect([ram.readInto(at, into), into]).toEqual([true, data]);
      expect(ram.view.subarray(at, at + data.length)).toEqual(Buffer.from(data));
    }),
  );
});

test.each([0, 4096, 4 * 1024 * 1024 + 1, 3 * 1024 ** 3 + 4096])('RAM of %i bytes is refused', (ramBytes) => {
  expect(() => new Vcpu({ ramBytes, bus: new RecordingBus() })).toThrow('RAM must be');
});

test('pages that are written are collected, whatever was written and collected before', () => {
  const write = fc.record({
    at: fc.integer({ min: HOLE_END, max: HOLE_END + 0x8000 }),
    bytes: fc.constantFrom(0, 1, 2, 4, 8, 1500, 4096, 9000),
  });
  const seen = [1, 2].map(() => new Set<number>());
  const collected = (consumer: number): number[] => [...vcpu.collectDirty(consumer)];
  for (const consumer of [1, 2]) collected(consumer);
  fc.assert(
    fc.property(fc.array(write, { maxLength: 6 }), fc.constantFrom(1, 2), (writes, consumer) => {
      for (const { at, bytes } of writes) {
        ram.write(at, new Uint8Array(bytes));
        for (let page = at >> 12; page << 12 < at + bytes; page++) for (const pages of seen) pages.add(page);
      }
      expect(collected(consumer)).toEqual([...seen[consumer - 1]!].sort((a, b) => a - b));
      seen[consumer - 1]!.clear();
    }),
  );
});
