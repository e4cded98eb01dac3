/**
 * A transitional virtio device on the PCI bus: identity, BARs, capabilities, INTA#.
 *
 *   BAR0 (I/O)    legacy registers             BAR1 (memory)  modern registers, each region announced by a
 *                                              vendor capability: COMMON, NOTIFY, ISR, DEVICE
 *   PCI_CFG capability: a window of 1, 2 or 4 bytes onto either BAR, for firmware that maps none
 *
 *   capability body (after id and next)  0 cap_len u8 | 1 cfg_type u8 | 2 bar u8 | 3 id u8 | 6 offset u32 | 10 length u32
 *                                        14 notify_off_multiplier u32 (NOTIFY) or pci_cfg_data u8[4] (PCI_CFG)
 *
 * There is no MSI-X. The command register's bus master bit is not looked at, because legacy drivers forget it.
 *
 * Source: VIRTIO 1.2, sections 4.1.2 (identity), 4.1.4 (capabilities), 4.1.4.9 (PCI_CFG).
 */
import type { IrqLine, RegisterBlock } from '../device.js';
import type { Dma } from '../dma.js';
import type { PciCapability } from '../pci-config.js';
import { PciFunction } from '../pci-device.js';
import type { StateRecord } from '../state.js';
import { VIRTIO_PCI_VENDOR } from './constants.js';
import {
  COMMON_AT,
  COMMON_BYTES,
  CONFIG_AT,
  ISR_AT,
  LEGACY_BAR_BYTES,
  MODERN_BAR_BYTES,
  NOTIFY_AT,
  NOTIFY_STRIDE,
  PciRegisters,
  type DeviceConfig,
} from './pci-registers.js';
import type { SavedFields } from '../saved-fields.js';
import { VirtioDevice, type VirtioDeviceOptions } from './virtio-device.js';

export interface VirtioPciOptions extends Omit<VirtioDeviceOptions, 'interrupt' | 'dma'> {
  /** Transitional PCI device id (4.1.2.1). */
  readonly pciDeviceId: number;
  /** Virtio device type (5), the subsystem id of a transitional device. */
  readonly deviceType: number;
  /** PCI class code, 24 bits. */
  readonly classCode: number;
  readonly config: DeviceConfig;
  readonly dma: Dma;
  readonly irq: IrqLine;
}

const CAPABILITY_VENDOR = 0x09;
/** cfg_type values (4.1.4). */
const CFG_COMMON = 1;
const CFG_NOTIFY = 2;
const CFG_ISR = 3;
const CFG_DEVICE = 4;
const CFG_PCI = 5;

const CAPABILITY_BODY_BYTES = 14;
const BAR_AT = 2;
const OFFSET_AT = 6;
const LENGTH_AT = 10;
const DATA_AT = 14;

const LEGACY_BAR = 0;
const MODERN_BAR = 1;

/** Body of a capability; `extra` is the fourth dword that NOTIFY and PCI_CFG have. */
function capabilityBody(type: number, bar: number, offset: number, bytes: number, extra: number | null): Uint8Array {
  const body = new Uint8Array(CAPABILITY_BODY_BYTES + (extra === null ? 0 : 4));
  const view = new DataView(body.buffer);
  // cap_len counts the id and next bytes too.
  body.set([body.length + 2, type, bar]);
  view.setUint32(OFFSET_AT, offset, true);
  view.setUint32(LENGTH_AT, bytes, true);
  if (extra !== null) view.setUint32(DATA_AT, extra, true);
  return body;
}

/** The PCI_CFG capability: reading or writing its data accesses the BAR it points to. */
class ConfigWindow implements RegisterBlock {
  readonly #bars: () => PciFunction['bars'];
  #body = ConfigWindow.powerOnBody();

  constructor(bars: () => PciFunction['bars']) {
    this.#bars = bars;
  }

  static powerOnBody(): Uint8Array {
    return capabilityBody(CFG_PCI, LEGACY_BAR, 0, 0, 0);
  }

  reset(): void {
    this.#body = ConfigWindow.powerOnBody();
  }

  read(offset: number, size: number): number {
    if (offset + size > DATA_AT) this.#readThrough();
    let value = 0;
    for (let i = 0; i < size; i++) value |= (this.#body[offset + i] ?? 0xff) << (8 * i);
    return value >>> 0;
  }

  write(offset: number, size: number, value: number): void {
    for (let i = 0; i < size; i++) {
      const at = offset + i;
      if (at === BAR_AT || at >= OFFSET_AT) this.#body[at] = value >>> (8 * i);
    }
    if (offset + size > DATA_AT) this.#writeThrough();
  }

  save(): StateRecord {
    return { body: this.#body.slice() };
  }

  restore(fields: SavedFields): void {
    const fixed = ConfigWindow.powerOnBody();
    const body = fields.bytes('body', fixed.length);
    for (let at = 0; at < OFFSET_AT; at++) {
      if (at !== BAR_AT && body[at] !== fixed[at]) throw fields.wrong('body', 'its read-only part differs');
    }
    fields.finish();
    this.#body = body;
  }

  #readThrough(): void {
    const target = this.#target();
    if (target === null) return;
    const value = target.registers.read(target.offset, target.bytes);
    for (let i = 0; i < target.bytes; i++) this.#body[DATA_AT + i] = value >>> (8 * i);
  }

  #writeThrough(): void {
    const target = this.#target();
    if (target === null) return;
    let value = 0;
    for (let i = 0; i < target.bytes; i++) value |= (this.#body[DATA_AT + i] ?? 0) << (8 * i);
    target.registers.write(target.offset, target.bytes, value >>> 0);
  }

  /** What the window shows; null when the driver's choice is not allowed (4.1.4.9.2). */
  #target(): { registers: RegisterBlock; offset: number; bytes: number } | null {
    const view = new DataView(this.#body.buffer);
    const bar = this.#bars()[view.getUint8(BAR_AT)];
    const offset = view.getUint32(OFFSET_AT, true);
    const bytes = view.getUint32(LENGTH_AT, true);
    if (bar === undefined || bar === null || (bytes !== 1 && bytes !== 2 && bytes !== 4)) return null;
    if (offset % bytes !== 0 || offset + bytes > bar.bytes) return null;
    return { registers: bar.registers, offset, bytes };
  }
}

export class VirtioPci {
  readonly pci: PciFunction;
  readonly device: VirtioDevice;
  readonly #registers: PciRegisters;
  readonly #window: ConfigWindow;

  constructor(options: VirtioPciOptions) {
    this.device = new VirtioDevice({ ...options, interrupt: (level) => this.pci.inta.set(level) });
    this.#registers = new PciRegisters(this.device, options.config);
    this.#window = new ConfigWindow(() => this.pci.bars);
    this.pci = new PciFunction({
      vendorId: VIRTIO_PCI_VENDOR,
      deviceId: options.pciDeviceId,
      classCode: options.classCode,
      revision: 0,
      subsystemVendorId: VIRTIO_PCI_VENDOR,
      subsystemId: options.deviceType,
      interruptPin: 1,
      irq: options.irq,
      bars: [
        { kind: 'io', bytes: LEGACY_BAR_BYTES, registers: this.#registers.legacy },
        { kind: 'memory', bytes: MODERN_BAR_BYTES, registers: this.#registers.modern },
      ],
      capabilities: this.#capabilities(options.queueCount, options.config.bytes.length),
    });
  }

  /** Power-on state. */
  reset(): void {
    this.device.reset();
    this.#registers.reset();
    this.#window.reset();
    this.pci.reset();
  }

  save(): StateRecord {
    return {
      pci: this.pci.save(),
      window: this.#window.save(),
      selectors: this.#registers.save(),
      device: this.device.save(),
    };
  }

  /** @throws DecodeError; moves no line. */
  restore(fields: SavedFields): void {
    const pci = fields.stateRecord('pci');
    const window = fields.record('window');
    const selectors = fields.record('selectors');
    const device = fields.record('device');
    fields.finish();
    this.pci.restore(pci);
    this.#window.restore(window);
    this.#registers.restore(selectors);
    this.device.restore(device);
  }

  #capabilities(queueCount: number, configBytes: number): PciCapability[] {
    const region = (type: number, offset: number, bytes: number, extra: number | null = null): PciCapability => ({
      id: CAPABILITY_VENDOR,
      bytes: capabilityBody(type, MODERN_BAR, offset, bytes, extra),
    });
    return [
      region(CFG_COMMON, COMMON_AT, COMMON_BYTES),
      region(CFG_NOTIFY, NOTIFY_AT, NOTIFY_STRIDE * queueCount, NOTIFY_STRIDE),
      region(CFG_ISR, ISR_AT, 1),
      region(CFG_DEVICE, CONFIG_AT, configBytes),
      { id: CAPABILITY_VENDOR, bytes: ConfigWindow.powerOnBody(), handler: this.#window },
    ];
  }
}
