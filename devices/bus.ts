/**
 * What the port bus and the memory bus share: fixed ranges, splitting of accesses, open bus.
 *
 *   access -> fixed range?  -> its registers, in pieces no wider than it takes
 *          -> movable range (PCI BARs), when no byte of the access is fixed
 *          -> nothing: a read is all ones, a write is lost
 *
 * An access that is too wide for its range, or sticks out of it, is done as two halves, low half first, down to
 * bytes: what the ISA bus does with a 16-bit access to an 8-bit card.
 *
 * Invariants: fixed ranges never overlap; nothing a guest does makes a bus throw.
 * Source: Intel 430TX/PIIX4 and 82371SB (PIIX3) data sheets, ISA bus cycle translation.
 */
import { assert } from '../emulator/errors.js';
import type { RegisterBlock } from './device.js';

/** Widest access that a range takes in one piece, in bytes. */
export type AccessWidth = 1 | 2 | 4;

/** A range that belongs to one device for good. */
export interface FixedRange {
  readonly name: string;
  readonly base: number;
  /** First address behind the range. */
  readonly end: number;
  readonly registers: RegisterBlock;
  readonly widthMax: AccessWidth;
}

/** Ranges that a guest moves about: asked after the fixed ones. */
export interface MovableRanges {
  /** Unsigned value, or null when no one range contains all `size` bytes at `address`. */
  read(address: number, size: number): number | null;
  /** False, and nothing written, when no one range contains all `size` bytes at `address`. */
  write(address: number, size: number, value: number): boolean;
}

const OPEN_BUS_BYTE = 0xff;

export abstract class Bus {
  readonly #addressCount: number;
  readonly #ranges: FixedRange[] = [];
  #movable: MovableRanges | null = null;

  /** @param addressCount addresses from here on do not exist */
  constructor(addressCount: number) {
    this.#addressCount = addressCount;
  }

  /** The fixed range that contains `address`. */
  protected abstract find(address: number): FixedRange | undefined;
  /** A fixed range was added. */
  protected abstract inserted(range: FixedRange): void;

  /** The fixed ranges, in order of insertion. */
  get ranges(): readonly FixedRange[] {
    return this.#ranges;
  }

  /**
   * Give `count` addresses from `base` to a device, for good.
   * @throws InvariantError when the range is empty, does not exist or overlaps another one
   */
  insert(name: string, base: number, count: number, registers: RegisterBlock, widthMax: AccessWidth): void {
    const end = base + count;
    const exists = Number.isSafeInteger(base) && base >= 0 && count > 0 && end <= this.#addressCount;
    assert(exists, `${name}: no such range ${hex(base)}+${count}`);
    for (const other of this.#ranges) {
      const apart = end <= other.base || base >= other.end;
      assert(apart, `${name} at ${hex(base)}..${hex(end - 1)} overlaps ${other.name} at ${hex(other.base)}`);
    }
    const range = { name, base, end, registers, widthMax };
    this.#ranges.push(range);
    this.inserted(range);
  }

  /** Ask `movable` about every access that no fixed range takes. */
  setMovable(movable: MovableRanges): void {
    this.#movable = movable;
  }

  /** Read `size` bytes (1, 2 or 4), little-endian, unsigned. */
  read(address: number, size: number): number {
    const range = this.find(address);
    if (range !== undefined) {
      if (size <= range.widthMax && address + size <= range.end)
        return range.registers.read(address - range.base, size);
    } else if (this.#isMovable(address, size)) {
      const value = this.#movable?.read(address, size) ?? null;
      if (value !== null) return value;
    }
    if (size === 1) return OPEN_BUS_BYTE;
    const half = size >> 1;
    const low = this.read(address, half);
    return (low | (this.read(address + half, half) << (8 * half))) >>> 0;
  }

  /** Write the low `size` bytes (1, 2 or 4) of `value`, little-endian. */
  write(address: number, size: number, value: number): void {
    const range = this.find(address);
    if (range !== undefined) {
      if (size <= range.widthMax && address + size <= range.end) {
        range.registers.write(address - range.base, size, value);
        return;
      }
    } else if (this.#isMovable(address, size) && this.#movable?.write(address, size, value) === true) {
      return;
    }
    if (size === 1) return;
    const half = size >> 1;
    const mask = half === 2 ? 0xffff : 0xff;
    this.write(address, half, value & mask);
    this.write(address + half, half, (value >>> (8 * half)) & mask);
  }

  /** Whether the access exists and none of its bytes is fixed; the first one is known not to be. */
  #isMovable(address: number, size: number): boolean {
    if (address + size > this.#addressCount) return false;
    for (let i = 1; i < size; i++) {
      if (this.find(address + i) !== undefined) return false;
    }
    return true;
  }
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
