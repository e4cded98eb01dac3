/**
 * Goal: the clock shows the time that follows from guest time, can be set, and interrupts when it should.
 * Method: index and data port as kernels use them, guest time moved by hand, deadlines delivered as the machine does.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Mc146818, RTC_PORT, RTC_PORT_COUNT } from '../../devices/mc146818.js';
import { PortBus } from '../../devices/port-bus.js';
import { describeDeviceContract } from './device-contract.js';
import { FakeWorld } from './fake-world.js';

const MIB = 1024 * 1024;
const SECOND = 1_000_000_000;
/** 2026-11-24 13:59:58 UTC, a Tuesday. */
const BOOT = 1_795_528_798;

function create(ramBytes = 64 * MIB, boot = BOOT) {
  const world = new FakeWorld(boot);
  const device = new Mc146818({ environment: world, irq: world.line('irq 8'), ramBytes });
  const ports = new PortBus();
  ports.insert('rtc', RTC_PORT, RTC_PORT_COUNT, device);
  const get = (index: number) => {
    ports.write(0x70, 1, index);
    return ports.read(0x71, 1);
  };
  const set = (index: number, value: number) => {
    ports.write(0x70, 1, index);
    ports.write(0x71, 1, value);
  };
  const time = () => [0x32, 9, 8, 7, 6, 4, 2, 0].map(get);
  const irq = () => world.levels.get('irq 8') ?? false;
  /** Go to a guest time, stopping at every deadline; returns the times at which the line rose. */
  const passTo = (ns: number) => {
    const rises: number[] = [];
    for (let due = device.nextDeadlineNs(); due !== null && due <= ns; due = device.nextDeadlineNs()) {
      world.ns = due;
      world.take();
      device.advance(due);
      if (world.take().includes('irq 8 high')) rises.push(due);
    }
    world.ns = ns;
    return rises;
  };
  const busy = () => {
    passTo(1_234_567_890);
    set(0x0a, 0x2a);
    set(0x0b, 0x72);
    set(0x05, 0xff);
    set(0x03, 0xff);
    set(0x01, 0x05);
    set(0x02, 0x17);
    set(0x06, 0x03);
    set(0x40, 0x99);
    passTo(2_000_000_000);
    ports.write(0x70, 1, 0x8c);
  };
  const blocks = [{ registers: device, bytes: RTC_PORT_COUNT }];
  return { world, device, ports, get, set, time, irq, passTo, blocks, calls: world.calls, busy };
}

describeDeviceContract('MC146818', () => create());

describe('time', () => {
  test('starts at the boot time, in BCD and 24 hours', () => {
    expect(create().time()).toEqual([0x20, 0x26, 0x11, 0x24, 0x03, 0x13, 0x59, 0x58]);
  });

  test('follows guest time', () => {
    const { passTo, time } = create();
    passTo(2 * SECOND - 1);
    expect(time().slice(-3)).toEqual([0x13, 0x59, 0x59]);
    passTo(2 * SECOND);
    expect(time().slice(-3)).toEqual([0x14, 0x00, 0x00]);
    passTo(2 * SECOND + 10 * 3600 * SECOND);
    expect(time()).toEqual([0x20, 0x26, 0x11, 0x25, 0x04, 0x00, 0x00, 0x00]);
  });

  test('binary and 12-hour formats', () => {
    const { set, time, passTo } = create();
    set(0x0b, 0x06);
    expect(time()).toEqual([20, 26, 11, 24, 3, 13, 59, 58]);
    set(0x0b, 0x00);
    expect(time()[5]).toBe(0x81);
    passTo(11 * 3600 * SECOND);
    expect(time()[5]).toBe(0x12);
    passTo(12 * 3600 * SECOND);
    expect(time()[5]).toBe(0x01);
  });

  test('UIP warns before each update, and never while the clock is stopped', () => {
    const { get, set, passTo } = create();
    expect(get(0x0a)).toBe(0x26);
    passTo(SECOND - 2_228_001);
    expect(get(0x0a)).toBe(0x26);
    passTo(SECOND - 1);
    expect(get(0x0a)).toBe(0xa6);
    set(0x0b, 0x82);
    expect(get(0x0a)).toBe(0x26);
    set(0x0b, 0x02);
    passTo(SECOND);
    expect(get(0x0a)).toBe(0x26);
  });

  test('setting it under SET takes effect at once and keeps the phase', () => {
    const { set, time, passTo } = create();
    passTo(300_000_000);
    set(0x0b, 0x82);
    [0x19, 0x99, 0x12, 0x31, 0x06, 0x23, 0x59, 0x59].forEach((value, i) => set([0x32, 9, 8, 7, 6, 4, 2, 0][i]!, value));
    passTo(5 * SECOND + 300_000_000);
    expect(time()).toEqual([0x19, 0x99, 0x12, 0x31, 0x06, 0x23, 0x59, 0x59]);
    set(0x0b, 0x02);
    passTo(6 * SECOND - 1);
    expect(time().at(-1)).toBe(0x59);
    passTo(6 * SECOND);
    expect(time()).toEqual([0x20, 0x00, 0x01, 0x01, 0x07, 0x00, 0x00, 0x00]);
  });

  test('after a divider reset the first update comes half a second later', () => {
    const { set, get, time, passTo } = create();
    passTo(900_000_000);
    set(0x0a, 0x66);
    passTo(10 * SECOND);
    expect(time().at(-1)).toBe(0x58);
    set(0x0a, 0x26);
    passTo(10 * SECOND + 499_999_999);
    expect([time().at(-1), get(0x0a)]).toEqual([0x58, 0xa6]);
    passTo(10 * SECOND + 500_000_000);
    expect([time().at(-1), get(0x0a)]).toEqual([0x59, 0x26]);
  });

  test('one register can be set while the clock runs', () => {
    const { set, time, passTo } = create();
    set(4, 0x09);
    set(6, 0x07);
    passTo(SECOND);
    expect(time()).toEqual([0x20, 0x26, 0x11, 0x24, 0x07, 0x09, 0x59, 0x59]);
  });

  test('any time set is the time shown', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 2 ** 36 }),
        fc.constantFrom(0x00, 0x02, 0x04, 0x06),
        fc.nat({ max: 10 * SECOND }),
        (boot, format, ns) => {
          const source = create(64 * MIB, boot);
          const target = create(64 * MIB, 0);
          source.set(0x0b, format);
          source.passTo(ns);
          target.passTo(ns);
          const shown = source.time();
          target.set(0x0b, 0x80 | format);
          shown.forEach((value, i) => target.set([0x32, 9, 8, 7, 6, 4, 2, 0][i]!, value));
          target.set(0x0b, format);
          expect(target.time()).toEqual(shown);
        },
      ),
    );
  });

  test('nonsense in the time registers is brought into range', () => {
    const { set, time } = create();
    set(0x0b, 0x86);
    for (const index of [0, 2, 4, 6, 7, 8, 9, 0x32]) set(index, 0xff);
    set(0x0b, 0x06);
    expect(time()).toEqual([99, 99, 12, 31, 7, 23, 59, 59]);
  });
});

describe('interrupts', () => {
  test('nothing enabled: no deadline, but the flags tell what happened', () => {
    const { device, get, passTo } = create();
    expect(device.nextDeadlineNs()).toBeNull();
    expect(get(0x0c)).toBe(0);
    passTo(SECOND);
    expect(get(0x0c)).toBe(0x50);
    expect(get(0x0c)).toBe(0);
  });

  test('periodic interrupts at 1,024 Hz, each after the one before was read', () => {
    const { set, get, passTo, irq } = create();
    set(0x0b, 0x42);
    const rises: number[] = [];
    for (let i = 0; i < 1024; i++) {
      rises.push(...passTo((i + 1) * 976_563));
      expect([irq(), get(0x0c) & 0xc0, irq()]).toEqual([true, 0xc0, false]);
    }
    expect(rises.length).toBe(1024);
    expect(rises[0]).toBe(976_563);
    expect(rises[1023]).toBe(SECOND);
  });

  test('an interrupt nobody reads has no further deadlines', () => {
    const { set, device, passTo } = create();
    set(0x0b, 0x42);
    expect(passTo(SECOND).length).toBe(1);
    expect(device.nextDeadlineNs()).toBeNull();
  });

  test('rate selections 1 and 2 are 256 and 128 Hz, 15 is 2 Hz, 0 is off', () => {
    const { set, get, device } = create();
    const first = (rate: number) => {
      set(0x0a, 0x20 | rate);
      set(0x0b, 0x42);
      get(0x0c);
      return device.nextDeadlineNs();
    };
    expect([1, 2, 3, 15, 0].map(first)).toEqual([3_906_250, 7_812_500, 122_071, 500_000_000, null]);
  });

  test('update-ended interrupts come with each second', () => {
    const { set, get, passTo } = create();
    set(0x0b, 0x12);
    expect(passTo(1.5 * SECOND)).toEqual([SECOND]);
    expect(get(0x0c)).toBe(0xd0);
    expect(passTo(2.5 * SECOND)).toEqual([2 * SECOND]);
  });

  test('SET forbids update-ended interrupts', () => {
    const { set, get, passTo } = create();
    set(0x0b, 0x92);
    expect(get(0x0b)).toBe(0x82);
    expect(passTo(3 * SECOND)).toEqual([]);
  });

  test('the alarm rings at its time of day', () => {
    const { set, passTo, get } = create();
    set(0x01, 0x30);
    set(0x03, 0x05);
    set(0x05, 0x14);
    set(0x0b, 0x22);
    expect(passTo(86400 * SECOND)).toEqual([(2 + 5 * 60 + 30) * SECOND]);
    expect(get(0x0c) & 0xa0).toBe(0xa0);
    expect(passTo(2 * 86400 * SECOND)).toEqual([(86400 + 2 + 5 * 60 + 30) * SECOND]);
  });

  test('"don\'t care" alarms ring every minute, or every second', () => {
    const { set, get, passTo } = create();
    set(0x01, 0x10);
    set(0x03, 0xff);
    set(0x05, 0xc0);
    set(0x0b, 0x22);
    expect(passTo(30 * SECOND)).toEqual([12 * SECOND]);
    get(0x0c);
    expect(passTo(100 * SECOND)).toEqual([72 * SECOND]);
    set(0x01, 0xff);
    get(0x0c);
    expect(passTo(102 * SECOND)).toEqual([101 * SECOND]);
  });

  test('an alarm at a time that does not exist never rings', () => {
    const { set, device } = create();
    set(0x01, 0x75);
    set(0x0b, 0x22);
    expect(device.nextDeadlineNs()).toBeNull();
  });

  test('enabling an interrupt whose flag is set raises the line at once', () => {
    const { set, irq, passTo } = create();
    passTo(SECOND);
    set(0x0b, 0x12);
    expect(irq()).toBe(true);
  });

  test('the deadline is announced when it moves, and only then', () => {
    const { set, world } = create();
    set(0x0b, 0x12);
    expect(world.take()).toContain('deadline');
    set(0x0b, 0x12);
    expect(world.take()).not.toContain('deadline');
    set(0x0b, 0x02);
    expect(world.take()).toContain('deadline');
  });
});

describe('CMOS memory', () => {
  test.each([
    [4, 3072, 0],
    [16, 15360, 0],
    [64, 64512, 768],
    [128, 65535, 1792],
    [3072, 65535, 48896],
  ])('%i MiB of RAM are told to firmware', (mib, extendedKib, above16) => {
    const { get } = create(mib * MIB);
    const word = (index: number) => get(index) | (get(index + 1) << 8);
    expect([word(0x15), word(0x17), word(0x30), word(0x34)]).toEqual([640, extendedKib, extendedKib, above16]);
  });

  test('the hard disk is what a BIOS shall start from', () => {
    expect(create().get(0x3d)).toBe(2);
  });

  test('the checksum is right', () => {
    const { get } = create();
    let sum = 0;
    for (let index = 0x10; index <= 0x2d; index++) sum += get(index);
    expect((get(0x2e) << 8) | get(0x2f)).toBe(sum);
  });

  test('other bytes are plain memory; status D says that the battery is good', () => {
    const { get, set } = create();
    set(0x0f, 0x0a);
    set(0x7f, 0x55);
    set(0x0d, 0x00);
    expect([get(0x0f), get(0x7f), get(0x0d), get(0xff)]).toEqual([0x0a, 0x55, 0x80, 0x55]);
  });

  test('the index port cannot be read and holds the NMI mask', () => {
    const { ports, device } = create();
    ports.write(0x70, 1, 0x8d);
    expect([ports.read(0x70, 1), ports.read(0x71, 1), device.nmiMasked]).toEqual([0xff, 0x80, true]);
    ports.write(0x70, 1, 0x0d);
    expect(device.nmiMasked).toBe(false);
  });
});
