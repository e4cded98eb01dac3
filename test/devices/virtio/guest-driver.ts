/**
 * A small guest driver: finds a virtio function through configuration space, negotiates, fills rings.
 *
 *   LegacyDriver   BAR0, queue page number, rings in one block
 *   ModernDriver   capabilities, BAR1, three separate ring addresses
 *
 * It knows the specification, not the device's code: no constant of devices/virtio is imported here.
 */
import type { PciFunction } from '../../../devices/pci-device.js';
import type { FakeRam } from './fake-world.js';

export const ACKNOWLEDGE = 1;
export const DRIVER = 2;
export const DRIVER_OK = 4;
export const FEATURES_OK = 8;
export const NEEDS_RESET = 0x40;

export const F_INDIRECT = 28;
export const F_EVENT_IDX = 29;
export const F_VERSION_1 = 32;

/** A buffer of a chain; `write` means that the device writes it. */
export interface Buffer {
  readonly address: number;
  readonly bytes: number;
  readonly write: boolean;
}

export interface UsedElement {
  readonly head: number;
  readonly bytes: number;
}

/** A split virtqueue as its driver keeps it. */
export class DriverRing {
  readonly ram: FakeRam;
  readonly size: number;
  readonly desc: number;
  readonly avail: number;
  readonly used: number;
  availIndex = 0;
  #usedSeen = 0;
  #nextDescriptor = 0;

  constructor(ram: FakeRam, size: number, desc: number, avail: number, used: number) {
    this.ram = ram;
    this.size = size;
    this.desc = desc;
    this.avail = avail;
    this.used = used;
    ram.memory.fill(0, desc, desc + 16 * size);
    ram.memory.fill(0, avail, avail + 6 + 2 * size);
    ram.memory.fill(0, used, used + 6 + 8 * size);
  }

  /** Write one descriptor into the table at `table`. */
  describe(table: number, index: number, address: number, bytes: number, flags: number, next: number): void {
    const at = table + 16 * index;
    this.ram.writeU32(at, address);
    this.ram.writeU32(at + 4, 0);
    this.ram.writeU32(at + 8, bytes);
    this.ram.writeU16(at + 12, flags);
    this.ram.writeU16(at + 14, next);
  }

  /** Lay a chain into consecutive descriptors and make it available. Returns its head. */
  add(buffers: readonly Buffer[]): number {
    const head = this.#nextDescriptor;
    buffers.forEach((buffer, i) => {
      const index = (head + i) % this.size;
      const more = i + 1 < buffers.length ? 1 : 0;
      this.describe(
        this.desc,
        index,
        buffer.address,
        buffer.bytes,
        more | (buffer.write ? 2 : 0),
        (index + 1) % this.size,
      );
    });
    this.#nextDescriptor = (head + buffers.length) % this.size;
    this.offer(head);
    return head;
  }

  /** The same through an indirect table at `table`. */
  addIndirect(table: number, buffers: readonly Buffer[]): number {
    const head = this.#nextDescriptor;
    buffers.forEach((buffer, i) => {
      const more = i + 1 < buffers.length ? 1 : 0;
      this.describe(table, i, buffer.address, buffer.bytes, more | (buffer.write ? 2 : 0), i + 1);
    });
    this.describe(this.desc, head, table, 16 * buffers.length, 4, 0);
    this.#nextDescriptor = (head + 1) % this.size;
    this.offer(head);
    return head;
  }

  offer(head: number): void {
    this.ram.writeU16(this.avail + 4 + 2 * (this.availIndex % this.size), head);
    this.availIndex = (this.availIndex + 1) & 0xffff;
    this.ram.writeU16(this.avail + 2, this.availIndex);
  }

  /** Used elements since the last call. */
  takeUsed(): UsedElement[] {
    const index = this.ram.readU16(this.used + 2)!;
    const elements: UsedElement[] = [];
    for (; this.#usedSeen !== index; this.#usedSeen = (this.#usedSeen + 1) & 0xffff) {
      const at = this.used + 4 + 8 * (this.#usedSeen % this.size);
      elements.push({ head: this.ram.readU32(at)!, bytes: this.ram.readU32(at + 4)! });
    }
    return elements;
  }

  setNoInterrupt(on: boolean): void {
    this.ram.writeU16(this.avail, on ? 1 : 0);
  }
  setUsedEvent(index: number): void {
    this.ram.writeU16(this.avail + 4 + 2 * this.size, index);
  }
  get availEvent(): number {
    return this.ram.readU16(this.used + 4 + 8 * this.size)!;
  }
}

/** What both kinds of driver can do. */
export interface Driver {
  readonly kind: 'legacy' | 'modern';
  /** Reset, accept `features` (bit numbers; VERSION_1 is the modern driver's own), set up the queues, DRIVER_OK. */
  start(features: readonly number[], queueBases: readonly number[]): DriverRing[];
  notify(queue: number): void;
  readIsr(): number;
  readStatus(): number;
  writeStatus(status: number): void;
  readConfig(offset: number, size: number): number;
  writeConfig(offset: number, size: number, value: number): void;
}

function word(features: readonly number[], index: number): number {
  return features.filter((bit) => bit >> 5 === index).reduce((bits, bit) => (bits | (1 << (bit & 31))) >>> 0, 0);
}

abstract class PciDriver {
  readonly pci: PciFunction;
  readonly ram: FakeRam;

  constructor(pci: PciFunction, ram: FakeRam) {
    this.pci = pci;
    this.ram = ram;
    pci.configWrite(0x10, 4, 0xc000);
    pci.configWrite(0x14, 4, 0xfe00_0000);
    pci.configWrite(0x04, 2, 0x0007);
  }
  /** Access as the bus does it: find the BAR, pass the offset. */
  protected busRead(kind: 'io' | 'memory', address: number, size: number): number {
    const bar = this.pci.findBar(kind, address);
    return this.pci.bars[bar]!.registers.read(address - this.pci.barAddress(bar)!, size);
  }
  protected busWrite(kind: 'io' | 'memory', address: number, size: number, value: number): void {
    const bar = this.pci.findBar(kind, address);
    this.pci.bars[bar]!.registers.write(address - this.pci.barAddress(bar)!, size, value);
  }
}

export class LegacyDriver extends PciDriver implements Driver {
  readonly kind = 'legacy';

  read(offset: number, size: number): number {
    return this.busRead('io', 0xc000 + offset, size);
  }
  write(offset: number, size: number, value: number): void {
    this.busWrite('io', 0xc000 + offset, size, value);
  }
  start(features: readonly number[], queueBases: readonly number[]): DriverRing[] {
    this.writeStatus(0);
    this.writeStatus(ACKNOWLEDGE);
    this.writeStatus(ACKNOWLEDGE | DRIVER);
    this.write(4, 4, word(features, 0) & this.read(0, 4));
    const rings = queueBases.map((base, queue) => {
      this.write(14, 2, queue);
      const size = this.read(12, 2);
      const avail = base + 16 * size;
      const used = (avail + 6 + 2 * size + 4095) & ~4095;
      const ring = new DriverRing(this.ram, size, base, avail, used);
      this.write(8, 4, base / 4096);
      return ring;
    });
    this.writeStatus(ACKNOWLEDGE | DRIVER | DRIVER_OK);
    return rings;
  }
  notify(queue: number): void {
    this.write(16, 2, queue);
  }
  readIsr(): number {
    return this.read(19, 1);
  }
  readStatus(): number {
    return this.read(18, 1);
  }
  writeStatus(status: number): void {
    this.write(18, 1, status);
  }
  readConfig(offset: number, size: number): number {
    return this.read(20 + offset, size);
  }
  writeConfig(offset: number, size: number, value: number): void {
    this.write(20 + offset, size, value);
  }
}

interface Region {
  /** Offset of the capability in configuration space. */
  readonly at: number;
  readonly bar: number;
  readonly address: number;
  readonly bytes: number;
}

export class ModernDriver extends PciDriver implements Driver {
  readonly kind = 'modern';
  readonly regions = new Map<number, Region>();
  readonly queueSize: number;

  constructor(pci: PciFunction, ram: FakeRam, queueSize = 256) {
    super(pci, ram);
    this.queueSize = queueSize;
    for (let at = pci.configRead(0x34, 1); at !== 0; at = pci.configRead(at + 1, 1)) {
      if (pci.configRead(at, 1) !== 9) continue;
      const bar = pci.configRead(at + 4, 1);
      const base = pci.configRead(0x10 + 4 * bar, 4) & ~0xf;
      const address = (base + pci.configRead(at + 8, 4)) >>> 0;
      this.regions.set(pci.configRead(at + 3, 1), { at, bar, address, bytes: pci.configRead(at + 12, 4) });
    }
  }
  region(type: number): Region {
    return this.regions.get(type)!;
  }
  read(offset: number, size: number): number {
    return this.busRead('memory', this.region(1).address + offset, size);
  }
  write(offset: number, size: number, value: number): void {
    this.busWrite('memory', this.region(1).address + offset, size, value);
  }
  acceptFeatures(features: readonly number[]): void {
    for (const index of [0, 1]) {
      this.write(8, 4, index);
      this.write(12, 4, word(features, index));
    }
  }
  start(features: readonly number[], queueBases: readonly number[]): DriverRing[] {
    this.writeStatus(0);
    this.writeStatus(ACKNOWLEDGE);
    this.writeStatus(ACKNOWLEDGE | DRIVER);
    this.acceptFeatures([...features, F_VERSION_1]);
    this.writeStatus(ACKNOWLEDGE | DRIVER | FEATURES_OK);
    const rings = queueBases.map((base, queue) => this.setUpQueue(queue, base));
    this.writeStatus(ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
    return rings;
  }
  /** Used ring first and descriptors last, so that no order is taken for granted. */
  setUpQueue(queue: number, base: number): DriverRing {
    this.write(22, 2, queue);
    this.write(24, 2, this.queueSize);
    const ring = new DriverRing(this.ram, this.queueSize, base + 0x1800, base + 0x1000, base);
    this.write(32, 4, ring.desc);
    this.write(40, 4, ring.avail);
    this.write(48, 4, ring.used);
    this.write(28, 2, 1);
    return ring;
  }
  notify(queue: number): void {
    this.write(22, 2, queue);
    const multiplier = this.pci.configRead(this.region(2).at + 16, 4);
    this.busWrite('memory', this.region(2).address + this.read(30, 2) * multiplier, 2, queue);
  }
  readIsr(): number {
    return this.busRead('memory', this.region(3).address, 1);
  }
  readStatus(): number {
    return this.read(20, 1);
  }
  writeStatus(status: number): void {
    this.write(20, 1, status);
  }
  readConfig(offset: number, size: number): number {
    return this.busRead('memory', this.region(4).address + offset, size);
  }
  writeConfig(offset: number, size: number, value: number): void {
    this.busWrite('memory', this.region(4).address + offset, size, value);
  }
}
