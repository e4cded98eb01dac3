/**
 * A PCI function with a type-0 header: configuration space, BARs, INTA#.
 *
 *   0x00 vendor, device | 0x04 command, status | 0x08 revision, class | 0x0c cache line, latency, header type
 *   0x10 BAR 0..5       | 0x2c subsystem       | 0x34 first capability | 0x3c interrupt line, interrupt pin
 *   0x40 device registers and capabilities, each capability at a multiple of 4: id, next, body
 *
 * Configuration space is two arrays, the bytes and which of their bits the guest can change; sizing a BAR is then
 * nothing special: its address bits are writable, its low bits are not. The PCI host asks where the BARs are
 * (barAddress) at every access, so a guest may put them anywhere at any time.
 *
 * Invariants: bits outside the writable mask never change; a BAR is decoded only while the command register enables
 * its space and its address is not 0 (and, for I/O, below 64 Ki).
 * Source: PCI Local Bus Specification 3.0, sections 6.1, 6.2.2 to 6.2.5 and 6.7.
 */
import { assert } from '../emulator/errors.js';
import type { DeviceModel, IrqLine, RegisterBlock } from './device.js';
import type { PciBar, PciCapability, PciFunctionConfig, PciStorage } from './pci-config.js';
import {
  COMMAND_BUS_MASTER,
  COMMAND_INTERRUPT_DISABLE,
  COMMAND_IO,
  COMMAND_MEMORY,
  COMMAND_WRITABLE,
  PCI_BAR0,
  PCI_BARS_MAX,
  PCI_BAR_IO,
  PCI_CACHE_LINE_SIZE,
  PCI_CAPABILITIES_POINTER,
  PCI_COMMAND,
  PCI_CONFIG_BYTES,
  PCI_DEVICE_SPECIFIC,
  PCI_HEADER_TYPE,
  PCI_INTERRUPT_LINE,
  PCI_INTERRUPT_PIN,
  PCI_LATENCY_TIMER,
  PCI_STATUS,
  PCI_SUBSYSTEM_VENDOR,
  STATUS_CAPABILITIES,
  STATUS_INTERRUPT,
} from './pci-header.js';
import type { StateRecord } from './state.js';
import { SavedFields } from './saved-fields.js';

const IO_BYTES_MAX = 0x10000;

interface Body {
  readonly start: number;
  readonly end: number;
  readonly handler: RegisterBlock | null;
}

export class PciFunction implements DeviceModel {
  readonly bars: readonly (PciBar | null)[];
  /** The function's own interrupt output; the command register's interrupt disable bit cuts it off from `irq`. */
  readonly inta: IrqLine = { set: (level) => this.#setInterrupt(level) };
  readonly #powerOn = new Uint8Array(PCI_CONFIG_BYTES);
  readonly #writable = new Uint8Array(PCI_CONFIG_BYTES);
  readonly #space = new Uint8Array(PCI_CONFIG_BYTES);
  /** Capability bodies in list order. */
  readonly #bodies: Body[] = [];
  readonly #irq: IrqLine | null;
  #interrupt = false;
  /** Where each BAR is decoded, or -1: what barAddress() tells, kept up to date by #decode(). */
  readonly #decoded: number[];

  /** @throws InvariantError when the configuration is no valid PCI function. */
  constructor(config: PciFunctionConfig) {
    assert(config.bars.length <= PCI_BARS_MAX, 'a PCI function has at most 6 BARs');
    this.bars = config.bars;
    this.#irq = config.irq ?? null;
    this.#decoded = config.bars.map(() => -1);
    this.#layHeader(config);
    config.bars.forEach((bar, index) => this.#layBar(bar, index));
    const free = this.#layStorage(config.storage ?? []);
    this.#layCapabilities(config.capabilities ?? [], free);
    this.#space.set(this.#powerOn);
  }

  /** Whether the guest lets this function read and write RAM by itself (command register, bit 2). */
  get busMaster(): boolean {
    return (this.#command() & COMMAND_BUS_MASTER) !== 0;
  }

  /** 0, or 1 (INTA#) to 4 (INTD#). */
  get interruptPin(): number {
    return this.#space[PCI_INTERRUPT_PIN]!;
  }

  /** First address or port of BAR `index`; null while it is not decoded, unassigned or absent. */
  barAddress(index: number): number | null {
    const address = this.#decoded[index] ?? -1;
    return address < 0 ? null : address;
  }

  /** Offset in configuration space of capability `index`, counted as in the constructor's list. */
  capabilityOffset(index: number): number {
    const body = this.#bodies[index];
    assert(body !== undefined, `the PCI function has no capability ${index}`);
    return body.start - 2;
  }

  /**
   * The BAR that decodes the byte at `address`, or -1. Of overlapping BARs the one with the lowest index wins.
   * `address` is a port for 'io'.
   */
  findBar(kind: 'io' | 'memory', address: number): number {
    for (let index = 0; index < this.#decoded.length; index++) {
      const start = this.#decoded[index]!;
      if (start < 0 || address < start) continue;
      const bar = this.bars[index]!;
      if (bar.kind === kind && address < start + bar.bytes) return index;
    }
    return -1;
  }

  /** Read 1, 2 or 4 bytes at any `offset`; bytes from 256 on read all ones. */
  configRead(offset: number, size: number): number {
    const body = this.#handledBody(offset, size);
    if (body !== null) return body.handler!.read(offset - body.start, size) >>> 0;
    let value = 0;
    for (let i = 0; i < size; i++) value |= this.#readByte(offset + i) << (8 * i);
    return value >>> 0;
  }

  /** Write 1, 2 or 4 bytes at any `offset`. Read-only bits, and bytes from 256 on, stay as they are. */
  configWrite(offset: number, size: number, value: number): void {
    const body = this.#handledBody(offset, size);
    if (body !== null) {
      body.handler!.write(offset - body.start, size, value >>> 0);
      return;
    }
    for (let i = 0; i < size; i++) this.#writeByte(offset + i, (value >>> (8 * i)) & 0xff);
    this.#decode();
    this.#irq?.set(this.#interruptOutput());
  }

  reset(): void {
    this.#space.set(this.#powerOn);
    this.#interrupt = false;
    this.#decode();
  }

  save(): StateRecord {
    return {
      command: this.#command(),
      cacheLineSize: this.#space[PCI_CACHE_LINE_SIZE]!,
      latencyTimer: this.#space[PCI_LATENCY_TIMER]!,
      bars: this.bars.map((_, index) => this.#u32(PCI_BAR0 + 4 * index)),
      interruptLine: this.#space[PCI_INTERRUPT_LINE]!,
      interruptLevel: this.#interrupt,
      deviceRegisters: this.#space.slice(PCI_DEVICE_SPECIFIC),
    };
  }

  restore(state: StateRecord): void {
    const fields = new SavedFields(state, 'pci');
    const space = this.#powerOn.slice();
    const view = new DataView(space.buffer);
    view.setUint16(PCI_COMMAND, fields.integer('command', 0, 0xffff), true);
    space[PCI_CACHE_LINE_SIZE] = fields.integer('cacheLineSize', 0, 0xff);
    space[PCI_LATENCY_TIMER] = fields.integer('latencyTimer', 0, 0xff);
    const bars = fields.integers('bars', this.bars.length);
    if (bars.length !== this.bars.length) throw fields.wrong('bars', `not ${this.bars.length} registers`);
    bars.forEach((value, index) => {
      if (value > 0xffffffff) throw fields.wrong('bars', 'not 32-bit registers');
      view.setUint32(PCI_BAR0 + 4 * index, value, true);
    });
    space[PCI_INTERRUPT_LINE] = fields.integer('interruptLine', 0, 0xff);
    const interrupt = fields.boolean('interruptLevel');
    space.set(fields.bytes('deviceRegisters', PCI_CONFIG_BYTES - PCI_DEVICE_SPECIFIC), PCI_DEVICE_SPECIFIC);
    fields.finish();
    for (let at = 0; at < PCI_CONFIG_BYTES; at++) {
      if (((space[at]! ^ this.#powerOn[at]!) & ~this.#writable[at]!) !== 0) {
        throw fields.wrong(`0x${at.toString(16)}`, 'a read-only bit of configuration space differs');
      }
    }
    this.#space.set(space);
    this.#interrupt = interrupt;
    this.#decode();
  }

  #readByte(at: number): number {
    if (at >= PCI_CONFIG_BYTES) return 0xff;
    const body = this.#handledBody(at, 1);
    if (body !== null) return body.handler!.read(at - body.start, 1) & 0xff;
    const byte = this.#space[at]!;
    return at === PCI_STATUS && this.#interrupt ? byte | STATUS_INTERRUPT : byte;
  }

  #writeByte(at: number, value: number): void {
    if (at >= PCI_CONFIG_BYTES) return;
    const body = this.#handledBody(at, 1);
    if (body !== null) {
      body.handler!.write(at - body.start, 1, value);
      return;
    }
    const mask = this.#writable[at]!;
    this.#space[at] = (this.#space[at]! & ~mask) | (value & mask);
  }

  /** The capability body with a handler that wholly contains the access. */
  #handledBody(offset: number, size: number): Body | null {
    for (const body of this.#bodies) {
      if (body.handler !== null && offset >= body.start && offset + size <= body.end) return body;
    }
    return null;
  }

  #setInterrupt(level: boolean): void {
    this.#interrupt = level;
    this.#irq?.set(this.#interruptOutput());
  }

  #interruptOutput(): boolean {
    return this.#interrupt && (this.#command() & COMMAND_INTERRUPT_DISABLE) === 0;
  }

  #command(): number {
    return this.#space[PCI_COMMAND]! | (this.#space[PCI_COMMAND + 1]! << 8);
  }

  #u32(at: number): number {
    return new DataView(this.#space.buffer).getUint32(at, true);
  }

  #decode(): void {
    const command = this.#command();
    for (let index = 0; index < this.bars.length; index++) {
      const bar = this.bars[index];
      if (bar === null || bar === undefined) continue;
      const address = this.#u32(PCI_BAR0 + 4 * index) & ~(bar.bytes - 1);
      const enabled = (command & (bar.kind === 'io' ? COMMAND_IO : COMMAND_MEMORY)) !== 0;
      const start = address >>> 0;
      const reachable = bar.kind === 'memory' || start < IO_BYTES_MAX;
      this.#decoded[index] = enabled && start !== 0 && reachable ? start : -1;
    }
  }

  #layHeader(config: PciFunctionConfig): void {
    const view = new DataView(this.#powerOn.buffer);
    view.setUint16(0x00, config.vendorId, true);
    view.setUint16(0x02, config.deviceId, true);
    if ((config.capabilities ?? []).length > 0) view.setUint16(PCI_STATUS, STATUS_CAPABILITIES, true);
    view.setUint32(0x08, ((config.classCode << 8) | config.revision) >>> 0, true);
    view.setUint8(PCI_HEADER_TYPE, config.multifunction === true ? 0x80 : 0);
    view.setUint16(PCI_SUBSYSTEM_VENDOR, config.subsystemVendorId, true);
    view.setUint16(PCI_SUBSYSTEM_VENDOR + 2, config.subsystemId, true);
    view.setUint8(PCI_INTERRUPT_PIN, config.interruptPin);
    const writable = new DataView(this.#writable.buffer);
    writable.setUint16(PCI_COMMAND, COMMAND_WRITABLE, true);
    writable.setUint8(PCI_CACHE_LINE_SIZE, 0xff);
    writable.setUint8(PCI_LATENCY_TIMER, 0xff);
    writable.setUint8(PCI_INTERRUPT_LINE, 0xff);
  }

  #layBar(bar: PciBar | null, index: number): void {
    if (bar === null) return;
    const bytesMin = bar.kind === 'io' ? 4 : 16;
    const powerOfTwo = (bar.bytes & (bar.bytes - 1)) === 0;
    const bytesMax = bar.kind === 'io' ? IO_BYTES_MAX : 2 ** 30;
    assert(powerOfTwo && bar.bytes >= bytesMin && bar.bytes <= bytesMax, `BAR ${index} cannot have ${bar.bytes} bytes`);
    const at = PCI_BAR0 + 4 * index;
    if (bar.kind === 'io') this.#powerOn[at] = PCI_BAR_IO;
    new DataView(this.#writable.buffer).setUint32(at, ~(bar.bytes - 1) >>> 0, true);
  }

  /** Returns the first offset behind all storage. */
  #layStorage(storage: readonly PciStorage[]): number {
    let free = PCI_DEVICE_SPECIFIC;
    for (const { offset, bytes, writableMask } of storage) {
      assert(offset >= PCI_DEVICE_SPECIFIC && offset + bytes.length <= PCI_CONFIG_BYTES, 'PCI storage out of its area');
      this.#powerOn.set(bytes, offset);
      if (writableMask !== undefined) this.#layMask(offset, bytes.length, writableMask);
      free = Math.max(free, offset + bytes.length);
    }
    return free;
  }

  /** Put the capabilities one behind the other, from `free` on. */
  #layCapabilities(capabilities: readonly PciCapability[], free: number): void {
    let at = free;
    let linkAt = PCI_CAPABILITIES_POINTER;
    for (const { id, bytes, writableMask, handler } of capabilities) {
      at = (at + 3) & ~3;
      const end = at + 2 + bytes.length;
      assert(end <= PCI_CONFIG_BYTES, 'PCI capabilities do not fit configuration space');
      this.#powerOn[linkAt] = at;
      this.#powerOn[at] = id;
      linkAt = at + 1;
      this.#bodies.push({ start: at + 2, end, handler: handler ?? null });
      if (handler === undefined) {
        this.#powerOn.set(bytes, at + 2);
        if (writableMask !== undefined) this.#layMask(at + 2, bytes.length, writableMask);
      }
      at = end;
    }
  }

  #layMask(at: number, bytes: number, mask: Uint8Array): void {
    assert(mask.length === bytes, 'a writable mask has the length of what it covers');
    this.#writable.set(mask, at);
  }
}
