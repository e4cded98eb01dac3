/** An 8259 pair on a port bus, driven as a kernel does. */
import {
  ELCR_PORT,
  ELCR_PORT_COUNT,
  PIC_MASTER_PORT,
  PIC_PORT_COUNT,
  PIC_SLAVE_PORT,
  Pic8259Pair,
} from '../../devices/pic8259.js';
import { PortBus } from '../../devices/port-bus.js';
import { FakeWorld } from './fake-world.js';

export const MASTER = 0x20;
export const SLAVE = 0xa0;
export const EOI = 0x20;

export function create(levelIrqs: readonly number[] = [10, 11]) {
  const world = new FakeWorld();
  const device = new Pic8259Pair({ environment: world, levelIrqs });
  const ports = new PortBus();
  ports.insert('master', PIC_MASTER_PORT, PIC_PORT_COUNT, device.masterPorts);
  ports.insert('slave', PIC_SLAVE_PORT, PIC_PORT_COUNT, device.slavePorts);
  ports.insert('elcr', ELCR_PORT, ELCR_PORT_COUNT, device.elcrPorts);
  const out = (port: number, ...bytes: number[]) => bytes.forEach((byte) => ports.write(port, 1, byte));
  /** As a kernel does it: vectors 0x20 and 0x28, everything unmasked. */
  const initialise = (icw4 = 0x01) => {
    out(MASTER, 0x11);
    out(SLAVE, 0x11);
    out(MASTER + 1, 0x20, 0x04, icw4);
    out(SLAVE + 1, 0x28, 0x02, icw4);
    out(MASTER + 1, 0x00);
    out(SLAVE + 1, 0x00);
    world.take();
  };
  const raise = (...irqs: number[]) => irqs.forEach((irq) => device.line(irq).set(true));
  const lower = (...irqs: number[]) => irqs.forEach((irq) => device.line(irq).set(false));
  const pulse = (...irqs: number[]) => {
    lower(...irqs);
    raise(...irqs);
  };
  const busy = () => {
    initialise();
    out(MASTER, 0xc3, 0x68);
    raise(4, 10, 12);
    device.acknowledge();
    raise(1);
    out(SLAVE, 0x11);
    out(SLAVE + 1, 0x70);
  };
  const blocks = [
    { registers: device.masterPorts, bytes: 2 },
    { registers: device.slavePorts, bytes: 2 },
    { registers: device.elcrPorts, bytes: 2 },
  ];
  return { world, device, ports, out, initialise, raise, lower, pulse, blocks, calls: world.calls, busy };
}
