/**
 * Goal: firmware and drivers find the PCI form of the card, place it, and use it like the ISA one.
 * Method: configuration accesses and a small driver through a PCI host and a port bus.
 */
import { describe, expect, test } from '@jest/globals';
import type { Output } from '../../devices/environment.js';
import { IrqRouter } from '../../devices/irq-router.js';
import { Ne2000Pci } from '../../devices/ne2000-pci.js';
import { PCI_PORT, PCI_PORT_COUNT, PciHost } from '../../devices/pci-host.js';
import { PortBus } from '../../devices/port-bus.js';
import { describeDeviceContract } from './device-contract.js';
import { FakeWorld } from './fake-world.js';
import { Ne2000Driver } from './ne2000-driver.js';

const MAC = Uint8Array.of(0x52, 0x54, 0x00, 0x12, 0x34, 0x56);
const SLOT = 3;
const BASE = 0xc000;

function create() {
  const world = new FakeWorld();
  const packets: Uint8Array[] = [];
  const emit = (output: Output) => {
    if (output.kind === 'packet') packets.push(output.data);
    world.emit(output);
  };
  const router = new IrqRouter({ line: (irq) => world.line(`irq ${irq}`), route: (pirq) => 10 + (pirq >> 1) });
  const host = new PciHost({ environment: world, router });
  const device = new Ne2000Pci({ environment: { emit }, irq: router.connect(SLOT, 1), nic: 0, mac: MAC });
  host.insert(SLOT, 0, device.pci);
  const ports = new PortBus();
  ports.insert('pci', PCI_PORT, PCI_PORT_COUNT, host, 4);
  ports.setMovable(host.ioRanges);
  const driver = new Ne2000Driver(ports, BASE, 4);
  const config = {
    read: (offset: number, size: number) => device.pci.configRead(offset, size),
    write: (offset: number, size: number, value: number) => device.pci.configWrite(offset, size, value),
  };
  const busy = () => {
    host.assignResources();
    driver.start();
    device.receive(Uint8Array.from({ length: 100 }, () => 0xff));
    driver.send(new Uint8Array(60));
  };
  const registers = device.pci.bars[0]!.registers;
  const blocks = [
    { registers: config, bytes: 256 },
    { registers, bytes: 0x20 },
  ];
  return { world, device, host, ports, driver, packets, busy, blocks, calls: world.calls };
}

describeDeviceContract('NE2000 on PCI', create);

describe('the PCI card', () => {
  test('tells what it is, and its BAR has 32 ports', () => {
    const { device } = create();
    expect([device.pci.configRead(0, 4), device.pci.configRead(0x0a, 2)]).toEqual([0x802910ec, 0x0200]);
    device.pci.configWrite(0x10, 4, 0xffffffff);
    expect(device.pci.configRead(0x10, 4)).toBe(0xffffffe1);
    expect(device.pci.configRead(0x3d, 1)).toBe(1);
  });

  test('shows the registers of an RTL8029AS', () => {
    const { driver, host } = create();
    host.assignResources();
    driver.start();
    expect([driver.in(0x0a), driver.in(0x0b)]).toEqual([0x50, 0x43]);
    driver.out(0, 0xe2);
    expect([driver.in(3), driver.in(5), driver.in(6)]).toEqual([0, 0x40, 0x40]);
  });

  test('sends and receives with dword accesses, and interrupts on its PCI line', () => {
    const { driver, host, device, packets, world } = create();
    host.assignResources();
    expect([...driver.start()]).toEqual([...MAC]);
    const data = Uint8Array.from({ length: 61 }, (_, index) => index);
    data.set(MAC);
    driver.send(data);
    expect(packets).toEqual([data]);
    // Slot 3, INTA#: PIRQD, ISA interrupt 11.
    expect(world.levels.get('irq 11')).toBe(true);
    driver.out(7, 0x7f);
    expect(world.levels.get('irq 11')).toBe(false);
    expect([device.receive(data), world.levels.get('irq 11'), driver.receiveAll()]).toEqual([true, true, [data]]);
    expect(device.counters).toEqual({
      transmitted: 1,
      transmitDropped: 0,
      received: 1,
      receiveFiltered: 0,
      receiveDropped: 0,
    });
  });

  test('the command register cuts the interrupt off', () => {
    const { driver, host, device, world } = create();
    host.assignResources();
    driver.start();
    driver.send(new Uint8Array(60));
    device.pci.configWrite(4, 2, 0x0401);
    expect(world.levels.get('irq 11')).toBe(false);
  });
});
