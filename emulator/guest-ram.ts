/**
 * Guest RAM as the host reaches it: one checked accessor for DMA, loaders and tools.
 *
 * Physical addresses from A0000h up to C0000h belong to devices although RAM goes on above: an access that
 * touches them, or anything beyond the end, fails as a value. Writes invalidate translated code and mark
 * pages dirty; inside a bus callback they take effect exactly after the current instruction. All values
 * are little-endian. The shape is that of devices/dma.ts, which this layer may not import.
 */
import type { CoreHandle, NativeCore } from './native-addon.js';

export const HOLE_START = 0xa0000;
export const HOLE_END = 0xc0000;
const PAGE_SHIFT = 12;
/** Every consumer of dirty pages has yet to see the page. */
const MARKED = 0xff;

export class GuestRam {
  /** RAM size in bytes. */
  readonly bytes: number;
  /** All of RAM without a copy. Read it freely; writing here goes unnoticed by the processor: use write(). */
  readonly view: Buffer;
  /** The same; a view of a plain array is made faster. */
  readonly #all: Uint8Array;
  /** As the native core says: marks of all pages, then whether there is code in them. */
  readonly #marks: Uint8Array;
  readonly #code: Uint8Array;
  readonly #core: CoreHandle;
  readonly #native: NativeCore;

  constructor(native: NativeCore, core: CoreHandle) {
    this.#native = native;
    this.#core = core;
    this.view = native.ramView(core);
    this.bytes = this.view.length;
    this.#all = new Uint8Array(this.view.buffer, this.view.byteOffset, this.bytes);
    const { buffer, byteOffset, length } = native.pageBytes(core);
    this.#marks = new Uint8Array(buffer, byteOffset, length / 2);
    this.#code = new Uint8Array(buffer, byteOffset + length / 2, length / 2);
  }

  /** Whether all of `bytes` bytes at `address` are RAM. An empty range is, if its address could be. */
  contains(address: number, bytes: number): boolean {
    if (!Number.isSafeInteger(address) || !Number.isSafeInteger(bytes) || address < 0 || bytes < 0) return false;
    if (address + bytes > this.bytes) return false;
    return address + bytes <= HOLE_START || address >= HOLE_END;
  }

  /** A private copy of `bytes` bytes at `address`, or null when any of them is not RAM. */
  read(address: number, bytes: number): Uint8Array | null {
    if (!this.contains(address, bytes)) return null;
    return new Uint8Array(this.view.subarray(address, address + bytes));
  }

  /** Fill `into` from `address`. False, and nothing changed, when any byte is not RAM. */
  readInto(address: number, into: Uint8Array): boolean {
    if (!this.contains(address, into.length)) return false;
    into.set(this.#all.subarray(address, address + into.length));
    return true;
  }

  /** Write `data` at `address`. False, and nothing written, when any byte is not RAM. */
  write(address: number, data: Uint8Array): boolean {
    if (!this.contains(address, data.length)) return false;
    this.#all.set(data, address);
    this.#written(address, data.length);
    return true;
  }

  readU8(address: number): number | null {
    return this.contains(address, 1) ? this.view.readUInt8(address) : null;
  }

  readU16(address: number): number | null {
    if (!this.contains(address, 2)) return null;
    const all = this.#all;
    return all[address]! | (all[address + 1]! << 8);
  }

  readU32(address: number): number | null {
    return this.contains(address, 4) ? this.#u32(address) : null;
  }

  /** As a safe integer; null also when the value does not fit one. */
  readU64(address: number): number | null {
    if (!this.contains(address, 8)) return null;
    const value = this.#u32(address) + this.#u32(address + 4) * 0x100000000;
    return Number.isSafeInteger(value) ? value : null;
  }

  writeU16(address: number, value: number): boolean {
    if (!this.contains(address, 2)) return false;
    const all = this.#all;
    all[address] = value;
    all[address + 1] = value >>> 8;
    this.#written(address, 2);
    return true;
  }

  writeU32(address: number, value: number): boolean {
    if (!this.contains(address, 4)) return false;
    const all = this.#all;
    all[address] = value;
    all[address + 1] = value >>> 8;
    all[address + 2] = value >>> 16;
    all[address + 3] = value >>> 24;
    this.#written(address, 4);
    return true;
  }

  /** Four loads in the caller's own code: the host's function for buffers is a call, and compiled for all of them. */
  #u32(address: number): number {
    const all = this.#all;
    return (all[address]! | (all[address + 1]! << 8) | (all[address + 2]! << 16) | (all[address + 3]! << 24)) >>> 0;
  }

  /** Rings and buffers are written again and again: the core knows all about most of their pages already. */
  #written(address: number, bytes: number): void {
    const first = address >>> PAGE_SHIFT;
    const last = (address + bytes - 1) >>> PAGE_SHIFT;
    if (last - first > 1 || !this.#known(first) || !this.#known(last)) {
      this.#native.ramWritten(this.#core, address, bytes);
    }
  }

  #known(page: number): boolean {
    return this.#marks[page] === MARKED && this.#code[page] === 0;
  }
}
