/**
 * Goal: a person can see how far a firmware or a CPU test got.
 * Method: writes to both ports, in the way that firmware does them.
 */
import { describe, expect, test } from '@jest/globals';
import { PostCode } from '../../devices/post-code.js';
import { describeDeviceContract } from './device-contract.js';
import { FakeWorld } from './fake-world.js';

function create() {
  const world = new FakeWorld();
  const device = new PostCode();
  const blocks = [device.port80, device.port190].map((registers) => ({ registers, bytes: 1 }));
  return { device, blocks, calls: world.calls, busy: () => device.port80.write(0, 1, 0x55) };
}

describeDeviceContract('POST codes', create);

describe('POST codes', () => {
  test('the last code of each port is kept; nothing can be read back', () => {
    const { device } = create();
    expect(device.codes).toEqual({ port80: null, port190: null });
    device.port80.write(0, 1, 0x11);
    device.port190.write(0, 1, 0xff);
    device.port80.write(0, 1, 0x22);
    expect(device.codes).toEqual({ port80: 0x22, port190: 0xff });
    expect(device.port80.read(0, 1)).toBe(0xff);
  });
});
