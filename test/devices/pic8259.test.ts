/**
 * Goal: the interrupt controllers give the CPU the vectors, in the order, that a pair of 8259As would.
 * Method: initialisation and commands through ports as kernels write them, lines moved by hand; a property compares
 * the fully nested mode with a model that is nothing but sorted lists.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { InvariantError } from '../../emulator/errors.js';
import {
  ELCR_PORT,
  ELCR_PORT_COUNT,
  PIC_MASTER_PORT,
  PIC_PORT_COUNT,
  PIC_SLAVE_PORT,
  Pic8259Pair,
} from '../../devices/pic8259.js';
import { PortBus } from '../../devices/port-bus.js';
import { describeDeviceContract } from './device-contract.js';
import { FakeWorld } from './fake-world.js';

const MASTER = 0x20;
const SLAVE = 0xa0;
const EOI = 0x20;

function create(levelIrqs: readonly number[] = [10, 11]) {
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

describeDeviceContract('8259 pair', () => create());

describe('requests', () => {
  test('nothing reaches the CPU before initialisation', () => {
    const { raise, device } = create();
    raise(0, 3, 10);
    expect([device.output, device.pendingVector()]).toEqual([false, null]);
  });

  test('an edge interrupts once, however long the line stays high', () => {
    const { initialise, raise, device, out, world } = create();
    initialise();
    raise(3);
    expect(world.take()).toEqual(['cpu high']);
    expect([device.pendingVector(), device.acknowledge()]).toEqual([0x23, 0x23]);
    expect(world.take()).toEqual(['cpu low']);
    out(MASTER, EOI);
    expect(device.output).toBe(false);
  });

  test('an edge stays latched when the line falls again', () => {
    const { initialise, pulse, lower, device } = create();
    initialise();
    pulse(0);
    lower(0);
    expect(device.acknowledge()).toBe(0x20);
  });

  test('a level interrupts again as long as it is high, and is forgotten when it falls', () => {
    const { initialise, raise, lower, device, out } = create();
    initialise();
    raise(10);
    expect(device.acknowledge()).toBe(0x2a);
    out(SLAVE, EOI);
    out(MASTER, EOI);
    expect(device.pendingVector()).toBe(0x2a);
    lower(10);
    expect(device.pendingVector()).toBeNull();
  });

  test('the slave answers through input 2 of the master', () => {
    const { initialise, raise, device, ports, out } = create();
    initialise();
    raise(8);
    expect(device.acknowledge()).toBe(0x28);
    out(MASTER, 0x0b);
    out(SLAVE, 0x0b);
    expect([ports.read(MASTER, 1), ports.read(SLAVE, 1)]).toEqual([0x04, 0x01]);
    out(SLAVE, EOI);
    out(MASTER, EOI);
    expect([ports.read(MASTER, 1), ports.read(SLAVE, 1)]).toEqual([0, 0]);
  });

  test('a second request of the slave waits for both ends of interrupt', () => {
    const { initialise, raise, device, out } = create();
    initialise();
    raise(9, 14);
    expect(device.acknowledge()).toBe(0x29);
    out(SLAVE, EOI);
    expect(device.output).toBe(false);
    out(MASTER, EOI);
    expect(device.acknowledge()).toBe(0x2e);
  });

  test('a higher priority interrupts a lower one, not the other way round', () => {
    const { initialise, raise, device, out } = create();
    initialise();
    raise(4);
    expect(device.acknowledge()).toBe(0x24);
    raise(5);
    expect(device.output).toBe(false);
    raise(1);
    expect(device.acknowledge()).toBe(0x21);
    out(MASTER, EOI, EOI);
    expect(device.acknowledge()).toBe(0x25);
  });

  test('masked requests wait', () => {
    const { initialise, raise, device, out, ports, world } = create();
    initialise();
    out(MASTER + 1, 0xff);
    raise(1);
    expect(ports.read(MASTER + 1, 1)).toBe(0xff);
    expect(ports.read(MASTER, 1)).toBe(0x02);
    expect(world.take()).toEqual([]);
    out(MASTER + 1, 0xfd);
    expect(device.acknowledge()).toBe(0x21);
  });

  test('initialisation forgets edges, keeps levels and clears the mask', () => {
    const { initialise, raise, device, pulse } = create();
    initialise();
    raise(1, 11);
    initialise();
    expect(device.pendingVector()).toBe(0x2b);
    device.line(11).set(false);
    expect(device.pendingVector()).toBeNull();
    pulse(1);
    expect(device.pendingVector()).toBe(0x21);
  });

  test('input 2 belongs to the slave', () => {
    const { device } = create();
    for (const irq of [2, -1, 16]) expect(() => device.line(irq)).toThrow(InvariantError);
  });
});

describe('spurious interrupts', () => {
  test('an acknowledge with nothing requested gives vector 7 and marks nothing in service', () => {
    const { initialise, raise, lower, device, ports, out } = create();
    initialise();
    raise(10);
    lower(10);
    expect(device.acknowledge()).toBe(0x27);
    out(MASTER, 0x0b);
    expect(ports.read(MASTER, 1)).toBe(0);
  });

  test('a request that is masked before the acknowledge takes the interrupt with it', () => {
    const { initialise, raise, device, out, world } = create();
    initialise();
    raise(14);
    out(SLAVE + 1, 0xff);
    expect(world.take()).toEqual(['cpu high', 'cpu low']);
    expect(device.acknowledge()).toBe(0x27);
  });
});

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

test('a restored pair offers the same vector without telling the CPU', () => {
  const subject = create();
  subject.initialise();
  subject.raise(4);
  const other = create();
  other.device.restore(subject.device.save());
  expect(other.world.take()).toEqual([]);
  expect([other.device.output, other.device.pendingVector()]).toEqual([true, 0x24]);
  // The line was high when it was saved: no new edge.
  other.device.line(4).set(true);
  other.device.acknowledge();
  other.out(MASTER, EOI);
  expect(other.device.output).toBe(false);
});

test('in fully nested mode the order is that of sorted priorities', () => {
  /** Master inputs, with the slave's eight in the place of input 2. */
  const order = [0, 1, 8, 9, 10, 11, 12, 13, 14, 15, 3, 4, 5, 6, 7];
  const action = fc.oneof(
    fc.record({ do: fc.constant('raise' as const), irq: fc.constantFrom(...order) }),
    fc.record({ do: fc.constantFrom('take' as const, 'end' as const), irq: fc.constant(0) }),
  );
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
      const { initialise, pulse, device, out } = create([]);
      initialise();
      const requested = new Set<number>();
      /** Innermost last. */
      const inService: number[] = [];
      const master = (irq: number) => (irq >= 8 ? 2 : irq);
      const next = () => {
        const current = inService.at(-1);
        const found = order.find((irq) => requested.has(irq));
        if (found === undefined || current === undefined) return found;
        return master(found) < master(current) ? found : undefined;
      };
      for (const { do: what, irq } of actions) {
        const expected = next();
        if (what === 'raise') {
          pulse(irq);
          requested.add(irq);
        } else if (what === 'take' && expected !== undefined) {
          expect(device.acknowledge()).toBe(0x20 + expected);
          requested.delete(expected);
          inService.push(expected);
        } else if (what === 'end' && inService.length > 0) {
          if (inService.pop()! >= 8) out(SLAVE, EOI);
          out(MASTER, EOI);
        }
        const pending = next();
        expect(device.pendingVector()).toBe(pending === undefined ? null : 0x20 + pending);
        expect(device.output).toBe(pending !== undefined);
      }
    }),
  );
});
