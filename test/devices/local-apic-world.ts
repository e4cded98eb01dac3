/** A local APIC as the tests drive it: by its registers, with a real 8259 pair on LINT0. */
import type { InterruptMessage } from '../../devices/interrupt-source.js';
import { LOCAL_APIC_ADDRESS, LOCAL_APIC_BYTES, LocalApic } from '../../devices/local-apic.js';
import { MemoryBus } from '../../devices/memory-bus.js';
import { Pic8259Pair } from '../../devices/pic8259.js';
import { FakeWorld } from './fake-world.js';

export const ID = 0x20;
export const VERSION = 0x30;
export const TPR = 0x80;
export const PPR = 0xa0;
export const EOI = 0xb0;
export const LDR = 0xd0;
export const DFR = 0xe0;
export const SVR = 0xf0;
export const ISR = 0x100;
export const TMR = 0x180;
export const IRR = 0x200;
export const ESR = 0x280;
export const ICR = 0x300;
export const ICR_HIGH = 0x310;
export const LVT_TIMER = 0x320;
export const LINT0 = 0x350;
export const LVT_ERROR = 0x370;
export const INITIAL_COUNT = 0x380;
export const CURRENT_COUNT = 0x390;
export const DIVIDE = 0x3e0;

export const ENABLED = 0x1ff;
export const MASKED = 0x10000;
export const EXTINT = 0x700;
export const PERIODIC = 0x20000;
export const TO_SELF = 0x40000;

/** A local APIC with a real 8259 pair on LINT0. */
export function createLocalApic() {
  const world = new FakeWorld();
  const pic: Pic8259Pair = new Pic8259Pair({ environment: { interruptRequest: () => device.picChanged() } });
  const ended: number[] = [];
  const device: LocalApic = new LocalApic({
    environment: world,
    pic,
    endOfInterrupt: (vector) => {
      ended.push(vector);
    },
  });
  const bus = new MemoryBus();
  bus.insert('local-apic', LOCAL_APIC_ADDRESS, LOCAL_APIC_BYTES, device);
  const out = (offset: number, value: number) => bus.write(LOCAL_APIC_ADDRESS + offset, 4, value);
  const inn = (offset: number) => bus.read(LOCAL_APIC_ADDRESS + offset, 4);
  const deliver = (vector: number, more: Partial<InterruptMessage> = {}) =>
    device.deliver({ vector, level: false, logical: false, destination: 0, ...more });
  /** Vectors 20h and 28h, everything unmasked. */
  const initialisePic = () => {
    for (const ports of [pic.masterPorts, pic.slavePorts]) ports.write(0, 1, 0x11);
    for (const value of [0x20, 0x04, 0x01, 0x00]) pic.masterPorts.write(1, 1, value);
    for (const value of [0x28, 0x02, 0x01, 0x00]) pic.slavePorts.write(1, 1, value);
  };
  const passTo = (ns: number) => {
    for (let next = device.nextDeadlineNs(); next !== null && next <= ns; next = device.nextDeadlineNs()) {
      world.ns = next;
      device.advance(next);
    }
    world.ns = ns;
  };
  const busy = () => {
    initialisePic();
    out(SVR, ENABLED);
    out(LVT_TIMER, PERIODIC | 0x40);
    out(DIVIDE, 0x0b);
    out(INITIAL_COUNT, 1_000_000_007);
    out(LVT_ERROR, 0xfe);
    out(ID, 0x03000000);
    out(LDR, 0x01000000);
    out(TPR, 0x21);
    deliver(0x91, { level: true, destination: 3 });
    deliver(0x55, { destination: 3 });
    device.acknowledge();
    out(ICR, TO_SELF | 0x60);
    out(ICR, TO_SELF | 0x0f);
    pic.line(4).set(true);
    passTo(1_500_000_000);
  };
  const blocks = [{ registers: device, bytes: LOCAL_APIC_BYTES }];
  return { world, pic, device, out, inn, deliver, initialisePic, passTo, ended, busy, blocks, calls: world.calls };
}
