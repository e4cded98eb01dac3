/**
 * The VGA's usual group of registers: an index register, and byte registers that it selects. All of it is storage.
 *
 * Invariant: an index may point behind the registers; they then read all ones, and writes are lost.
 * Source: IBM PS/2 Hardware Interface Technical Reference, Video Subsystem (VGA), registers.
 */
import type { SavedFields } from './saved-fields.js';
import type { StateRecord } from './state.js';

export class IndexedRegisters {
  index = 0;
  readonly #powerOn: readonly number[];
  readonly #values: Uint8Array;

  constructor(powerOn: readonly number[]) {
    this.#powerOn = powerOn;
    this.#values = Uint8Array.from(powerOn);
  }

  get(index: number): number {
    return this.#values[index] ?? 0xff;
  }
  set(index: number, value: number): void {
    // Out of bounds: a typed array ignores it.
    this.#values[index] = value;
  }

  reset(): void {
    this.index = 0;
    this.#values.set(this.#powerOn);
  }

  save(): StateRecord {
    return { index: this.index, values: this.#values.slice() };
  }

  /** Check `fields` and return what takes them over. */
  prepareRestore(fields: SavedFields): () => void {
    const index = fields.integer('index', 0, 0xff);
    const values = fields.bytes('values', this.#values.length);
    fields.finish();
    return () => {
      this.index = index;
      this.#values.set(values);
    };
  }
}
