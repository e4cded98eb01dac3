/**
 * Goal: the interrupt controllers give the CPU the vectors, in the order, that a pair of 8259As would.
 * Method: initialisation and commands through ports as kernels write them, lines moved by hand; a property compares
 * the fully nested mode with a model that is nothing but sorted lists.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { InvariantError } from '../../emulator/errors.js';
import { describeDeviceContract } from './device-contract.js';
import { EOI, MASTER, SLAVE, create } from './pic8259-world.js';

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
