/**
 * The data port of a drive: a buffer that the host reads or writes word by word, in blocks.
 *
 *   offer(data)  ──► host reads ──┐ at the end of each block: blockDone(end of the buffer?)
 *   want(bytes)  ──► host writes ─┘ data() then is what it wrote
 *
 * This is the hottest place of the controller: #readEnd and #writeEnd are 0 while the host may not read or write, so
 * an access checks one number.
 * Invariant: position is even and inside the buffer, or both are empty.
 * Source: ATA/ATAPI-6 (T13 1410D), sections 7.6 (16-bit data register), 9.5 and 9.6 (blocks).
 */
import type { SavedFields } from '../saved-fields.js';
import type { StateRecord } from '../state.js';

const NO_DATA: Uint8Array = new Uint8Array(0);

export type DataDirection = 'in' | 'out' | 'none';

export interface DataPortState {
  readonly buffer: Uint8Array;
  readonly position: number;
}

export class DataPort {
  readonly #blockDone: (last: boolean) => void;
  #buffer: Uint8Array = NO_DATA;
  #position = 0;
  #blockBytes = 0;
  /** End of the present block, if the host may read it, or write it; else 0. */
  #readEnd = 0;
  #writeEnd = 0;

  /** @param blockDone the host moved the last word of a block; `last`: that ends the buffer */
  constructor(blockDone: (last: boolean) => void) {
    this.#blockDone = blockDone;
  }

  /** What the host has written. */
  get data(): Uint8Array {
    return this.#buffer;
  }

  /** Let the host read `data`, which now belongs to the port. */
  offer(data: Uint8Array, blockBytes: number): void {
    this.take({ buffer: data, position: 0 }, 'in', blockBytes);
  }

  /** Let the host write `bytes` bytes. */
  want(bytes: number, blockBytes: number): void {
    this.take({ buffer: new Uint8Array(bytes), position: 0 }, 'out', blockBytes);
  }

  /** Neither reading nor writing any more; the buffer is forgotten. */
  close(): void {
    this.take({ buffer: NO_DATA, position: 0 }, 'none', 0);
  }

  /** Read 1, 2 or 4 bytes; all ones when there is no data. A byte access takes a whole word. */
  read(size: number): number {
    const at = this.#position;
    const end = at + size;
    if (size === 1 || end > this.#readEnd) return this.#readSlowly(size);
    const buffer = this.#buffer;
    this.#position = end;
    let value = buffer[at]! | (buffer[at + 1]! << 8);
    if (size === 4) value = (value | (buffer[at + 2]! << 16) | (buffer[at + 3]! << 24)) >>> 0;
    if (end === this.#readEnd) this.#endBlock();
    return value;
  }

  /** Write 1, 2 or 4 bytes; lost when no data is wanted. A byte access gives a whole word. */
  write(size: number, value: number): void {
    const at = this.#position;
    const end = at + size;
    if (size === 1 || end > this.#writeEnd) {
      this.#writeSlowly(size, value);
      return;
    }
    const buffer = this.#buffer;
    this.#position = end;
    buffer[at] = value;
    buffer[at + 1] = value >>> 8;
    if (size === 4) {
      buffer[at + 2] = value >>> 16;
      buffer[at + 3] = value >>> 24;
    }
    if (end === this.#writeEnd) this.#endBlock();
  }

  save(): StateRecord {
    return { buffer: this.#buffer.slice(), position: this.#position };
  }

  /** Check saved state without taking it. @throws DecodeError */
  static check(fields: SavedFields): DataPortState {
    const buffer = fields.bytes('buffer');
    const position = fields.integer('position', 0, Math.max(0, buffer.length - 1));
    fields.finish();
    if (position % 2 !== 0 || buffer.length % 2 !== 0) throw fields.wrong('position', 'not between two words');
    return { buffer, position };
  }

  /** Go on in the middle of a buffer; `blockBytes` divides it into blocks, from its start. */
  take({ buffer, position }: DataPortState, direction: DataDirection, blockBytes: number): void {
    this.#buffer = buffer;
    this.#position = position;
    this.#blockBytes = blockBytes;
    this.#openBlock(direction);
  }

  #openBlock(direction: DataDirection): void {
    const block = direction === 'none' ? 0 : Math.floor(this.#position / this.#blockBytes) + 1;
    const end = Math.min(block * this.#blockBytes, this.#buffer.length);
    this.#readEnd = direction === 'in' ? end : 0;
    this.#writeEnd = direction === 'out' ? end : 0;
  }

  #endBlock(): void {
    const last = this.#position === this.#buffer.length;
    if (!last) this.#openBlock(this.#readEnd > 0 ? 'in' : 'out');
    this.#blockDone(last);
  }

  /** Single bytes, no data, and a double word of which one half ends a block. */
  #readSlowly(size: number): number {
    if (size === 4) return (this.read(2) | (this.read(2) << 16)) >>> 0;
    if (this.#readEnd === 0) return size === 1 ? 0xff : 0xffff;
    return this.read(2) & 0xff;
  }

  #writeSlowly(size: number, value: number): void {
    if (size === 4) {
      this.write(2, value & 0xffff);
      this.write(2, value >>> 16);
    } else if (this.#writeEnd !== 0) {
      this.write(2, value & 0xff);
    }
  }
}
