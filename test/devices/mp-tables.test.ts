/**
 * Goal: the MP tables say what the board is, in the form of the specification.
 * Method: a reader written from the specification's tables: checksums, lengths, order of entries, every field.
 */
import { describe, expect, test } from '@jest/globals';
import { InvariantError } from '../../emulator/errors.js';
import { mpTables, type MpTablesOptions } from '../../devices/mp-tables.js';

const OPTIONS: MpTablesOptions = {
  address: 0x9fc80,
  cpuSignature: 0x683,
  cpuFeatures: 0x0383fbff,
  pciInterrupts: [
    { slot: 3, pin: 1, isaIrq: 11 },
    { slot: 4, pin: 2, isaIrq: 10 },
  ],
};

function sum(bytes: Uint8Array): number {
  return bytes.reduce((total, byte) => total + byte, 0) & 0xff;
}

function text(bytes: Uint8Array, from: number, to: number): string {
  return Buffer.from(bytes.subarray(from, to)).toString('latin1');
}

function read(options: MpTablesOptions) {
  const bytes = mpTables(options);
  const pointer = bytes.subarray(0, 16);
  const table = bytes.subarray(16);
  const view = new DataView(table.buffer, table.byteOffset);
  const entries: number[][] = [];
  for (let at = 44; at < table.length; at += table[at] === 0 ? 20 : 8) {
    entries.push([...table.subarray(at, at + (table[at] === 0 ? 20 : 8))]);
  }
  return { bytes, pointer, table, view, entries };
}

describe('the floating pointer', () => {
  const { pointer } = read(OPTIONS);
  test('leads to the table behind it', () => {
    expect(text(pointer, 0, 4)).toBe('_MP_');
    expect(new DataView(pointer.buffer).getUint32(4, true)).toBe(0x9fc90);
    expect([...pointer.subarray(8, 10)]).toEqual([1, 4]);
    expect(sum(pointer)).toBe(0);
  });

  test('says that a table is there and that the 8259 starts in virtual wire mode', () => {
    expect([...pointer.subarray(11)]).toEqual([0, 0, 0, 0, 0]);
  });
});

describe('the configuration table', () => {
  const { table, view, entries } = read(OPTIONS);
  test('has a header that counts its bytes and entries', () => {
    expect(text(table, 0, 4)).toBe('PCMP');
    expect(view.getUint16(4, true)).toBe(table.length);
    expect(table[6]).toBe(4);
    expect(sum(table)).toBe(0);
    expect(text(table, 8, 28)).toBe('FT86    PC          ');
    expect(view.getUint16(34, true)).toBe(entries.length);
    expect(view.getUint32(36, true)).toBe(0xfee00000);
    expect([...table.subarray(28, 34), ...table.subarray(40, 44)]).toEqual(Array(10).fill(0));
  });

  test('lists its entries in ascending order of types', () => {
    const types = entries.map(([type]) => type!);
    expect(types).toEqual([...types].sort((a, b) => a - b));
    expect(new Set(types)).toEqual(new Set([0, 1, 2, 3, 4]));
  });

  test('has one processor, enabled, that started first', () => {
    const of = entries.filter(([type]) => type === 0);
    expect(of).toEqual([[0, 0, 0x14, 3, 0x83, 0x06, 0, 0, 0xff, 0xfb, 0x83, 0x03, 0, 0, 0, 0, 0, 0, 0, 0]]);
  });

  test('has two buses and the I/O APIC', () => {
    const buses = entries.filter(([type]) => type === 1).map((entry) => [entry[1], text(Uint8Array.from(entry), 2, 8)]);
    expect(buses).toEqual([
      [0, 'PCI   '],
      [1, 'ISA   '],
    ]);
    expect(entries.filter(([type]) => type === 2)).toEqual([[2, 0, 0x11, 1, 0x00, 0x00, 0xc0, 0xfe]]);
  });

  test('leads each interrupt to one pin: the timer to 2, PCI where the 8259 has it, no cascade', () => {
    const interrupts = entries.filter(([type]) => type === 3);
    for (const [, type, flagsLow, flagsHigh, , , apic] of interrupts) {
      expect([type, flagsLow, flagsHigh, apic]).toEqual([0, 0, 0, 0]);
    }
    const wires = interrupts.map((entry) => [entry[4], entry[5], entry[7]]);
    expect(wires.filter(([bus]) => bus === 0)).toEqual([
      [0, 3 << 2, 11],
      [0, (4 << 2) | 1, 10],
    ]);
    expect(wires.filter(([bus]) => bus === 1)).toEqual([
      [1, 0, 2],
      ...[1, 3, 4, 5, 6, 7, 8, 9, 12, 13, 14, 15].map((irq) => [1, irq, irq]),
    ]);
  });

  test('the 8259 is at LINT0 and the NMI at LINT1', () => {
    expect(entries.filter(([type]) => type === 4)).toEqual([
      [4, 3, 0, 0, 1, 0, 0, 0],
      [4, 1, 0, 0, 1, 0, 0xff, 1],
    ]);
  });
});

test('without PCI functions all ISA interrupts are there, and it fits an EBDA of 1 KiB', () => {
  const { bytes, entries } = read({ ...OPTIONS, pciInterrupts: [] });
  expect(entries.filter(([type]) => type === 3).length).toBe(15);
  expect(bytes.length).toBeLessThan(0x380);
});

test('an impossible address is refused', () => {
  for (const address of [0x9fc81, 0x100000]) expect(() => mpTables({ ...OPTIONS, address })).toThrow(InvariantError);
});
