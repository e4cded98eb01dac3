/**
 * Goal: the timer that kernels program gives exactly the ticks, counts and status bytes of an 8254.
 * Method: control words and counts through ports, guest time moved by hand, deadlines delivered as the machine does.
 */
import { describe, expect, test } from '@jest/globals';
import { PIT_HZ, PIT_PORT, PIT_PORT_COUNT, Pit8254 } from '../../devices/pit8254.js';
import { PortBus } from '../../devices/port-bus.js';
import { nsOfTick, ticksAt } from '../../devices/tick-clock.js';
import { describeDeviceContract } from './device-contract.js';
import { FakeWorld } from './fake-world.js';

function create() {
  const world = new FakeWorld();
  const device = new Pit8254({ environment: world, irq: world.line('irq 0') });
  const ports = new PortBus();
  ports.insert('pit', PIT_PORT, PIT_PORT_COUNT, device);
  const out = (port: number, ...bytes: number[]) => bytes.forEach((byte) => ports.write(port, 1, byte));
  /** Go to a guest time, stopping at every deadline on the way. Returns the times of the ticks. */
  const passTo = (ns: number) => {
    const ticks: number[] = [];
    for (let due = device.nextDeadlineNs(); due !== null && due <= ns; due = device.nextDeadlineNs()) {
      world.ns = due;
      world.take();
      device.advance(due);
      if (world.take().includes('irq 0 high')) ticks.push(due);
    }
    world.ns = ns;
    return ticks;
  };
  const toTick = (tick: number) => passTo(nsOfTick(tick, PIT_HZ));
  const busy = () => {
    out(0x43, 0x34, 0x70, 0xb6);
    out(0x40, 0x9c, 0x2e);
    out(0x42, 0x10);
    device.setSpeakerGate(true);
    passTo(123_456_789);
    out(0x43, 0xe2);
    out(0x40, 0x00, 0x40);
    ports.read(0x40, 1);
  };
  const blocks = [{ registers: device, bytes: PIT_PORT_COUNT }];
  return { world, device, ports, out, passTo, toTick, blocks, calls: world.calls, busy };
}

describeDeviceContract('8254', create);

describe('channel 0', () => {
  test('100 Hz in mode 2 ticks 100 times a second, at exact times', () => {
    const { out, passTo } = create();
    out(0x43, 0x34);
    out(0x40, 11932 & 0xff, 11932 >> 8);
    const ticks = passTo(1_000_000_000);
    expect(ticks).toEqual(Array.from({ length: 99 }, (_, i) => nsOfTick(1 + 11932 * (i + 1), PIT_HZ)));
  });

  test('count 0 in mode 3 is the BIOS rate of 18.2 Hz', () => {
    const { out, passTo } = create();
    out(0x43, 0x36);
    out(0x40, 0, 0);
    expect(passTo(10_000_000_000).length).toBe(182);
  });

  test('a one-shot in mode 4 ticks once, and again for each new count', () => {
    const { out, passTo, device } = create();
    out(0x43, 0x38);
    out(0x40, 0xe8, 0x03);
    expect(passTo(1_000_000_000)).toEqual([nsOfTick(1 + 1000 + 1, PIT_HZ)]);
    expect(device.nextDeadlineNs()).toBeNull();
    const now = ticksAt(1_000_000_000, PIT_HZ);
    out(0x40, 0xd0, 0x07);
    expect(passTo(2_000_000_000)).toEqual([nsOfTick(now + 1 + 2000 + 1, PIT_HZ)]);
  });

  test('a one-shot in mode 0 ticks once', () => {
    const { out, passTo } = create();
    out(0x43, 0x30);
    out(0x40, 100, 0);
    expect(passTo(1_000_000_000)).toEqual([nsOfTick(101, PIT_HZ)]);
  });

  test('a new control word stops the ticks and makes none', () => {
    const { out, passTo, device, world } = create();
    out(0x43, 0x34);
    out(0x40, 0, 1);
    passTo(1_000_000);
    world.take();
    out(0x43, 0x34);
    expect(world.take()).toEqual(['deadline']);
    expect(device.nextDeadlineNs()).toBeNull();
    expect(passTo(1_000_000_000)).toEqual([]);
  });

  test('a new count in mode 2 takes effect at the next tick', () => {
    const { out, toTick } = create();
    out(0x43, 0x34);
    out(0x40, 100, 0);
    toTick(50);
    out(0x40, 200, 0);
    expect(toTick(501)).toEqual([101, 301, 501].map((tick) => nsOfTick(tick, PIT_HZ)));
  });

  test('every due edge is delivered, also when time jumps over several', () => {
    const { out, device, world } = create();
    out(0x43, 0x34);
    out(0x40, 0xe8, 0x03);
    world.take();
    world.ns = nsOfTick(3001, PIT_HZ);
    device.advance(world.ns);
    expect(world.take().filter((call) => call === 'irq 0 high').length).toBe(3);
    expect(device.nextDeadlineNs()).toBe(nsOfTick(4001, PIT_HZ));
  });

  test('advancing short of the deadline does nothing', () => {
    const { out, device, world } = create();
    out(0x43, 0x34);
    out(0x40, 0xe8, 0x03);
    world.take();
    device.advance(device.nextDeadlineNs()! - 1);
    expect(world.take()).toEqual([]);
  });

  test('the deadline is announced only when it moves', () => {
    const { out, world } = create();
    out(0x43, 0x34);
    out(0x40, 0x00);
    expect(world.take().filter((call) => call === 'deadline')).toEqual([]);
    out(0x40, 0x10);
    expect(world.take().filter((call) => call === 'deadline')).toEqual(['deadline']);
    out(0x43, 0x00, 0xc2);
    expect(world.take()).toEqual([]);
  });
});

describe('reading', () => {
  test('a latched count stands still until both bytes are read', () => {
    const { out, ports, toTick } = create();
    out(0x43, 0x34);
    out(0x40, 0x00, 0x80);
    toTick(1 + 0x1234);
    out(0x43, 0x00);
    toTick(20000);
    out(0x43, 0x00);
    expect([ports.read(0x40, 1), ports.read(0x40, 1)]).toEqual([(0x8000 - 0x1234) & 0xff, (0x8000 - 0x1234) >> 8]);
    const live = 0x8000 - (20000 - 1);
    expect([ports.read(0x40, 1), ports.read(0x40, 1)]).toEqual([live & 0xff, live >> 8]);
  });

  test('read-back gives the status first, then the count', () => {
    const { out, ports, toTick, device } = create();
    device.setSpeakerGate(true);
    out(0x43, 0xb6);
    out(0x42, 0xe8, 0x03);
    toTick(1);
    out(0x43, 0xc8);
    // OUT high, count loaded, both bytes, mode 3, binary.
    expect(ports.read(0x42, 1)).toBe(0xb6);
    expect([ports.read(0x42, 1), ports.read(0x42, 1)]).toEqual([0xe8, 0x03]);
  });

  test('the null count bit is set until the count is loaded', () => {
    const { out, ports, toTick } = create();
    out(0x43, 0x34, 0xe2);
    expect(ports.read(0x40, 1)).toBe(0xf4);
    out(0x40, 0x10, 0x00);
    out(0x43, 0xe2);
    expect(ports.read(0x40, 1) & 0x40).toBe(0x40);
    toTick(1);
    out(0x43, 0xe2);
    expect(ports.read(0x40, 1)).toBe(0xb4);
  });

  test('one-byte access reads and writes the half it names', () => {
    const { out, ports, toTick } = create();
    out(0x43, 0x24);
    out(0x40, 0x12);
    toTick(1);
    expect([ports.read(0x40, 1), ports.read(0x40, 1)]).toEqual([0x12, 0x12]);
    out(0x43, 0x14);
    out(0x40, 0x34);
    toTick(2);
    expect([ports.read(0x40, 1), ports.read(0x40, 1)]).toEqual([0x34, 0x34]);
  });

  test('BCD counts down in decimal', () => {
    const { out, ports, toTick } = create();
    out(0x43, 0x35);
    out(0x40, 0x00, 0x10);
    toTick(2);
    expect([ports.read(0x40, 1), ports.read(0x40, 1)]).toEqual([0x99, 0x09]);
    expect(toTick(1001)).toEqual([nsOfTick(1001, PIT_HZ)]);
  });

  test('modes 6 and 7 are modes 2 and 3', () => {
    const { out, ports } = create();
    out(0x43, 0x3c, 0xe2);
    expect((ports.read(0x40, 1) >> 1) & 7).toBe(2);
    out(0x43, 0x3e, 0xe2);
    expect((ports.read(0x40, 1) >> 1) & 7).toBe(3);
  });

  test('the control register reads all ones', () => {
    expect(create().ports.read(0x43, 1)).toBe(0xff);
  });
});
