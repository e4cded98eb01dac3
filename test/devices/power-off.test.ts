/**
 * Goal: the ways in which kernels without ACPI tables switch an emulator off end the run, and nothing else does.
 * Method: writes to the ports as such kernels make them.
 */
import { describe, expect, test } from '@jest/globals';
import { PortBus } from '../../devices/port-bus.js';
import { PM1_CONTROL_PORTS, PM1_CONTROL_PORT_COUNT, PowerOff, SHUTDOWN_WORD_PORT } from '../../devices/power-off.js';
import { describeDeviceContract } from './device-contract.js';
import { FakeWorld } from './fake-world.js';

function create() {
  const world = new FakeWorld();
  const device = new PowerOff({ environment: world });
  const ports = new PortBus();
  for (const port of PM1_CONTROL_PORTS) {
    ports.insert(`pm1 ${port}`, port, PM1_CONTROL_PORT_COUNT, device.pm1Control, 2);
  }
  ports.insert('shutdown word', SHUTDOWN_WORD_PORT, 1, device.shutdownWord);
  const say = (text: string) => {
    for (let i = 0; i < text.length; i++) ports.write(SHUTDOWN_WORD_PORT, 1, text.charCodeAt(i));
  };
  const blocks = [
    { registers: device.pm1Control, bytes: PM1_CONTROL_PORT_COUNT },
    { registers: device.shutdownWord, bytes: 1 },
  ];
  return { world, device, ports, say, blocks, calls: world.calls, busy: () => say('Shut') };
}

describeDeviceContract('power-off', create);

describe('PM1 control', () => {
  test.each([0x604, 0xb004])('SLP_EN with type 0 at port 0x%x switches off', (port) => {
    const { world, ports } = create();
    ports.write(port, 2, 0x2000);
    expect(world.take()).toEqual(['stop shutdown 0']);
  });

  test('the high byte alone does it as well', () => {
    const { world, ports } = create();
    ports.write(0x604, 1, 0x20);
    expect(world.take()).toEqual([]);
    ports.write(0x605, 1, 0x20);
    expect(world.take()).toEqual(['stop shutdown 0']);
  });

  test('so does a read, modify, write', () => {
    const { world, ports } = create();
    ports.write(0x604, 2, ports.read(0x604, 2) | 0x2000);
    expect(world.take()).toEqual(['stop shutdown 0']);
  });

  test('other sleep types and writes without SLP_EN do nothing', () => {
    const { world, ports } = create();
    for (const value of [0, 0x0001, 0x1c00, 0x2400, 0x3400, 0x3c00, 0xdfff]) ports.write(0x604, 2, value);
    expect(world.take()).toEqual([]);
  });
});

describe('the word at port 0x8900', () => {
  test('spelled out, it switches off, also after false starts', () => {
    for (const text of ['Shutdown', 'ShutShutdown', 'SShutdown', 'shutdownShutdown']) {
      const { world, say } = create();
      say(text);
      expect(world.take()).toEqual(['stop shutdown 0']);
    }
  });

  test('nothing else does', () => {
    const { world, say } = create();
    for (const text of ['Shutdow', 'n', 'Shut down', 'SHUTDOWN', 'nwodtuhS']) say(`${text}.`);
    expect(world.take()).toEqual([]);
  });
});
