/**
 * 82093AA I/O APIC: 24 interrupt inputs, each with an entry that says which message it sends.
 *
 *   line(pin) ──► [edge, or level while high and not sent yet] ──[unmasked]──► deliver(message) ──► local APIC
 *                                                    endOfInterrupt(vector) ◄── guest's EOI of a level
 *
 *   +0x00 IOREGSEL: index   +0x10 IOWIN: the register     0x00 ID   0x01 version   0x02 arbitration ID
 *   0x10 + 2 pin, 0x11 + 2 pin: redirection entry
 *   entry   63..56 destination | 16 masked | 15 level | 14 remote IRR | 13 active low | 12 delivery status | 11 logical
 *           10..8 delivery mode | 7..0 vector
 *
 * Lines say whether a source wants attention, not which voltage that is: the polarity bit is storage. An edge that comes
 * while its entry is masked is lost; a level waits. Only fixed and lowest-priority delivery reach a processor here.
 *
 * Invariant: remote IRR is set only in entries of level-triggered inputs, from acceptance until the guest's EOI.
 * Source: Intel 82093AA data sheet (290566), section 3.
 */
import { assert } from '../emulator/errors.js';
import type { DeviceModel, IrqLine, RegisterBlock } from './device.js';
import type { InterruptMessage } from './interrupt-source.js';
import { SavedFields } from './saved-fields.js';
import type { StateRecord } from './state.js';

export const IO_APIC_ADDRESS = 0xfec00000;
export const IO_APIC_BYTES = 0x1000;
export const IO_APIC_PINS = 24;
/** Version 1.1 of the chip. */
export const IO_APIC_VERSION = 0x11;

const SELECT_OFFSET = 0x00;
const WINDOW_OFFSET = 0x10;
const REGISTER_ID = 0x00;
const REGISTER_VERSION = 0x01;
const REGISTER_ARBITRATION = 0x02;
const REGISTER_ENTRIES = 0x10;
const ID_WRITABLE = 0x0f000000;

/** Lower half of an entry; the delivery status is never seen, because a message takes no time. */
const ENTRY_VECTOR = 0xff;
const ENTRY_MODE_SHIFT = 8;
const ENTRY_MODE_MASK = 7;
const MODE_LOWEST = 1;
const ENTRY_LOGICAL = 1 << 11;
const ENTRY_REMOTE_IRR = 1 << 14;
const ENTRY_LEVEL = 1 << 15;
const ENTRY_MASKED = 1 << 16;
const ENTRY_WRITABLE = 0x1afff;
const DESTINATION_WRITABLE = 0xff000000;

export interface IoApicOptions {
  /** Send a message. False: no local APIC took it. */
  readonly deliver: (message: InterruptMessage) => boolean;
}

/** Pin of an ISA interrupt: all are where their number says, but the timer is where the 8259's cascade would be. */
export function ioApicPin(isaIrq: number): number {
  return isaIrq === 0 ? 2 : isaIrq;
}

/** One source that drives several lines. */
export function joinLines(...lines: readonly IrqLine[]): IrqLine {
  return {
    set: (level) => {
      for (const line of lines) line.set(level);
    },
  };
}

export class IoApic implements DeviceModel, RegisterBlock {
  readonly #options: IoApicOptions;
  #select = 0;
  #id = 0;
  /** Levels of the inputs, bit n = pin n. */
  #lines = 0;
  readonly #low = new Uint32Array(IO_APIC_PINS).fill(ENTRY_MASKED);
  readonly #high = new Uint32Array(IO_APIC_PINS);

  constructor(options: IoApicOptions) {
    this.#options = options;
  }

  /** Input `pin`, 0 to 23. */
  line(pin: number): IrqLine {
    assert(Number.isInteger(pin) && pin >= 0 && pin < IO_APIC_PINS, `the I/O APIC has no pin ${pin}`);
    const bit = 1 << pin;
    return {
      set: (level) => {
        if (((this.#lines & bit) !== 0) === level) return;
        this.#lines ^= bit;
        if (level) this.#send(pin);
      },
    };
  }

  /** The guest ended a level-triggered interrupt: inputs that are still high ask again. */
  endOfInterrupt(vector: number): void {
    for (let pin = 0; pin < IO_APIC_PINS; pin++) {
      const low = this.#low[pin]!;
      if ((low & ENTRY_REMOTE_IRR) === 0 || (low & ENTRY_VECTOR) !== vector) continue;
      this.#low[pin] = low & ~ENTRY_REMOTE_IRR;
      this.#sendLevel(pin);
    }
  }

  /** Registers are 32 bits wide; smaller reads see their bytes. */
  read(offset: number, size: number): number {
    const ones = 2 ** (8 * size) - 1;
    const shift = 8 * (offset & 3);
    switch (offset & ~3) {
      case SELECT_OFFSET:
        return (this.#select >>> shift) & ones;
      case WINDOW_OFFSET:
        return ((this.#readRegister(this.#select) >>> shift) & ones) >>> 0;
      default:
        return ones;
    }
  }

  /** Only aligned writes of 32 bits reach a register. */
  write(offset: number, size: number, value: number): void {
    if (size !== 4) return;
    if (offset === SELECT_OFFSET) this.#select = value & 0xff;
    else if (offset === WINDOW_OFFSET) this.#writeRegister(this.#select, value);
  }

  reset(): void {
    this.#select = 0;
    this.#id = 0;
    this.#lines = 0;
    this.#low.fill(ENTRY_MASKED);
    this.#high.fill(0);
  }

  save(): StateRecord {
    return { select: this.#select, id: this.#id, lines: this.#lines, low: [...this.#low], high: [...this.#high] };
  }

  restore(state: StateRecord): void {
    const fields = new SavedFields(state, 'io-apic');
    const select = fields.integer('select', 0, 0xff);
    const id = fields.integer('id', 0, ID_WRITABLE);
    const lines = fields.integer('lines', 0, 2 ** IO_APIC_PINS - 1);
    const low = fields.integers('low', IO_APIC_PINS);
    const high = fields.integers('high', IO_APIC_PINS);
    fields.finish();
    if ((id & ~ID_WRITABLE) !== 0) throw fields.wrong('id', 'has a reserved bit set');
    if (low.length !== IO_APIC_PINS || !low.every(isEntry)) throw fields.wrong('low', 'not 24 halves of entries');
    if (high.length !== IO_APIC_PINS || !high.every(isDestination)) throw fields.wrong('high', 'not 24 destinations');
    this.#select = select;
    this.#id = id;
    this.#lines = lines;
    this.#low.set(low);
    this.#high.set(high);
  }

  #readRegister(index: number): number {
    if (index === REGISTER_ID || index === REGISTER_ARBITRATION) return this.#id;
    if (index === REGISTER_VERSION) return ((IO_APIC_PINS - 1) << 16) | IO_APIC_VERSION;
    const entry = index - REGISTER_ENTRIES;
    // `entry` may be negative: no pin then, and all ones as behind the last one.
    return (entry & 1 ? this.#high : this.#low)[entry >> 1] ?? 0xffffffff;
  }

  #writeRegister(index: number, value: number): void {
    if (index === REGISTER_ID) this.#id = value & ID_WRITABLE;
    const entry = index - REGISTER_ENTRIES;
    const pin = entry >> 1;
    if (pin < 0 || pin >= IO_APIC_PINS) return;
    if (entry & 1) {
      this.#high[pin] = value & DESTINATION_WRITABLE;
      return;
    }
    // An input that becomes an edge has nothing to wait for: kernels end a lost level this way.
    const kept = (value & ENTRY_LEVEL) !== 0 ? this.#low[pin]! & ENTRY_REMOTE_IRR : 0;
    this.#low[pin] = (value & ENTRY_WRITABLE) | kept;
    this.#sendLevel(pin);
  }

  /** Ask again for a level that is there and was not sent. */
  #sendLevel(pin: number): void {
    if ((this.#low[pin]! & ENTRY_LEVEL) !== 0 && ((this.#lines >> pin) & 1) !== 0) this.#send(pin);
  }

  #send(pin: number): void {
    const low = this.#low[pin]!;
    if ((low & (ENTRY_MASKED | ENTRY_REMOTE_IRR)) !== 0) return;
    if (((low >> ENTRY_MODE_SHIFT) & ENTRY_MODE_MASK) > MODE_LOWEST) return;
    const level = (low & ENTRY_LEVEL) !== 0;
    const message = {
      vector: low & ENTRY_VECTOR,
      level,
      logical: (low & ENTRY_LOGICAL) !== 0,
      destination: this.#high[pin]! >>> 24,
    };
    if (this.#options.deliver(message) && level) this.#low[pin] = low | ENTRY_REMOTE_IRR;
  }
}

function isEntry(low: number): boolean {
  if (low > 0xffffffff || (low & ~(ENTRY_WRITABLE | ENTRY_REMOTE_IRR)) !== 0) return false;
  return (low & ENTRY_REMOTE_IRR) === 0 || (low & ENTRY_LEVEL) !== 0;
}

function isDestination(high: number): boolean {
  return high <= 0xffffffff && (high & ~DESTINATION_WRITABLE) === 0;
}
