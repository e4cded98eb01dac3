/**
 * Goal: the local APIC's registers, errors, timer entry and saved state are those of the manual.
 * Method: driven through its registers as a kernel does; every claim a test.
 */
import { describe, expect, test } from '@jest/globals';
import { LOCAL_APIC_VERSION } from '../../devices/local-apic.js';
import { DecodeError } from '../../emulator/errors.js';
import {
  createLocalApic as create,
  ID,
  VERSION,
  TPR,
  EOI,
  LDR,
  DFR,
  SVR,
  ESR,
  ICR,
  ICR_HIGH,
  LVT_TIMER,
  LINT0,
  LVT_ERROR,
  INITIAL_COUNT,
  CURRENT_COUNT,
  DIVIDE,
  ENABLED,
  PERIODIC,
  TO_SELF,
} from './local-apic-world.js';

describe('errors', () => {
  test('show after a write to ESR, once', () => {
    const { out, inn, deliver } = create();
    out(SVR, ENABLED);
    out(ICR, TO_SELF | 0x05);
    deliver(0x0f);
    inn(0x040);
    expect(inn(ESR)).toBe(0);
    out(ESR, 0);
    expect(inn(ESR)).toBe(0xe0);
    out(ESR, 0);
    expect(inn(ESR)).toBe(0);
  });

  test('interrupt through their entry, the first of each kind', () => {
    const { device, out } = create();
    out(SVR, ENABLED);
    out(LVT_ERROR, 0xfe);
    out(0x000, 1);
    expect(device.acknowledge()).toBe(0xfe);
    out(EOI, 0);
    out(0x000, 1);
    expect(device.output).toBe(false);
    out(ESR, 0);
    out(0x3f0, 1);
    expect(device.acknowledge()).toBe(0xfe);
  });

  test('an error entry with a vector that cannot be is one more error, not an endless one', () => {
    const { device, out, inn } = create();
    out(SVR, ENABLED);
    out(LVT_ERROR, 0x03);
    out(ICR, TO_SELF | 0x05);
    out(ESR, 0);
    expect([inn(ESR), device.output]).toEqual([0x60, false]);
  });
});

describe('the timer', () => {
  test('interrupts through its entry at its time, once or periodically', () => {
    const { device, out, inn, passTo } = create();
    out(SVR, ENABLED);
    out(DIVIDE, 0x0b);
    out(LVT_TIMER, 0xef);
    out(INITIAL_COUNT, 500);
    expect([device.nextDeadlineNs(), inn(INITIAL_COUNT), inn(CURRENT_COUNT), inn(DIVIDE)]).toEqual([
      500, 500, 500, 0x0b,
    ]);
    passTo(499);
    expect(device.output).toBe(false);
    passTo(500);
    expect([device.acknowledge(), inn(CURRENT_COUNT), device.nextDeadlineNs()]).toEqual([0xef, 0, null]);
    out(EOI, 0);
    out(LVT_TIMER, PERIODIC | 0xef);
    out(INITIAL_COUNT, 500);
    passTo(2100);
    expect([device.acknowledge(), device.nextDeadlineNs(), inn(CURRENT_COUNT)]).toEqual([0xef, 2500, 400]);
  });

  test('has no deadline while masked or the APIC disabled', () => {
    const { device, out } = create();
    out(LVT_TIMER, PERIODIC | 0xef);
    out(INITIAL_COUNT, 500);
    expect(device.nextDeadlineNs()).toBeNull();
    out(SVR, ENABLED);
    expect(device.nextDeadlineNs()).toBeNull();
    out(LVT_TIMER, PERIODIC | 0xef);
    expect(device.nextDeadlineNs()).toBe(1000);
    out(SVR, 0xff);
    expect(device.nextDeadlineNs()).toBeNull();
  });

  test('what was due before its entry changed came through the old one', () => {
    const { device, out, world } = create();
    out(SVR, ENABLED);
    out(LVT_TIMER, 0x41);
    out(INITIAL_COUNT, 10);
    world.ns = 100;
    out(LVT_TIMER, 0x42);
    expect(device.acknowledge()).toBe(0x41);
  });
});

describe('registers', () => {
  test('identify a P6 APIC at ID 0', () => {
    const { inn } = create();
    expect([inn(ID), inn(VERSION), LOCAL_APIC_VERSION & 0xff]).toEqual([0, 0x00040014, 0x14]);
  });

  test('keep the bits that exist', () => {
    const { out, inn } = create();
    out(SVR, ENABLED);
    const kept = [ID, TPR, LDR, DFR, SVR, ICR_HIGH, LVT_TIMER, 0x340, LINT0, 0x360, LVT_ERROR, DIVIDE].map((offset) => {
      out(offset, 0xffffffff);
      return inn(offset);
    });
    const [top, svr] = [0xff000000, 0x3ff];
    expect(kept).toEqual([top, 0xff, top, 0xffffffff, svr, top, 0x300ff, 0x107ff, 0x1a7ff, 0x1a7ff, 0x100ff, 0x0b]);
  });

  test('are written whole only, and read also in parts', () => {
    const { device, out, inn } = create();
    out(LDR, 0x12000000);
    device.write(LDR, 1, 0xff);
    device.write(LDR + 3, 1, 0xff);
    device.write(LDR, 2, 0xff);
    device.write(LDR + 4, 4, 0xffffffff);
    expect([inn(LDR), device.read(LDR + 3, 1), device.read(LDR + 2, 2), device.read(LDR + 4, 4)]).toEqual([
      0x12000000, 0x12, 0x1200, 0,
    ]);
  });
});

describe('saved state', () => {
  test('a restored APIC offers the same vector without telling the CPU', () => {
    const subject = create();
    subject.busy();
    const other = create();
    other.device.restore(subject.device.save());
    expect([other.device.output, other.device.pendingVector()]).toEqual([true, subject.device.pendingVector()]);
    expect(other.world.take()).toEqual([]);
  });

  test('a register with a bit that does not exist is refused', () => {
    const good = create().device.save();
    for (const damage of [
      { svr: 0x4ff },
      { dfr: 0 },
      { id: 1 },
      { esr: 1 },
      { lvt: { ...(good['lvt'] as object), timer: 0x40000 } },
    ]) {
      expect(() => create().device.restore({ ...good, ...damage })).toThrow(DecodeError);
    }
  });
});
