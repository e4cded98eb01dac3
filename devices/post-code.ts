/**
 * Power-on self-test codes: what firmware and CPU tests say about how far they have come.
 *
 *   0x80   the POST port of every PC; also written as a short delay
 *   0x190  where PS/2 machines and CPU test ROMs report
 *
 * Reads give open bus. The last code of each port is device state, shown to people.
 * Source: IBM PS/2 Model 25/30 and PC AT Technical References, power-on self-test (manufacturing ports 190h and 80h).
 */
import type { DeviceModel, RegisterBlock } from './device.js';
import { SavedFields } from './saved-fields.js';
import type { StateRecord } from './state.js';

export const POST_PORT = 0x80;
export const POST_PORT_PS2 = 0x190;

const NONE = -1;

/** The last code written to each port; null: none since power-on. */
export interface PostCodes {
  readonly port80: number | null;
  readonly port190: number | null;
}

export class PostCode implements DeviceModel {
  /** One port at 0x80. */
  readonly port80: RegisterBlock = register((code) => (this.#port80 = code));
  /** One port at 0x190. */
  readonly port190: RegisterBlock = register((code) => (this.#port190 = code));
  #port80 = NONE;
  #port190 = NONE;

  get codes(): PostCodes {
    return { port80: codeOf(this.#port80), port190: codeOf(this.#port190) };
  }

  reset(): void {
    this.#port80 = this.#port190 = NONE;
  }

  save(): StateRecord {
    return { port80: this.#port80, port190: this.#port190 };
  }

  restore(state: StateRecord): void {
    const fields = new SavedFields(state, 'post-code');
    const port80 = fields.integer('port80', NONE, 0xff);
    const port190 = fields.integer('port190', NONE, 0xff);
    fields.finish();
    this.#port80 = port80;
    this.#port190 = port190;
  }
}

function register(written: (code: number) => void): RegisterBlock {
  return {
    read: (_offset, size) => 2 ** (8 * size) - 1,
    write: (_offset, _size, value) => written(value & 0xff),
  };
}

function codeOf(value: number): number | null {
  return value === NONE ? null : value;
}
