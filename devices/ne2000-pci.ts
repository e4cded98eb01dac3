/**
 * NE2000 on the PCI bus: an RTL8029AS, the same registers in an I/O BAR, the interrupt on INTA#.
 *
 *   BAR0 (I/O)  32 bytes: the NE2000's registers
 *
 * Source: Realtek RTL8029AS specification, PCI configuration space.
 */
import type { DeviceModel, IrqLine } from './device.js';
import type { Environment } from './environment.js';
import { NE2000_PORT_COUNT, Ne2000 } from './ne2000.js';
import type { Ne2000Counters } from './ne2000-state.js';
import { PciFunction } from './pci-device.js';
import { SavedFields } from './saved-fields.js';
import type { StateRecord } from './state.js';

const REALTEK = 0x10ec;
const RTL8029 = 0x8029;
const CLASS_ETHERNET = 0x020000;

export interface Ne2000PciOptions {
  readonly environment: Pick<Environment, 'emit'>;
  readonly irq: IrqLine;
  /** Index of the card, as in the packet output. */
  readonly nic: number;
  /** 6 bytes. */
  readonly mac: Uint8Array;
}

export class Ne2000Pci implements DeviceModel {
  readonly pci: PciFunction;
  readonly #chip: Ne2000;

  constructor(options: Ne2000PciOptions) {
    const { environment, irq, nic, mac } = options;
    this.#chip = new Ne2000({
      environment,
      irq: { set: (level) => this.pci.inta.set(level) },
      nic,
      mac,
      rtl8029: true,
    });
    this.pci = new PciFunction({
      vendorId: REALTEK,
      deviceId: RTL8029,
      classCode: CLASS_ETHERNET,
      revision: 0,
      subsystemVendorId: REALTEK,
      subsystemId: RTL8029,
      interruptPin: 1,
      bars: [{ kind: 'io', bytes: NE2000_PORT_COUNT, registers: this.#chip }],
      irq,
    });
  }

  get counters(): Ne2000Counters {
    return this.#chip.counters;
  }

  /** Deliver a frame while applying a log entry. False: it was not for this station, or was lost. */
  receive(frame: Uint8Array): boolean {
    return this.#chip.receive(frame);
  }

  reset(): void {
    this.pci.reset();
    this.#chip.reset();
  }

  save(): StateRecord {
    return { pci: this.pci.save(), chip: this.#chip.save() };
  }

  restore(state: StateRecord): void {
    const fields = new SavedFields(state, 'ne2000-pci');
    const restoreChip = this.#chip.prepareRestore(fields.record('chip'));
    const pci = fields.stateRecord('pci');
    fields.finish();
    this.pci.restore(pci);
    restoreChip();
  }
}
