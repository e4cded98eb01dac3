/**
 * The VGA's colour table: 256 colours of three 6-bit components, read and written one component after the other.
 *
 *   0x3c6 mask | 0x3c7 write: first colour to read, read: 0 writing or 3 reading | 0x3c8 first colour to write
 *   0x3c9 next component: red, green, blue, then the next colour
 *
 * Source: IBM PS/2 Hardware Interface Technical Reference, Video Subsystem (VGA), video digital-to-analog converter.
 */
import type { SavedFields } from './saved-fields.js';
import type { StateRecord } from './state.js';

const DAC_BYTES = 768;
const COMPONENTS = 3;
const COMPONENT_MAX = 0x3f;
const STATE_READING = 0x03;

export class VgaDac {
  mask = 0xff;
  readonly #table = new Uint8Array(DAC_BYTES);
  #index = 0;
  #component = 0;
  #reading = false;

  get state(): number {
    return this.#reading ? STATE_READING : 0;
  }
  get index(): number {
    return this.#index;
  }

  /** Begin reading or writing at a colour. */
  seek(index: number, reading: boolean): void {
    this.#index = index;
    this.#component = 0;
    this.#reading = reading;
  }

  read(): number {
    const value = this.#table[this.#at]!;
    this.#advance();
    return value;
  }

  write(value: number): void {
    this.#table[this.#at] = value & COMPONENT_MAX;
    this.#advance();
  }

  reset(): void {
    this.mask = 0xff;
    this.#table.fill(0);
    this.seek(0, false);
  }

  save(): StateRecord {
    return {
      table: this.#table.slice(),
      mask: this.mask,
      index: this.#index,
      component: this.#component,
      reading: this.#reading,
    };
  }

  /** Check `fields` and return what takes them over. */
  prepareRestore(fields: SavedFields): () => void {
    const table = fields.bytes('table', DAC_BYTES);
    const mask = fields.integer('mask', 0, 0xff);
    const index = fields.integer('index', 0, 0xff);
    const component = fields.integer('component', 0, COMPONENTS - 1);
    const reading = fields.boolean('reading');
    fields.finish();
    if (table.some((value) => value > COMPONENT_MAX)) throw fields.wrong('table', 'not 6-bit components');
    return () => {
      this.#table.set(table);
      this.mask = mask;
      this.#index = index;
      this.#component = component;
      this.#reading = reading;
    };
  }

  get #at(): number {
    return COMPONENTS * this.#index + this.#component;
  }

  #advance(): void {
    this.#component = (this.#component + 1) % COMPONENTS;
    if (this.#component === 0) this.#index = (this.#index + 1) & 0xff;
  }
}
