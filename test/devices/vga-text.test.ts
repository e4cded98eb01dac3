/**
 * Goal: what a kernel or boot loader writes to a PC's text screen can be read by people, and the registers that such
 * programs probe, set and restore behave like a VGA's.
 * Method: writes to text memory through a memory bus, register accesses through ports, guest time moved by hand.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { RegisterBlock } from '../../devices/device.js';
import { MemoryBus } from '../../devices/memory-bus.js';
import { PortBus } from '../../devices/port-bus.js';
import { VGA_COLUMNS, VGA_ROWS, VGA_TEXT_ADDRESS, VGA_TEXT_BYTES, VgaText } from '../../devices/vga-text.js';
import { VGA_PORT, VGA_PORT_COUNT } from '../../devices/vga-registers.js';
import { encodeState } from '../../hypervisor/state-codec.js';
import { describeDeviceContract } from './device-contract.js';
import { FakeWorld } from './fake-world.js';

const BLANK = ' '.repeat(VGA_COLUMNS);

function create() {
  const world = new FakeWorld();
  const device = new VgaText({ environment: world });
  const memory = new MemoryBus();
  memory.insert('text', VGA_TEXT_ADDRESS, VGA_TEXT_BYTES, device.memory);
  const ports = new PortBus();
  ports.insert('vga', VGA_PORT, VGA_PORT_COUNT, device.ports);
  const out = (port: number, value: number) => ports.write(port, 1, value);
  const inb = (port: number) => ports.read(port, 1);
  const crtc = (index: number, value: number) => ports.write(0x3d4, 2, index | (value << 8));
  /** Put characters into text memory, grey on black. */
  const put = (cell: number, text: string) => {
    for (let i = 0; i < text.length; i++) {
      memory.write(VGA_TEXT_ADDRESS + 2 * (cell + i), 2, 0x0700 | text.charCodeAt(i));
    }
  };
  const busy = () => {
    put(0, 'hello');
    crtc(0x0e, 0x12);
    out(0x3c0, 0x31);
    out(0x3c2, 0x66);
    out(0x3c7, 0x10);
    inb(0x3c9);
    out(0x3c4, 0xff);
    out(0x3ba, 0x0b);
  };
  const blocks = [
    { registers: lastBytes(device.memory), bytes: 64 },
    { registers: device.ports, bytes: VGA_PORT_COUNT },
  ];
  return { world, device, memory, out, inb, crtc, put, ports, busy, blocks, calls: world.calls };
}

/** The end of text memory: the rest of it is alike. */
function lastBytes(memory: RegisterBlock): RegisterBlock {
  const first = VGA_TEXT_BYTES - 64;
  return {
    read: (offset, size) => memory.read(first + offset, size),
    write: (offset, size, value) => memory.write(first + offset, size, value),
  };
}

describeDeviceContract('VGA text', create);

describe('the screen', () => {
  test('is blank at first', () => {
    expect(create().device.text()).toEqual(Array.from({ length: VGA_ROWS }, () => BLANK));
  });

  test('shows characters where they were put', () => {
    const { device, put } = create();
    put(0, 'Loading');
    put(24 * 80 + 75, 'right');
    expect(device.text()[0]).toBe('Loading'.padEnd(80));
    expect(device.text()[24]).toBe('right'.padStart(80));
  });

  test('shows line graphics and accents, and blanks for zeros', () => {
    const { device, memory } = create();
    [0xc9, 0xcd, 0xbb, 0x00, 0x84, 0xff, 0x01, 0x7f].forEach((code, cell) =>
      memory.write(VGA_TEXT_ADDRESS + 2 * cell, 1, code),
    );
    expect(device.text()[0]!.slice(0, 8)).toBe('╔═╗ ä ☺⌂');
  });

  test('every code is one character', () => {
    const { device, memory } = create();
    for (let code = 0; code < 256; code++) memory.write(VGA_TEXT_ADDRESS + 2 * code, 1, code);
    const text = device.text().slice(0, 4).join('').slice(0, 256);
    expect(text.length).toBe(256);
    expect(new Set(text).size).toBe(254);
    expect(text.slice(0x20, 0x7f)).toBe(String.fromCharCode(...Array.from({ length: 0x5f }, (_, i) => 0x20 + i)));
  });

  test('scrolls by its start address, around the end of text memory', () => {
    const { device, put, crtc } = create();
    put(80, 'second');
    crtc(0x0d, 80);
    expect(device.text()[0]).toBe('second'.padEnd(80));
    put(0, 'wrapped');
    crtc(0x0c, (0x4000 - 80) >> 8);
    crtc(0x0d, (0x4000 - 80) & 0xff);
    expect(device.text()[1]).toBe('wrapped'.padEnd(80));
  });

  test('tells where the cursor is, if it is on', () => {
    const { device, crtc } = create();
    expect(device.cursor()).toEqual({ row: 0, column: 0 });
    crtc(0x0e, 0x07);
    crtc(0x0f, 0xcf);
    expect(device.cursor()).toEqual({ row: 24, column: 79 });
    crtc(0x0f, 0xd0);
    expect(device.cursor()).toBeNull();
    crtc(0x0f, 0x00);
    crtc(0x0a, 0x2d);
    expect(device.cursor()).toBeNull();
  });

  test('memory keeps what is written in any width, and graphics memory is not there', () => {
    const { memory } = create();
    memory.write(0xb8001, 4, 0x44332211);
    expect([memory.read(0xb8000, 4), memory.read(0xb8004, 1)]).toEqual([0x33221100, 0x44]);
    memory.write(0xbfffe, 4, 0x44332211);
    expect(memory.read(0xbfffe, 4)).toBe(0xffff2211);
    memory.write(0xa0000, 4, 0);
    expect(memory.read(0xa0000, 4)).toBe(0xffffffff);
  });

  test('whatever the registers say, text and cursor are well-formed', () => {
    const write = fc.tuple(fc.integer({ min: 0x3b0, max: 0x3df }), fc.integer({ min: 0, max: 0xff }));
    fc.assert(
      fc.property(fc.array(write, { maxLength: 80 }), (writes) => {
        const { device, out } = create();
        for (const [port, value] of writes) out(port, value);
        expect(device.text().map((row) => row.length)).toEqual(Array.from({ length: VGA_ROWS }, () => VGA_COLUMNS));
        const cursor = device.cursor();
        if (cursor !== null) expect(cursor.row < VGA_ROWS && cursor.column < VGA_COLUMNS).toBe(true);
        const other = create().device;
        other.restore(device.save());
        expect(Buffer.compare(encodeState(other.save()), encodeState(device.save()))).toBe(0);
      }),
      { numRuns: 50 },
    );
  });
});

describe('registers', () => {
  test('indexed ones are kept', () => {
    const { out, inb } = create();
    for (const [index, data, at, value] of [
      [0x3d4, 0x3d5, 0x0e, 0x5a],
      [0x3c4, 0x3c5, 0x02, 0x04],
      [0x3ce, 0x3cf, 0x06, 0x05],
    ] as const) {
      out(index, at);
      out(data, value);
      expect([inb(index), inb(data)]).toEqual([at, value]);
    }
  });

  test('the attribute controller takes index and data in turn, and a status read starts over', () => {
    const { out, inb } = create();
    inb(0x3da);
    out(0x3c0, 0x03);
    out(0x3c0, 0x2a);
    out(0x3c0, 0x04);
    inb(0x3da);
    out(0x3c0, 0x23);
    expect([inb(0x3c0), inb(0x3c1)]).toEqual([0x23, 0x2a]);
    inb(0x3da);
    out(0x3c0, 0x04);
    expect(inb(0x3c1)).toBe(0x04);
  });

  test('the CRTC is protected as in mode 3, except for line compare', () => {
    const { out, inb, crtc } = create();
    crtc(0x00, 0x11);
    crtc(0x07, 0x00);
    expect(inb(0x3d5)).toBe(0x0f);
    out(0x3d4, 0x00);
    expect(inb(0x3d5)).toBe(0x5f);
    crtc(0x11, 0x0e);
    crtc(0x00, 0x11);
    expect(inb(0x3d5)).toBe(0x11);
  });

  test('absent indexes read all ones', () => {
    const { out, inb, crtc } = create();
    crtc(0x19, 0x12);
    expect(inb(0x3d5)).toBe(0xff);
    out(0x3c4, 0x05);
    expect(inb(0x3c5)).toBe(0xff);
  });

  test('miscellaneous output moves the CRTC between colour and monochrome', () => {
    const { out, inb } = create();
    expect([inb(0x3cc), inb(0x3b4), inb(0x3d4)]).toEqual([0x67, 0xff, 0]);
    out(0x3c2, 0x66);
    out(0x3b4, 0x0f);
    expect([inb(0x3cc), inb(0x3b4), inb(0x3d4), inb(0x3da)]).toEqual([0x66, 0x0f, 0xff, 0xff]);
  });

  test('the palette is read and written three components at a time', () => {
    const { out, inb } = create();
    out(0x3c8, 0xff);
    for (const component of [1, 2, 0xff, 4, 5, 6]) out(0x3c9, component);
    out(0x3c7, 0xff);
    expect(inb(0x3c7)).toBe(3);
    expect(Array.from({ length: 6 }, () => inb(0x3c9))).toEqual([1, 2, 0x3f, 4, 5, 6]);
    expect(inb(0x3c8)).toBe(1);
  });

  test('feature control and subsystem enable are kept', () => {
    const { out, inb } = create();
    out(0x3da, 0xff);
    out(0x3c3, 0x00);
    expect([inb(0x3ca), inb(0x3c3), inb(0x3c2)]).toEqual([0x0b, 0, 0x10]);
  });
});

describe('status', () => {
  test('70 frames pass in a second, and each retrace lies in a blank', () => {
    const { world, inb } = create();
    let retraces = 0;
    let before = 0;
    for (world.ns = 0; world.ns < 1_000_000_000; world.ns += 30_000) {
      const status = inb(0x3da);
      if ((status & ~before & 8) !== 0) retraces++;
      if ((status & 8) !== 0) expect(status & 1).toBe(1);
      before = status;
    }
    expect(retraces).toBe(70);
  });

  test('each line is blank for a fifth of its time', () => {
    const { world, inb } = create();
    let blank = 0;
    for (world.ns = 0; world.ns < 3_177_000; world.ns += 100) blank += inb(0x3da) & 1;
    expect(blank / 31770).toBeCloseTo(0.2, 2);
  });
});
