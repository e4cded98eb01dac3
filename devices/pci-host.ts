/**
 * PCI host bridge: configuration mechanism 1, one bus of 32 slots, BAR decoding, reset control.
 *
 *   0xcf8..0xcfb  configuration address (dwords only)   31 enable | 23..16 bus | 15..11 slot | 10..8 function | 7..2 register
 *   0xcf9         reset control (bytes only)            1 hard reset | 2 reset, on its rising edge
 *   0xcfc..0xcff  configuration data, any width
 *
 *   port or memory access that no fixed range takes -> the first function, in slot order, with a BAR there
 *
 * Slot 0 is the bridge itself, looking like an Intel 440FX to firmware and kernels; its memory attribute registers are
 * storage without effect. Each other function is a device of its own, saved and restored by its owner.
 *
 * Invariants: slots are in ascending order, so which of two overlapping BARs wins does not depend on the order of
 * insertion; an absent function reads all ones.
 * Source: PCI Local Bus Specification 3.0, section 3.2.2.3.2; Intel 82441FX data sheet, section 3; 82371SB, RC register.
 */
import { assert } from '../emulator/errors.js';
import type { MovableRanges } from './bus.js';
import type { DeviceModel, RegisterBlock } from './device.js';
import type { Environment } from './environment.js';
import type { IrqRouter } from './irq-router.js';
import { PciFunction } from './pci-device.js';
import { COMMAND_IO, COMMAND_MEMORY, PCI_BAR0, PCI_COMMAND, PCI_INTERRUPT_LINE } from './pci-header.js';
import type { StateRecord } from './state.js';
import { SavedFields } from './saved-fields.js';

export const PCI_PORT = 0xcf8;
export const PCI_PORT_COUNT = 8;
export const PCI_SLOTS = 32;
const FUNCTIONS_PER_SLOT = 8;

/** Offsets of the ports. */
const ADDRESS = 0;
const RESET_CONTROL = 1;
const DATA = 4;
const ADDRESS_WRITABLE = 0x80fffffc;
const ADDRESS_ENABLE = 0x80000000;
const RESET_HARD = 0x02;
const RESET_CPU = 0x04;

/** Where assignResources() puts BARs: above ISA ports, and above the largest RAM but below the APICs. */
const IO_BASE = 0xc000;
const IO_END = 0x10000;
const MEMORY_BASE = 0xfe000000;
const MEMORY_END = 0xfec00000;

/** 82441FX: configuration registers 0x50 to 0x9f (PAM at 0x59, SMRAM at 0x72). */
const BRIDGE_STORAGE = 0x50;
const BRIDGE_STORAGE_BYTES = 0x50;

export interface PciHostOptions {
  readonly environment: Pick<Environment, 'stop'>;
  /** Tells which ISA interrupt a slot's pin reaches, for the interrupt line registers. */
  readonly router: Pick<IrqRouter, 'isaIrq'>;
}

interface Seat {
  /** Slot and function as in the configuration address. */
  readonly id: number;
  readonly slot: number;
  readonly pci: PciFunction;
}

export class PciHost implements DeviceModel, RegisterBlock {
  /** BARs of kind 'io', for the port bus. */
  readonly ioRanges: MovableRanges = this.#movable('io');
  /** BARs of kind 'memory', for the memory bus. */
  readonly memoryRanges: MovableRanges = this.#movable('memory');
  readonly #options: PciHostOptions;
  readonly #bridge: PciFunction;
  /** In ascending order of id. */
  #seats: Seat[] = [];
  #address = 0;
  #resetControl = 0;

  constructor(options: PciHostOptions) {
    this.#options = options;
    this.#bridge = createBridge();
    this.insert(0, 0, this.#bridge);
  }

  /** Put a function into a slot, for good. @throws InvariantError when the place does not exist or is taken */
  insert(slot: number, fn: number, pci: PciFunction): void {
    assert(slot >= 0 && slot < PCI_SLOTS && fn >= 0 && fn < FUNCTIONS_PER_SLOT, `no PCI place ${slot}.${fn}`);
    const id = slot * FUNCTIONS_PER_SLOT + fn;
    assert(!this.#seats.some((seat) => seat.id === id), `PCI place ${slot}.${fn} is taken`);
    this.#seats = [...this.#seats, { id, slot, pci }].sort((a, b) => a.id - b.id);
  }

  /**
   * Do what firmware does before it starts a kernel: give every BAR an address, tell every function its interrupt,
   * enable decoding (bus mastering is left to the driver). Depends only on what is in which slot.
   */
  assignResources(): void {
    let io = IO_BASE;
    let memory = MEMORY_BASE;
    for (const { slot, pci } of this.#seats) {
      let command = 0;
      pci.bars.forEach((bar, index) => {
        if (bar === null) return;
        // A BAR's size is a power of two and its address a multiple of it.
        const base = Math.ceil((bar.kind === 'io' ? io : memory) / bar.bytes) * bar.bytes;
        const end = base + bar.bytes;
        assert(end <= (bar.kind === 'io' ? IO_END : MEMORY_END), `no room for BAR ${index} of PCI slot ${slot}`);
        if (bar.kind === 'io') io = end;
        else memory = end;
        command |= bar.kind === 'io' ? COMMAND_IO : COMMAND_MEMORY;
        pci.configWrite(PCI_BAR0 + 4 * index, 4, base);
      });
      const irq = pci.interruptPin === 0 ? null : this.#options.router.isaIrq(slot, pci.interruptPin);
      if (irq !== null) pci.configWrite(PCI_INTERRUPT_LINE, 1, irq);
      if (command !== 0) pci.configWrite(PCI_COMMAND, 2, pci.configRead(PCI_COMMAND, 2) | command);
    }
  }

  read(offset: number, size: number): number {
    if (offset === ADDRESS && size === 4) return this.#address;
    if (offset === RESET_CONTROL && size === 1) return this.#resetControl;
    const ones = 2 ** (8 * size) - 1;
    if (!inData(offset, size)) return ones;
    return this.#selected()?.configRead(this.#register(offset), size) ?? ones;
  }

  write(offset: number, size: number, value: number): void {
    if (offset === ADDRESS && size === 4) this.#address = (value & ADDRESS_WRITABLE) >>> 0;
    else if (offset === RESET_CONTROL && size === 1) this.#writeResetControl(value);
    else if (inData(offset, size)) this.#selected()?.configWrite(this.#register(offset), size, value);
  }

  /** Also resets the bridge's own configuration space; other functions belong to their devices. */
  reset(): void {
    this.#address = 0;
    this.#resetControl = 0;
    this.#bridge.reset();
  }

  save(): StateRecord {
    return { address: this.#address, resetControl: this.#resetControl, bridge: this.#bridge.save() };
  }

  restore(state: StateRecord): void {
    const fields = new SavedFields(state, 'pci-host');
    const address = fields.integer('address', 0, 0xffffffff);
    const resetControl = fields.integer('resetControl', 0, RESET_HARD | RESET_CPU);
    const bridge = fields.stateRecord('bridge');
    fields.finish();
    if ((address & ~ADDRESS_WRITABLE) !== 0) throw fields.wrong('address', 'has reserved bits set');
    this.#bridge.restore(bridge);
    this.#address = address;
    this.#resetControl = resetControl;
  }

  #selected(): PciFunction | null {
    if ((this.#address & ADDRESS_ENABLE) === 0) return null;
    // Bus, slot and function in one number: a bus other than 0 matches no seat.
    const id = (this.#address >>> 8) & 0xffff;
    return this.#seats.find((seat) => seat.id === id)?.pci ?? null;
  }

  #register(offset: number): number {
    return (this.#address & 0xfc) + offset - DATA;
  }

  #writeResetControl(value: number): void {
    const rising = value & ~this.#resetControl & RESET_CPU;
    this.#resetControl = value & (RESET_HARD | RESET_CPU);
    if (rising !== 0) this.#options.environment.stop('reset', 0);
  }

  #movable(kind: 'io' | 'memory'): MovableRanges {
    return {
      read: (address, size) => {
        for (const { pci } of this.#seats) {
          const index = pci.findBar(kind, address);
          if (index < 0) continue;
          const offset = address - pci.barAddress(index)!;
          const bar = pci.bars[index]!;
          return offset + size <= bar.bytes ? bar.registers.read(offset, size) : null;
        }
        return null;
      },
      write: (address, size, value) => {
        for (const { pci } of this.#seats) {
          const index = pci.findBar(kind, address);
          if (index < 0) continue;
          const offset = address - pci.barAddress(index)!;
          const bar = pci.bars[index]!;
          if (offset + size > bar.bytes) return false;
          bar.registers.write(offset, size, value);
          return true;
        }
        return false;
      },
    };
  }
}

/** Whether an access lies wholly in the data port. */
function inData(offset: number, size: number): boolean {
  return offset >= DATA && offset + size <= PCI_PORT_COUNT;
}

function createBridge(): PciFunction {
  return new PciFunction({
    vendorId: 0x8086,
    deviceId: 0x1237,
    classCode: 0x060000,
    revision: 2,
    subsystemVendorId: 0x1af4,
    subsystemId: 0x1100,
    interruptPin: 0,
    bars: [],
    storage: [
      {
        offset: BRIDGE_STORAGE,
        bytes: new Uint8Array(BRIDGE_STORAGE_BYTES),
        writableMask: new Uint8Array(BRIDGE_STORAGE_BYTES).fill(0xff),
      },
    ],
  });
}
