/**
 * Ports at which a guest without ACPI tables switches the machine off.
 *
 *   0x604, 0xb004  PM1 control, 16 bits: 13 SLP_EN | 12..10 SLP_TYP, 0 = soft off     (QEMU's PC, older ones and Bochs)
 *   0x8900         the characters of "Shutdown", one after the other, as bytes        (Bochs)
 *
 * Only soft off is there: SLP_EN with another sleep type does nothing, and the control register reads 0, so that a
 * guest may set its bits by read, modify, write. No power management device is shown on the PCI bus.
 *
 * Invariant: `matched` counts how many characters of the word have arrived in a row.
 * Source: ACPI 6.4, section 4.8.3.2.1 (PM1 control registers); OSDev wiki, Shutdown (the addresses of the emulators).
 */
import type { DeviceModel, RegisterBlock } from './device.js';
import type { Environment } from './environment.js';
import { SavedFields } from './saved-fields.js';
import type { StateRecord } from './state.js';

/** Ports of the PM1 control register; it is two bytes wide and takes accesses of two. */
export const PM1_CONTROL_PORTS: readonly number[] = [0x604, 0xb004];
export const PM1_CONTROL_PORT_COUNT = 2;
export const SHUTDOWN_WORD_PORT = 0x8900;

const SLEEP_ENABLE = 0x2000;
const SLEEP_TYPE = 0x1c00;
const SHUTDOWN_WORD = 'Shutdown';

export interface PowerOffOptions {
  readonly environment: Pick<Environment, 'stop'>;
}

export class PowerOff implements DeviceModel {
  /** Two ports at each of {@link PM1_CONTROL_PORTS}. */
  readonly pm1Control: RegisterBlock;
  /** One port at {@link SHUTDOWN_WORD_PORT}. */
  readonly shutdownWord: RegisterBlock;
  readonly #options: PowerOffOptions;
  #matched = 0;

  constructor(options: PowerOffOptions) {
    this.#options = options;
    this.pm1Control = {
      read: () => 0,
      write: (offset, _size, value) => this.#writeControl((value << (8 * offset)) & 0xffff),
    };
    this.shutdownWord = {
      read: (_offset, size) => 2 ** (8 * size) - 1,
      write: (_offset, _size, value) => this.#writeCharacter(value & 0xff),
    };
  }

  reset(): void {
    this.#matched = 0;
  }

  save(): StateRecord {
    return { matched: this.#matched };
  }

  restore(state: StateRecord): void {
    const fields = new SavedFields(state, 'power-off');
    const matched = fields.integer('matched', 0, SHUTDOWN_WORD.length - 1);
    fields.finish();
    this.#matched = matched;
  }

  #writeControl(value: number): void {
    if ((value & SLEEP_ENABLE) !== 0 && (value & SLEEP_TYPE) === 0) this.#powerOff();
  }

  #writeCharacter(byte: number): void {
    if (byte === SHUTDOWN_WORD.charCodeAt(this.#matched)) this.#matched++;
    // The first letter occurs once in the word, so a mismatch can only begin a new one.
    else this.#matched = byte === SHUTDOWN_WORD.charCodeAt(0) ? 1 : 0;
    if (this.#matched < SHUTDOWN_WORD.length) return;
    this.#matched = 0;
    this.#powerOff();
  }

  #powerOff(): void {
    this.#options.environment.stop('shutdown', 0);
  }
}
