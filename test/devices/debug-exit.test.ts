/**
 * Goal: a guest ends its run with the code it wrote, in any width.
 * Method: writes through a port bus.
 */
import { describe, expect, test } from '@jest/globals';
import { DEBUG_EXIT_PORT, DEBUG_EXIT_PORT_COUNT, DebugExit } from '../../devices/debug-exit.js';
import { PortBus } from '../../devices/port-bus.js';
import { describeDeviceContract } from './device-contract.js';
import { FakeWorld } from './fake-world.js';

function create() {
  const world = new FakeWorld();
  const device = new DebugExit({ environment: world });
  const ports = new PortBus();
  ports.insert('debug-exit', DEBUG_EXIT_PORT, DEBUG_EXIT_PORT_COUNT, device, 4);
  const blocks = [{ registers: device, bytes: DEBUG_EXIT_PORT_COUNT }];
  return { world, device, ports, blocks, calls: world.calls, busy: () => undefined };
}

describeDeviceContract('isa-debug-exit', create);

describe('isa-debug-exit', () => {
  test.each([1, 2, 4])('a write of %i bytes stops once, with the lowest byte', (size) => {
    const { ports, world } = create();
    ports.write(0xf4, size, 0x2a);
    expect(world.take()).toEqual(['stop debug-exit 42']);
  });

  test('reading does nothing', () => {
    const { ports, world } = create();
    expect(ports.read(0xf4, 4)).toBe(0xffffffff);
    expect(world.take()).toEqual([]);
  });
});
