/**
 * PCI-to-ISA bridge of the Intel PIIX3 (its function 0), as far as firmware and kernels look at it.
 *
 *   0x4e XBCS: which ISA ranges are decoded | 0x60..0x63 PIRQRC[A:D] | 0x69 TOM: top of ISA memory | 0x82 DLC: PCI 2.1
 *
 *   PIRQRC   7 not routed | 3..0 ISA interrupt
 *
 * The routing registers are told to whoever asks; the others are storage without effect.
 *
 * Source: Intel 82371FB/82371SB (PIIX3) data sheet, section 2.2 (function 0 configuration).
 */
import type { DeviceModel } from '../device.js';
import { PIRQ_COUNT } from '../irq-router.js';
import { PciFunction } from '../pci-device.js';
import type { PciStorage } from '../pci-config.js';
import { SavedFields } from '../saved-fields.js';
import type { StateRecord } from '../state.js';

/** First of the four routing registers. */
export const PIRQ_ROUTE = 0x60;
const NOT_ROUTED = 0x80;
const ROUTED_IRQ = 0x0f;

/** Interrupts that a PIRQ can be routed to: not the ones that the board itself uses. */
const ROUTABLE = 0b1101_1110_1111_1000;

export interface Piix3IsaBridgeOptions {
  /** The guest may have changed isaIrq(). Not called by reset() and restore(). */
  readonly routingChanged: () => void;
}

export class Piix3IsaBridge implements DeviceModel {
  readonly pci: PciFunction;

  constructor({ routingChanged }: Piix3IsaBridgeOptions) {
    this.pci = new BridgeFunction(routingChanged);
  }

  /** ISA interrupt that PIRQA# (0) to PIRQD# (3) is routed to, or null. */
  isaIrq(pirq: number): number | null {
    const route = this.pci.configRead(PIRQ_ROUTE + pirq, 1);
    const irq = route & ROUTED_IRQ;
    return (route & NOT_ROUTED) !== 0 || ((ROUTABLE >> irq) & 1) === 0 ? null : irq;
  }

  reset(): void {
    this.pci.reset();
  }
  save(): StateRecord {
    return { pci: this.pci.save() };
  }
  restore(state: StateRecord): void {
    const fields = new SavedFields(state, 'piix3-isa-bridge');
    const pci = fields.stateRecord('pci');
    fields.finish();
    this.pci.restore(pci);
  }
}

class BridgeFunction extends PciFunction {
  readonly #routingChanged: () => void;

  constructor(routingChanged: () => void) {
    super({
      vendorId: 0x8086,
      deviceId: 0x7000,
      classCode: 0x060100,
      revision: 0,
      subsystemVendorId: 0,
      subsystemId: 0,
      interruptPin: 0,
      bars: [],
      storage: [
        storage(0x4c, [0x4d]), // IORT
        storage(0x4e, [0x03, 0x00]), // XBCS
        storage(PIRQ_ROUTE, new Array<number>(PIRQ_COUNT).fill(NOT_ROUTED), NOT_ROUTED | ROUTED_IRQ),
        storage(0x69, [0x02]), // TOM
        storage(0x6a, [0x00, 0x00]), // MSTAT
        storage(0x70, [0x80, 0x80]), // MBIRQ
        storage(0x76, [0x0c, 0x0c]), // MBDMA
        storage(0x78, [0x02, 0x00]), // PCSC
        storage(0x80, [0x00]), // APICBASE
        storage(0x82, [0x00]), // DLC
      ],
      multifunction: true,
    });
    this.#routingChanged = routingChanged;
  }

  override configWrite(offset: number, size: number, value: number): void {
    super.configWrite(offset, size, value);
    if (offset < PIRQ_ROUTE + PIRQ_COUNT && offset + size > PIRQ_ROUTE) this.#routingChanged();
  }
}

/** Registers that keep what is written into the bits of `mask`, in each byte. */
function storage(offset: number, powerOn: readonly number[], mask = 0xff): PciStorage {
  return { offset, bytes: Uint8Array.from(powerOn), writableMask: new Uint8Array(powerOn.length).fill(mask) };
}
