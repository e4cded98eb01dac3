/**
 * Goal: the local APIC's way with the 8259 behind it, its priorities and its messages are those of the manual.
 * Method: driven through its registers as a kernel does, with a real 8259 pair on LINT0; every claim a test.
 */
import { describe, expect, test } from '@jest/globals';
import { describeDeviceContract } from './device-contract.js';
import {
  createLocalApic as create,
  ID,
  TPR,
  PPR,
  EOI,
  LDR,
  DFR,
  SVR,
  ISR,
  TMR,
  IRR,
  ESR,
  ICR,
  ICR_HIGH,
  LVT_TIMER,
  LINT0,
  ENABLED,
  MASKED,
  EXTINT,
  TO_SELF,
} from './local-apic-world.js';

describeDeviceContract('local APIC', () => create());

describe('with the 8259 behind it', () => {
  test('at power-on the 8259 has the CPU to itself', () => {
    const { pic, device, initialisePic, world } = create();
    initialisePic();
    pic.line(0).set(true);
    expect(world.take()).toEqual(['cpu high']);
    expect([device.output, device.pendingVector(), device.acknowledge()]).toEqual([true, 0x20, 0x20]);
    expect([world.take(), device.output]).toEqual([['cpu low'], false]);
  });

  test('an enabled APIC lets it through as firmware left LINT0, until LINT0 is masked', () => {
    const { pic, device, initialisePic, out, inn, world } = create();
    initialisePic();
    expect([inn(SVR), inn(LINT0), inn(0x360), inn(LVT_TIMER)]).toEqual([0xff, EXTINT, 0x400, MASKED]);
    out(SVR, ENABLED);
    pic.line(3).set(true);
    expect(device.pendingVector()).toBe(0x23);
    world.take();
    out(LINT0, MASKED | EXTINT);
    expect([world.take(), device.pendingVector()]).toEqual([['cpu low'], null]);
    out(LINT0, EXTINT);
    expect([world.take(), device.acknowledge()]).toEqual([['cpu high'], 0x23]);
  });

  test('disabling the APIC masks its entries and gives the CPU back to the 8259', () => {
    const { pic, device, initialisePic, out, inn } = create();
    initialisePic();
    out(SVR, ENABLED);
    out(LINT0, MASKED);
    out(LVT_TIMER, 0x40);
    pic.line(3).set(true);
    expect(device.output).toBe(false);
    out(SVR, 0xff);
    expect([device.pendingVector(), inn(LVT_TIMER)]).toEqual([0x23, MASKED | 0x40]);
    out(LVT_TIMER, 0x41);
    expect(inn(LVT_TIMER)).toBe(MASKED | 0x41);
  });

  test("the APIC's own requests go first, whatever the 8259 asks, and leave its request waiting", () => {
    const { pic, device, initialisePic, out, deliver } = create();
    initialisePic();
    out(SVR, ENABLED);
    pic.line(0).set(true);
    deliver(0x40);
    expect([device.acknowledge(), device.output, device.acknowledge()]).toEqual([0x40, true, 0x20]);
  });

  test('the task priority does not hold back the 8259', () => {
    const { pic, device, initialisePic, out } = create();
    initialisePic();
    out(SVR, ENABLED);
    out(TPR, 0xff);
    pic.line(0).set(true);
    expect(device.acknowledge()).toBe(0x20);
  });

  test('in fixed mode each rising edge of LINT0 requests the entry’s vector', () => {
    const { pic, device, initialisePic, out } = create();
    initialisePic();
    out(SVR, ENABLED);
    out(LINT0, 0x50);
    pic.line(0).set(true);
    expect([device.pendingVector(), device.acknowledge(), device.output]).toEqual([0x50, 0x50, false]);
    pic.acknowledge();
    pic.masterPorts.write(0, 1, 0x20);
    out(EOI, 0);
    pic.line(1).set(true);
    expect(device.acknowledge()).toBe(0x50);
  });
});

describe('priorities', () => {
  test('a higher class interrupts, the same or a lower one waits for the end', () => {
    const { device, out, inn, deliver } = create();
    out(SVR, ENABLED);
    deliver(0x51);
    expect([device.acknowledge(), inn(PPR)]).toEqual([0x51, 0x50]);
    deliver(0x5f);
    deliver(0x33);
    expect(device.output).toBe(false);
    deliver(0x61);
    expect([device.acknowledge(), inn(PPR)]).toEqual([0x61, 0x60]);
    out(EOI, 0);
    expect(device.output).toBe(false);
    out(EOI, 0);
    expect(device.acknowledge()).toBe(0x5f);
    out(EOI, 0);
    expect(device.acknowledge()).toBe(0x33);
  });

  test('the task priority holds back its class and those below', () => {
    const { device, out, inn, deliver, world } = create();
    out(SVR, ENABLED);
    out(TPR, 0x55);
    deliver(0x5f);
    expect([device.output, inn(PPR), inn(TPR)]).toEqual([false, 0x55, 0x55]);
    world.take();
    out(TPR, 0x4f);
    expect([world.take(), device.pendingVector()]).toEqual([['cpu high'], 0x5f]);
    out(TPR, 0xf0);
    expect([world.take(), device.acknowledge()]).toEqual([['cpu low'], 0xff]);
  });

  test('an acknowledge with nothing requested gives the spurious vector and marks nothing', () => {
    const { device, out, inn } = create();
    out(SVR, 0x13f);
    out(LINT0, MASKED);
    expect(device.acknowledge()).toBe(0x3f);
    expect(inn(ISR + 0x10)).toBe(0);
  });

  test('requests, services and triggers show in their registers', () => {
    const { device, out, inn, deliver } = create();
    out(SVR, ENABLED);
    deliver(0xe1, { level: true });
    deliver(0x30);
    expect([inn(IRR + 0x70), inn(TMR + 0x70), inn(ISR + 0x70), inn(IRR + 0x10)]).toEqual([2, 2, 0, 0x10000]);
    device.acknowledge();
    expect([inn(IRR + 0x70), inn(TMR + 0x70), inn(ISR + 0x70)]).toEqual([0, 2, 2]);
    out(ISR + 0x70, 0);
    out(IRR + 0x10, 0);
    expect([inn(ISR + 0x70), inn(IRR + 0x10), inn(ESR)]).toEqual([2, 0x10000, 0]);
  });

  test('the end of a level is told to the I/O APIC, that of an edge is not', () => {
    const { device, out, deliver, ended } = create();
    out(SVR, ENABLED);
    deliver(0x41, { level: true });
    deliver(0x61);
    device.acknowledge();
    out(EOI, 0);
    expect(ended).toEqual([]);
    device.acknowledge();
    out(EOI, 0);
    out(EOI, 0);
    expect(ended).toEqual([0x41]);
  });
});

describe('messages', () => {
  test('a disabled APIC takes none and keeps what it has', () => {
    const { device, out, inn, deliver } = create();
    expect(deliver(0x40)).toBe(false);
    out(SVR, ENABLED);
    deliver(0x40);
    out(SVR, 0xff);
    expect([device.output, inn(IRR + 0x20)]).toEqual([false, 1]);
    out(SVR, ENABLED);
    expect(device.acknowledge()).toBe(0x40);
  });

  test.each([
    ['its own ID', { destination: 5 }, true],
    ['another ID', { destination: 4 }, false],
    ['all', { destination: 0xff }, true],
    ['a flat logical set with it', { destination: 0x06, logical: true }, true],
    ['a flat logical set without it', { destination: 0x09, logical: true }, false],
  ])('to %s', (_to, message, taken) => {
    const { out, deliver } = create();
    out(SVR, ENABLED);
    out(ID, 0x05000000);
    out(LDR, 0x02000000);
    expect(deliver(0x40, message)).toBe(taken);
  });

  test('the cluster model looks at the cluster and at its member', () => {
    const { out, inn, deliver } = create();
    out(SVR, ENABLED);
    out(DFR, 0);
    out(LDR, 0x32000000);
    expect(inn(DFR)).toBe(0x0fffffff);
    const taken = [0x32, 0x33, 0x31, 0x22].map((destination) => deliver(0x40, { logical: true, destination }));
    expect(taken).toEqual([true, true, false, false]);
  });

  test('an NMI to itself reaches the processor, enabled APIC or not, and nothing else becomes one', () => {
    const { out, world } = create();
    const NMI = 0x400;
    const send = (low: number, high = 0): string[] => {
      out(ICR_HIGH, high);
      out(ICR, low);
      return world.take().filter((call) => call === 'nmi');
    };
    for (const enabled of [0xff, ENABLED]) {
      out(SVR, enabled);
      expect([send(NMI), send(NMI | 0x4000), send(NMI, 0xff000000), send(NMI | 0x80000)]).toEqual(
        Array(4).fill(['nmi']),
      );
      // To another processor, to all others, by the shorthand for itself; SMI and INIT.
      const lost = [send(NMI, 0x01000000), send(NMI | 0xc0000), send(NMI | TO_SELF), send(0x200), send(0x500)];
      expect(lost.flat()).toEqual([]);
    }
    out(LDR, 0x02000000);
    expect([send(NMI | 0x800, 0x02000000), send(NMI | 0x800, 0x01000000)]).toEqual([['nmi'], []]);
  });

  test('an interprocessor interrupt reaches the sender by shorthand, by ID and by set, and nobody else', () => {
    const { device, out, inn } = create();
    out(SVR, ENABLED);
    out(LDR, 0x01000000);
    const sent = (low: number, high = 0): boolean => {
      out(ICR_HIGH, high);
      out(ICR, low);
      const arrived = device.output;
      if (arrived) device.acknowledge();
      out(EOI, 0);
      return arrived;
    };
    expect(sent(TO_SELF | 0x50)).toBe(true);
    expect(sent(0x80000 | 0x50)).toBe(true); // all, the sender too
    expect(sent(0xc0000 | 0x50)).toBe(false); // all but the sender
    expect(sent(0x150, 0)).toBe(true); // lowest priority, to ID 0
    expect(sent(0x50, 0x01000000)).toBe(false);
    expect(sent(0x850, 0x01000000)).toBe(true); // logical
    for (const mode of [0x200, 0x400, 0x500, 0x600]) expect(sent(TO_SELF | mode | 0x50)).toBe(false);
    expect(inn(ICR) & 0x1000).toBe(0); // never pending
    expect(inn(ICR_HIGH)).toBe(0);
  });
});
