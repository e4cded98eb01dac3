/**
 * Goal: legacy and modern drivers find, negotiate with, interrupt-acknowledge and reset the same device.
 * Method: configuration space, BARs and capabilities of a block device, accessed as a guest would; field positions
 * come from the VIRTIO 1.2 tables, not from the code under test.
 */
import { beforeEach, describe, expect, test } from '@jest/globals';
import { VirtioBlk } from '../../../devices/virtio/virtio-blk.js';
import { VirtioNet } from '../../../devices/virtio/virtio-net.js';
import { FakeEnvironment, FakeIrq, FakeRam } from './fake-world.js';
import {
  ACKNOWLEDGE,
  DRIVER,
  DRIVER_OK,
  F_EVENT_IDX,
  F_VERSION_1,
  FEATURES_OK,
  LegacyDriver,
  ModernDriver,
  NEEDS_RESET,
} from './guest-driver.js';

let ram: FakeRam;
let irq: FakeIrq;
let disk: VirtioBlk;

beforeEach(() => {
  ram = new FakeRam();
  irq = new FakeIrq();
  disk = new VirtioBlk({ environment: new FakeEnvironment(), dma: ram, irq, drive: 0, capacitySectors: 0x1_2345_6789 });
});

test('both devices carry transitional identities', () => {
  const net = new VirtioNet({ environment: new FakeEnvironment(), dma: ram, irq, nic: 0, mac: new Uint8Array(6) });
  expect(net.pci.configRead(0, 4)).toBe(0x1000_1af4);
  expect(net.pci.configRead(0x2c, 4)).toBe(0x0001_1af4);
  expect(net.pci.configRead(8, 4)).toBe(0x0200_0000);
  expect(disk.pci.configRead(0, 4)).toBe(0x1001_1af4);
  expect(disk.pci.configRead(0x2c, 4)).toBe(0x0002_1af4);
  expect(disk.pci.configRead(8, 4)).toBe(0x0100_0000);
  expect(disk.pci.configRead(0x3d, 1)).toBe(1);
});

test('the capability list announces all five structures inside their BAR', () => {
  const driver = new ModernDriver(disk.pci, ram);
  expect([...driver.regions.keys()].sort()).toEqual([1, 2, 3, 4, 5]);
  for (const [type, region] of driver.regions) {
    expect(disk.pci.configRead(region.at + 2, 1)).toBe(type === 2 || type === 5 ? 20 : 16);
    if (type === 5) continue;
    expect(region.bar).toBe(1);
    expect(region.address - 0xfe00_0000 + region.bytes).toBeLessThanOrEqual(0x4000);
  }
  expect(driver.region(1).bytes).toBeGreaterThanOrEqual(56);
});

test('the device configuration shows the capacity in both interfaces, at any width', () => {
  for (const driver of [new LegacyDriver(disk.pci, ram), new ModernDriver(disk.pci, ram)]) {
    expect(driver.readConfig(0, 4)).toBe(0x2345_6789);
    expect(driver.readConfig(4, 4)).toBe(1);
    expect(driver.readConfig(1, 2)).toBe(0x4567);
    expect(driver.readConfig(3, 1)).toBe(0x23);
    expect(driver.readConfig(20, 4)).toBe(512);
    driver.writeConfig(0, 4, 0);
    expect(driver.readConfig(0, 4)).toBe(0x2345_6789);
  }
});

describe('legacy interface', () => {
  test('offers the low feature word, with ANY_LAYOUT, and keeps only offered bits', () => {
    const driver = new LegacyDriver(disk.pci, ram);
    const offered = driver.read(0, 4);
    for (const bit of [1, 2, 6, 9, 27, 28, 29]) expect((offered >>> bit) & 1).toBe(1);
    driver.write(4, 4, 0xffff_ffff);
    expect(driver.read(4, 4)).toBe(offered);
  });

  test('a queue that does not exist has size and address 0', () => {
    const driver = new LegacyDriver(disk.pci, ram);
    expect(driver.read(12, 2)).toBe(256);
    driver.write(14, 2, 1);
    expect(driver.read(12, 2)).toBe(0);
    driver.write(8, 4, 5);
    expect(driver.read(8, 4)).toBe(0);
    driver.write(14, 2, 0);
    driver.write(8, 4, 5);
    expect(driver.read(8, 4)).toBe(5);
    driver.writeStatus(0);
    expect(driver.read(8, 4)).toBe(0);
  });
});

describe('modern interface', () => {
  test('offers VERSION_1 in the second word and no ANY_LAYOUT', () => {
    const driver = new ModernDriver(disk.pci, ram);
    driver.write(0, 4, 0);
    expect(driver.read(4, 4) & (1 << 27)).toBe(0);
    driver.write(0, 4, 1);
    expect(driver.read(4, 4)).toBe(1);
    driver.write(0, 4, 2);
    expect(driver.read(4, 4)).toBe(0);
  });

  test('FEATURES_OK does not stick for a feature that was not offered, and freezes those accepted', () => {
    const driver = new ModernDriver(disk.pci, ram);
    driver.acceptFeatures([F_VERSION_1, 34]);
    driver.writeStatus(ACKNOWLEDGE | DRIVER | FEATURES_OK);
    expect(driver.readStatus()).toBe(ACKNOWLEDGE | DRIVER);
    driver.acceptFeatures([F_VERSION_1, F_EVENT_IDX]);
    driver.writeStatus(ACKNOWLEDGE | DRIVER | FEATURES_OK);
    expect(driver.readStatus()).toBe(ACKNOWLEDGE | DRIVER | FEATURES_OK);
    driver.acceptFeatures([]);
    driver.write(8, 4, 0);
    expect(driver.read(12, 4)).toBe((1 << F_EVENT_IDX) >>> 0);
  });

  test('queue sizes must be powers of two up to 256, and cannot change once enabled', () => {
    const driver = new ModernDriver(disk.pci, ram);
    expect(driver.read(18, 2)).toBe(1);
    for (const size of [0, 3, 257, 512]) driver.write(24, 2, size);
    expect(driver.read(24, 2)).toBe(256);
    driver.write(24, 2, 8);
    expect(driver.read(24, 2)).toBe(8);
    driver.write(28, 2, 1);
    driver.write(24, 2, 16);
    driver.write(32, 4, 0x1000);
    expect([driver.read(24, 2), driver.read(28, 2), driver.read(32, 4)]).toEqual([8, 1, 0]);
    driver.write(22, 2, 1);
    expect(driver.read(24, 2)).toBe(0);
  });

  test('registers take narrow and wide accesses', () => {
    const driver = new ModernDriver(disk.pci, ram);
    driver.write(32, 2, 0x3000);
    driver.write(34, 2, 0x0012);
    expect(driver.read(32, 4)).toBe(0x0012_3000);
    driver.write(33, 1, 0x56);
    expect(driver.read(32, 4)).toBe(0x0012_5600);
    // 4 bytes at 20: status, generation, queue_select.
    driver.write(20, 4, 0x0007_0001);
    expect(driver.read(20, 4)).toBe(0x0007_0001);
    expect(driver.read(56, 4)).toBe(0xffff_ffff);
    expect(driver.read(16, 2)).toBe(0xffff);
  });
});

describe('PCI_CFG capability', () => {
  /** Point the window at `offset` of a BAR. */
  function aim(at: number, bar: number, offset: number, bytes: number): void {
    disk.pci.configWrite(at + 4, 1, bar);
    disk.pci.configWrite(at + 8, 4, offset);
    disk.pci.configWrite(at + 12, 4, bytes);
  }

  test('reaches both BARs without their being mapped', () => {
    const { at } = new ModernDriver(disk.pci, ram).region(5);
    disk.pci.configWrite(4, 2, 0);
    aim(at, 1, 20, 1);
    disk.pci.configWrite(at + 16, 1, ACKNOWLEDGE | DRIVER);
    aim(at, 0, 18, 1);
    expect(disk.pci.configRead(at + 16, 1)).toBe(ACKNOWLEDGE | DRIVER);
    aim(at, 1, 0x2000, 4);
    expect(disk.pci.configRead(at + 16, 4)).toBe(0x2345_6789);
  });

  test('ignores a window that is misaligned, too long, outside its BAR or on no BAR', () => {
    const { at } = new ModernDriver(disk.pci, ram).region(5);
    const bad = [
      [1, 21, 2],
      [1, 20, 3],
      [1, 20, 8],
      [1, 20, 0],
      [1, 0x4000, 1],
      [1, 0xffff_fffc, 4],
      [2, 0, 4],
      [255, 0, 4],
    ] as const;
    for (const [bar, offset, bytes] of bad) {
      aim(at, bar, offset, bytes);
      disk.pci.configWrite(at + 16, 4, 0x0f0f_0f0f);
      expect(disk.pci.configRead(at + 16, 4)).toBe(0x0f0f_0f0f);
    }
    expect(new ModernDriver(disk.pci, ram).readStatus()).toBe(0);
  });
});

describe('a broken ring', () => {
  test('stops a modern device with DEVICE_NEEDS_RESET and a configuration interrupt, until reset', () => {
    const driver = new ModernDriver(disk.pci, ram);
    const [ring] = driver.start([], [0x1_0000]);
    ram.writeU16(ring!.avail + 2, 257);
    driver.notify(0);
    expect(driver.readStatus() & NEEDS_RESET).toBe(NEEDS_RESET);
    expect(irq.level).toBe(true);
    expect(driver.readIsr()).toBe(2);
    expect(irq.level).toBe(false);
    driver.writeStatus(ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
    expect(driver.readStatus() & NEEDS_RESET).toBe(NEEDS_RESET);
    driver.writeStatus(0);
    expect(driver.readStatus()).toBe(0);
  });

  test('a driver reset lowers the interrupt', () => {
    const driver = new ModernDriver(disk.pci, ram);
    const [ring] = driver.start([], [0x1_0000]);
    ram.writeU16(ring!.avail + 2, 257);
    driver.notify(0);
    expect(irq.level).toBe(true);
    driver.writeStatus(0);
    expect(irq.level).toBe(false);
    expect(driver.readIsr()).toBe(0);
  });
});
