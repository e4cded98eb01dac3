/**
 * Goal: PCI functions share interrupt lines without losing each other's requests.
 * Method: sources on the same and on other lines; a property compares the lines with the OR of their sources.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { DecodeError, InvariantError } from '../../emulator/errors.js';
import { IrqRouter, PCI_ISA_IRQS } from '../../devices/irq-router.js';
import { describeDeviceContract } from './device-contract.js';
import { FakeWorld } from './fake-world.js';

function create() {
  const world = new FakeWorld();
  const routes: (number | null)[] = [10, 11, 10, 11];
  const device = new IrqRouter({ line: (irq) => world.line(`irq ${irq}`), route: (pirq) => routes[pirq]! });
  const sources = [device.connect(1, 1), device.connect(2, 1), device.connect(3, 1)] as const;
  const busy = () => {
    sources[0].set(true);
    sources[2].set(true);
  };
  return { world, device, routes, sources, blocks: [], calls: world.calls, busy };
}

describeDeviceContract('interrupt router', create);

describe('interrupt router', () => {
  test('slots and pins rotate over the PIRQ lines', () => {
    const { device } = create();
    expect([0, 1, 2, 3, 4].map((slot) => device.pirq(slot, 1))).toEqual([3, 0, 1, 2, 3]);
    expect([1, 2, 3, 4].map((pin) => device.isaIrq(1, pin))).toEqual([10, 11, 10, 11]);
    expect(PCI_ISA_IRQS).toEqual([10, 11]);
    expect(() => device.pirq(1, 0)).toThrow(InvariantError);
  });

  test('a request follows its PIRQ to another interrupt, and nowhere when it is not routed', () => {
    const { device, routes, sources, world } = create();
    sources[1].set(true);
    expect(world.take()).toEqual(['irq 11 high']);
    routes[1] = 5;
    device.routingChanged();
    expect(world.take()).toEqual(['irq 5 high', 'irq 11 low']);
    routes[1] = null;
    device.routingChanged();
    expect(world.take()).toEqual(['irq 5 low']);
    sources[1].set(false);
    expect(world.take()).toEqual([]);
  });

  test('a shared line falls with its last source', () => {
    const { sources, world } = create();
    sources[0].set(true);
    sources[2].set(true);
    sources[0].set(false);
    expect(world.take()).toEqual(['irq 10 high']);
    sources[2].set(false);
    expect(world.take()).toEqual(['irq 10 low']);
  });

  test('each line is the OR of its sources at all times', () => {
    const steps = fc.array(fc.tuple(fc.integer({ min: 0, max: 2 }), fc.boolean()), { maxLength: 40 });
    fc.assert(
      fc.property(steps, (changes) => {
        const { sources, world } = create();
        const levels = [false, false, false];
        for (const [source, level] of changes) {
          levels[source] = level;
          sources[source]!.set(level);
          expect(world.levels.get('irq 10') ?? false).toBe(levels[0] || levels[2]);
          expect(world.levels.get('irq 11') ?? false).toBe(levels[1]);
        }
      }),
    );
  });

  test('after a restore a source that was high can still be lowered', () => {
    const subject = create();
    subject.busy();
    const other = create();
    other.device.restore(subject.device.save());
    other.world.levels.set('irq 10', true);
    other.sources[0].set(false);
    expect(other.world.take()).toEqual([]);
    other.sources[2].set(false);
    expect(other.world.take()).toEqual(['irq 10 low']);
  });

  test('state of a machine with other functions is refused', () => {
    const world = new FakeWorld();
    const smaller = new IrqRouter({ line: () => world.line('irq'), route: () => null });
    expect(() => smaller.restore(create().device.save())).toThrow(DecodeError);
  });
});
