/**
 * The two register files of a transitional virtio PCI device over one {@link VirtioDevice}.
 *
 *   BAR0 (I/O, legacy)                    BAR1 (memory, modern)
 *   0x00 header, 20 bytes                 0x0000 common configuration, 56 bytes
 *   0x14 device configuration             0x1000 ISR status, 1 byte
 *                                         0x2000 device configuration
 *                                         0x3000 doorbells, 4 bytes a queue
 *
 * Source: VIRTIO 1.2, sections 4.1.4.3 (common configuration), 4.1.4.4 (notification), 4.1.4.5 (ISR status),
 * 4.1.4.6 (device configuration) and 4.1.4.8 (legacy interface).
 */
import type { RegisterBlock } from '../device.js';
import type { StateRecord } from '../state.js';
import { QUEUE_SIZE_MAX } from './constants.js';
import { byteRegisters, RegisterMap, type Register } from './register-map.js';
import type { SavedFields } from '../saved-fields.js';
import type { VirtioDevice } from './virtio-device.js';
import { RING_ADDRESSES, type Virtqueue } from './virtqueue.js';

/** The type-specific configuration: its present bytes, and what a driver's write does (nothing when absent). */
export interface DeviceConfig {
  readonly bytes: Uint8Array;
  readonly write?: (offset: number, value: number) => void;
}

export const LEGACY_BAR_BYTES = 128;
const LEGACY_CONFIG_AT = 20;

/** Regions of the memory BAR, each with a page of its own. */
export const MODERN_BAR_BYTES = 0x4000;
export const COMMON_AT = 0x0000;
export const COMMON_BYTES = 56;
export const ISR_AT = 0x1000;
export const CONFIG_AT = 0x2000;
export const NOTIFY_AT = 0x3000;
/** Distance of two queues' doorbells (notify_off_multiplier). */
export const NOTIFY_STRIDE = 4;
const PAGE_SHIFT = 12;

/** "No vector": there is no MSI-X. */
const NO_VECTOR = 0xffff;

/** Registers that only choose what others show. */
interface Selectors {
  deviceFeature: number;
  driverFeature: number;
  queue: number;
}

export class PciRegisters {
  /** Contents of BAR0. */
  readonly legacy: RegisterBlock;
  /** Contents of BAR1. */
  readonly modern: RegisterBlock;
  readonly #device: VirtioDevice;
  readonly #config: DeviceConfig;
  #select: Selectors = { deviceFeature: 0, driverFeature: 0, queue: 0 };

  constructor(device: VirtioDevice, config: DeviceConfig) {
    this.#device = device;
    this.#config = config;
    this.legacy = new RegisterMap([
      ...this.#legacyRegisters(),
      ...byteRegisters(LEGACY_CONFIG_AT, config.bytes, config.write),
    ]);
    this.modern = this.#modernBlock();
  }

  reset(): void {
    this.#select = { deviceFeature: 0, driverFeature: 0, queue: 0 };
  }

  save(): StateRecord {
    const { deviceFeature, driverFeature, queue } = this.#select;
    return { deviceFeature, driverFeature, queue };
  }

  restore(fields: SavedFields): void {
    this.#select = {
      deviceFeature: fields.integer('deviceFeature', 0, 0xffff_ffff),
      driverFeature: fields.integer('driverFeature', 0, 0xffff_ffff),
      queue: fields.integer('queue', 0, 0xffff),
    };
    fields.finish();
  }

  get #queue(): Virtqueue | undefined {
    return this.#device.queueAt(this.#select.queue);
  }

  #writeStatus(value: number): void {
    if (value === 0) this.reset();
    this.#device.writeStatus(value);
  }

  /** Table of 4.1.4.8. */
  #legacyRegisters(): Register[] {
    const device = this.#device;
    return [
      { offset: 0, bytes: 4, read: () => device.offeredFeatures(0, true) },
      {
        offset: 4,
        bytes: 4,
        read: () => device.driverFeatures(0),
        write: (value) => {
          // A legacy driver knows no second word; bits that were not offered do not stick.
          device.setDriverFeatures(1, 0);
          device.setDriverFeatures(0, value & device.offeredFeatures(0, true));
        },
      },
      {
        offset: 8,
        bytes: 4,
        read: () => this.#queue?.legacyPage ?? 0,
        write: (page) => device.setLegacyPage(this.#select.queue, page),
      },
      { offset: 12, bytes: 2, read: () => (this.#queue === undefined ? 0 : QUEUE_SIZE_MAX) },
      this.#queueSelect(14),
      { offset: 16, bytes: 2, read: () => 0, write: (queue) => device.ringDoorbell(queue) },
      this.#status(18),
      { offset: 19, bytes: 1, read: () => device.takeIsr() },
    ];
  }

  #queueSelect(offset: number): Register {
    return { offset, bytes: 2, read: () => this.#select.queue, write: (queue) => (this.#select.queue = queue) };
  }

  #status(offset: number): Register {
    return { offset, bytes: 1, read: () => this.#device.status, write: (value) => this.#writeStatus(value) };
  }

  #modernBlock(): RegisterBlock {
    const device = this.#device;
    const doorbells = Array.from({ length: device.queueCount }, (_, queue): Register => {
      return { offset: queue * NOTIFY_STRIDE, bytes: 2, read: () => 0, write: () => device.ringDoorbell(queue) };
    });
    const pages = [
      new RegisterMap([...this.#commonRegisters(), ...this.#queueRegisters()]),
      new RegisterMap([{ offset: 0, bytes: 1, read: () => device.takeIsr() }]),
      new RegisterMap(byteRegisters(0, this.#config.bytes, this.#config.write)),
      new RegisterMap(doorbells),
    ];
    const within = (1 << PAGE_SHIFT) - 1;
    return {
      // The dword that straddles two pages does not exist: its upper part reads as a gap of the first page.
      read: (offset, size) => pages[offset >> PAGE_SHIFT]?.read(offset & within, size) ?? 2 ** (size * 8) - 1,
      write: (offset, size, value) => pages[offset >> PAGE_SHIFT]?.write(offset & within, size, value),
    };
  }

  /** First part of the table of 4.1.4.3: the whole device. */
  #commonRegisters(): Register[] {
    const device = this.#device;
    const select = (): Selectors => this.#select;
    return [
      { offset: 0, bytes: 4, read: () => select().deviceFeature, write: (word) => (select().deviceFeature = word) },
      { offset: 4, bytes: 4, read: () => device.offeredFeatures(select().deviceFeature, false) },
      { offset: 8, bytes: 4, read: () => select().driverFeature, write: (word) => (select().driverFeature = word) },
      {
        offset: 12,
        bytes: 4,
        read: () => device.driverFeatures(select().driverFeature),
        write: (bits) => device.setDriverFeatures(select().driverFeature, bits),
      },
      { offset: 16, bytes: 2, read: () => NO_VECTOR },
      { offset: 18, bytes: 2, read: () => device.queueCount },
      this.#status(20),
      // config_generation: no field that could be torn ever changes.
      { offset: 21, bytes: 1, read: () => 0 },
    ];
  }

  /** Second part: the selected queue. One that does not exist has size 0 and takes no write. */
  #queueRegisters(): Register[] {
    const addresses = RING_ADDRESSES.map((field, index): Register => {
      return {
        offset: 32 + 4 * index,
        bytes: 4,
        read: () => this.#queue?.ringAddress(field) ?? 0,
        write: (half) => this.#queue?.setRingAddress(field, half),
      };
    });
    return [
      this.#queueSelect(22),
      { offset: 24, bytes: 2, read: () => this.#queue?.size ?? 0, write: (size) => this.#queue?.setSize(size) },
      { offset: 26, bytes: 2, read: () => NO_VECTOR },
      {
        offset: 28,
        bytes: 2,
        read: () => (this.#queue?.enabled === true ? 1 : 0),
        write: (value) => {
          if (value === 1) this.#queue?.enable();
        },
      },
      { offset: 30, bytes: 2, read: () => (this.#queue === undefined ? 0 : this.#select.queue) },
      ...addresses,
    ];
  }
}
