/**
 * Goal: the 8259A's modes (automatic end of interrupt, rotation, special mask, polling, level) do what the data sheet says.
 * Method: initialisation and commands through ports as kernels write them, lines moved by hand.
 */
import { describe, expect, test } from '@jest/globals';
import { InvariantError } from '../../emulator/errors.js';
import { EOI, MASTER, SLAVE, create } from './pic8259-world.js';

describe('modes', () => {
  test('automatic end of interrupt leaves nothing in service', () => {
    const { initialise, raise, device, ports, out } = create();
    initialise(0x03);
    raise(4, 12);
    expect([device.acknowledge(), device.acknowledge()]).toEqual([0x2c, 0x24]);
    out(MASTER, 0x0b);
    out(SLAVE, 0x0b);
    expect([ports.read(MASTER, 1), ports.read(SLAVE, 1)]).toEqual([0, 0]);
  });

  test('rotation on automatic end of interrupt takes turns', () => {
    const { initialise, pulse, device, out } = create();
    initialise(0x03);
    out(MASTER, 0x80);
    pulse(4, 5);
    const turns = [];
    for (let i = 0; i < 4; i++) {
      const vector = device.acknowledge();
      turns.push(vector);
      pulse(vector - 0x20);
    }
    expect(turns).toEqual([0x24, 0x25, 0x24, 0x25]);
  });

  test('rotation on a non-specific end gives the served input the lowest priority', () => {
    const { initialise, raise, pulse, device, out } = create();
    initialise();
    raise(3, 5);
    expect(device.acknowledge()).toBe(0x23);
    out(MASTER, 0xa0);
    pulse(3);
    expect(device.acknowledge()).toBe(0x25);
  });

  test('set priority and rotation on a specific end move the ring', () => {
    const { initialise, raise, device, out } = create();
    initialise();
    out(MASTER, 0xc4);
    raise(4, 5, 0);
    expect(device.acknowledge()).toBe(0x25);
    out(MASTER, 0xe5);
    expect(device.acknowledge()).toBe(0x20);
    out(MASTER, 0x60);
    expect(device.acknowledge()).toBe(0x24);
  });

  test('special mask mode lets lower priorities through a masked one in service', () => {
    const { initialise, raise, device, out, ports } = create();
    initialise();
    raise(3);
    device.acknowledge();
    raise(6);
    expect(device.output).toBe(false);
    out(MASTER + 1, 0x08);
    expect(device.output).toBe(false);
    out(MASTER, 0x68);
    expect(device.acknowledge()).toBe(0x26);
    // A non-specific end passes the masked input over.
    out(MASTER, EOI, 0x0b);
    expect(ports.read(MASTER, 1)).toBe(0x08);
    out(MASTER, 0x48);
    out(MASTER + 1, 0x00);
    out(MASTER, EOI);
    expect(ports.read(MASTER, 1)).toBe(0);
  });

  test('special fully nested mode lets a higher input of the slave interrupt a lower one', () => {
    const { initialise, raise, device } = create();
    initialise();
    raise(12);
    device.acknowledge();
    raise(8);
    expect(device.output).toBe(false);
    initialise(0x11);
    device.line(8).set(false);
    device.line(12).set(false);
    raise(12);
    expect(device.acknowledge()).toBe(0x2c);
    raise(8);
    expect(device.acknowledge()).toBe(0x28);
  });

  test('polling acknowledges through a read', () => {
    const { initialise, raise, device, out, ports, world } = create();
    initialise();
    raise(5);
    out(MASTER, 0x0c);
    expect(ports.read(MASTER, 1)).toBe(0x85);
    expect(world.take()).toEqual(['cpu high', 'cpu low']);
    expect(device.output).toBe(false);
    out(MASTER, 0x0c);
    expect(ports.read(MASTER + 1, 1)).toBe(0x00);
    out(MASTER, 0x0b);
    expect(ports.read(MASTER, 1)).toBe(0x20);
  });

  test('a single controller without ICW3 and ICW4', () => {
    const { device, out, raise, ports } = create();
    out(MASTER, 0x12);
    out(MASTER + 1, 0x40, 0xfe);
    expect(ports.read(MASTER + 1, 1)).toBe(0xfe);
    raise(0);
    expect(device.acknowledge()).toBe(0x40);
  });

  test('the edge/level registers keep the inputs that a PC has fixed, and act at once', () => {
    const { initialise, raise, lower, device, out, ports } = create([]);
    initialise();
    expect([ports.read(0x4d0, 1), ports.read(0x4d1, 1)]).toEqual([0, 0]);
    out(0x4d0, 0xff);
    out(0x4d1, 0xff);
    expect([ports.read(0x4d0, 1), ports.read(0x4d1, 1)]).toEqual([0xf8, 0xde]);
    raise(5);
    lower(5);
    expect(device.output).toBe(false);
    out(0x4d0, 0x00);
    raise(5);
    lower(5);
    expect(device.output).toBe(true);
  });

  test('firmware leaves PCI interrupts level-triggered, and only possible ones are accepted', () => {
    expect(create([10, 11]).ports.read(0x4d1, 1)).toBe(0x0c);
    expect(() => create([8])).toThrow(InvariantError);
  });
});
