/**
 * Goal: ports 0x61 and 0x92 do what a kernel's calibration and A20 code expects.
 * Method: a real 8254 behind a port bus, guest time moved by hand.
 */
import { describe, expect, test } from '@jest/globals';
import { PIT_PORT, PIT_PORT_COUNT, Pit8254 } from '../../devices/pit8254.js';
import { PortBus } from '../../devices/port-bus.js';
import { SYSTEM_CONTROL_A_PORT, SYSTEM_CONTROL_B_PORT, SystemControl } from '../../devices/system-control.js';
import { describeDeviceContract } from './device-contract.js';
import { FakeWorld } from './fake-world.js';

function create() {
  const world = new FakeWorld();
  const pit = new Pit8254({ environment: world, irq: world.line('irq 0') });
  const device = new SystemControl({ environment: world, a20: (on) => world.setA20(on), pit });
  const ports = new PortBus();
  ports.insert('pit', PIT_PORT, PIT_PORT_COUNT, pit);
  ports.insert('control b', SYSTEM_CONTROL_B_PORT, 1, device.portB);
  ports.insert('control a', SYSTEM_CONTROL_A_PORT, 1, device.portA);
  const blocks = [
    { registers: device.portB, bytes: 1 },
    { registers: device.portA, bytes: 1 },
  ];
  const busy = () => {
    ports.write(0x61, 1, 0x0a);
    ports.write(0x92, 1, 0x00);
  };
  return { world, device, pit, ports, blocks, calls: world.calls, busy };
}

describeDeviceContract('system control', create);

describe('port 0x61', () => {
  test('keeps its low half', () => {
    const { ports } = create();
    ports.write(0x61, 1, 0xff);
    expect(ports.read(0x61, 1) & 0xcf).toBe(0x0f);
  });

  test('bit 4 toggles with the refresh, about every 15 us', () => {
    const { ports, world } = create();
    let toggles = 0;
    let before = ports.read(0x61, 1) & 0x10;
    for (world.ns = 0; world.ns < 1_000_000; world.ns += 100) {
      const now = ports.read(0x61, 1) & 0x10;
      if (now !== before) toggles++;
      before = now;
    }
    expect(toggles).toBe(66);
  });

  test('a 50 ms one-shot on channel 2 shows in bit 5, as TSC calibration uses it', () => {
    const { ports, world } = create();
    ports.write(0x61, 1, 0x01);
    ports.write(0x43, 1, 0xb0);
    ports.write(0x42, 1, 59659 & 0xff);
    ports.write(0x42, 1, 59659 >> 8);
    world.ns = 49_900_000;
    expect(ports.read(0x61, 1) & 0x20).toBe(0);
    world.ns = 50_010_000;
    expect(ports.read(0x61, 1) & 0x20).toBe(0x20);
  });

  test('the gate stops channel 2', () => {
    const { ports, world } = create();
    ports.write(0x61, 1, 0x01);
    ports.write(0x43, 1, 0xb0);
    ports.write(0x42, 1, 0x00);
    ports.write(0x42, 1, 0x10);
    world.ns = 1_000_000;
    ports.write(0x61, 1, 0x00);
    world.ns = 1_000_000_000;
    expect(ports.read(0x61, 1) & 0x20).toBe(0);
    ports.write(0x61, 1, 0x01);
    world.ns += 2_400_000;
    expect(ports.read(0x61, 1) & 0x20).toBe(0);
    world.ns += 100_000;
    expect(ports.read(0x61, 1) & 0x20).toBe(0x20);
  });
});

describe('port 0x92', () => {
  test('A20 is open at power-on and follows bit 1', () => {
    const { ports, device, world } = create();
    expect([device.a20, ports.read(0x92, 1)]).toEqual([true, 2]);
    ports.write(0x92, 1, 0);
    ports.write(0x92, 1, 0);
    ports.write(0x92, 1, 2);
    expect(world.take()).toEqual(['a20 off', 'a20 on']);
  });

  test('a rising bit 0 resets the machine', () => {
    const { ports, world } = create();
    ports.write(0x92, 1, 3);
    ports.write(0x92, 1, 3);
    expect(world.take()).toEqual(['stop reset 0']);
  });
});
