/**
 * Goal: firmware and kernels recognise the bridge, and what they write into the routing registers is known.
 * Method: configuration space through the PCI function, and the device contract.
 */
import { expect, test } from '@jest/globals';
import { Piix3IsaBridge } from '../../../devices/ide/piix3-isa-bridge.js';
import { describeDeviceContract } from '../device-contract.js';

function create(calls: string[] = []): Piix3IsaBridge {
  return new Piix3IsaBridge({ routingChanged: () => calls.push('routing') });
}

test('is a PIIX3 ISA bridge, function 0 of several', () => {
  const { pci } = create();
  expect([pci.configRead(0, 4), pci.configRead(8, 4) >>> 8]).toEqual([0x70008086, 0x060100]);
  expect(pci.configRead(0x0e, 1)).toBe(0x80);
});

test('routes nothing at first, then what the guest says, and tells of each write', () => {
  const calls: string[] = [];
  const bridge = create(calls);
  expect([0, 1, 2, 3].map((pirq) => bridge.isaIrq(pirq))).toEqual([null, null, null, null]);
  bridge.pci.configWrite(0x60, 4, 0x0b800a0a);
  bridge.pci.configWrite(0x5e, 4, 0x000b0000);
  bridge.pci.configWrite(0x64, 4, 0);
  expect([0, 1, 2, 3].map((pirq) => bridge.isaIrq(pirq))).toEqual([11, null, null, 11]);
  expect(calls).toEqual(['routing', 'routing']);
});

test.each([0, 1, 2, 8, 13])('does not route to the board’s own interrupt %i', (irq) => {
  const bridge = create();
  bridge.pci.configWrite(0x61, 1, irq);
  expect([bridge.isaIrq(1), bridge.pci.configRead(0x61, 1)]).toEqual([null, irq]);
});

describeDeviceContract('the PIIX3 ISA bridge', () => {
  const calls: string[] = [];
  const device = create(calls);
  const registers = {
    read: (offset: number, size: number) => device.pci.configRead(offset, size),
    write: (offset: number, size: number, value: number) => {
      device.pci.configWrite(offset, size, value);
    },
  };
  return {
    device,
    calls,
    blocks: [{ registers, bytes: 256 }],
    busy: () => {
      device.pci.configWrite(0x60, 4, 0x0b0b0a0a);
    },
  };
});
