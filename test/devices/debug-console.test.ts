/**
 * Goal: what firmware writes to the debug ports can be read by people, and is the same on both replicas.
 * Method: bytes through both ports, up to and beyond what is kept.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { DEBUG_CONSOLE_BYTES_MAX, DEBUG_CONSOLE_PORTS, DebugConsole } from '../../devices/debug-console.js';
import { PortBus } from '../../devices/port-bus.js';
import { describeDeviceContract } from './device-contract.js';
import { FakeWorld } from './fake-world.js';

function create() {
  const world = new FakeWorld();
  const device = new DebugConsole();
  const ports = new PortBus();
  for (const port of DEBUG_CONSOLE_PORTS) ports.insert(`debug ${port}`, port, 1, device);
  const say = (text: string) => {
    for (let i = 0; i < text.length; i++) ports.write(0x402, 1, text.charCodeAt(i));
  };
  const busy = () => say('x'.repeat(DEBUG_CONSOLE_BYTES_MAX + 1000));
  return { world, device, ports, say, blocks: [{ registers: device, bytes: 1 }], calls: world.calls, busy };
}

describeDeviceContract('debug console', create);

describe('debug console', () => {
  test('both ports tell that they are there', () => {
    const { ports } = create();
    expect([ports.read(0x402, 1), ports.read(0xe9, 1)]).toEqual([0xe9, 0xe9]);
  });

  test('both ports go to one text, and none of it to the console', () => {
    const { ports, device, say, world } = create();
    say('SeaBIOS\n');
    ports.write(0xe9, 1, 0x21);
    expect([device.text(), device.written, world.take()]).toEqual(['SeaBIOS\n!', 9, []]);
  });

  test('the newest 64 KiB are kept, and all are counted, also across a restore', () => {
    const chunks = fc.array(fc.integer({ min: 0, max: 50_000 }), { maxLength: 5 });
    fc.assert(
      fc.property(chunks, (lengths) => {
        let { device } = create();
        let text = '';
        for (const length of lengths) {
          const other = create().device;
          other.restore(device.save());
          device = other;
          for (let i = 0; i < length; i++) {
            const code = 32 + ((text.length * 7) % 95);
            device.write(0, 1, code);
            text += String.fromCharCode(code);
          }
        }
        expect(device.written).toBe(text.length);
        expect(device.text() === text.slice(-DEBUG_CONSOLE_BYTES_MAX)).toBe(true);
      }),
      { numRuns: 20 },
    );
  });
});
