/**
 * The command block registers of one drive, and what they say: a sector address and a count.
 *
 *            current        previous (what the last write pushed out; read with HOB)
 *   CHS      low = sector from 1, mid + high = cylinder, device bits 3..0 = head
 *   LBA28    low, mid, high, device bits 3..0
 *   LBA48    low, mid, high          low, mid, high = bits 47..24; count likewise, 0 meaning 65536
 *
 * Sector numbers exceed 32 bits, so they are added and multiplied, never shifted.
 * Source: ATA/ATAPI-6 (T13 1410D), sections 6.2 (addressing), 6.20 (48-bit), 7.5 to 7.13, 9.12 (signature).
 */
import {
  DEVICE_DEV,
  DEVICE_HEAD,
  DEVICE_LBA,
  DEVICE_ONES,
  DIAGNOSTIC_PASSED,
  REG_COUNT,
  REG_DEVICE,
  REG_ERROR_FEATURES,
  REG_LBA_HIGH,
  REG_LBA_LOW,
  REG_LBA_MID,
  COMMAND_BLOCK_BYTES,
} from './ata-registers.js';
import type { StateRecord } from '../state.js';
import type { SavedFields } from '../saved-fields.js';

/** How CHS addresses are counted. */
export interface Geometry {
  readonly cylinders: number;
  readonly heads: number;
  readonly sectorsPerTrack: number;
}

/** What a command is about. */
export interface SectorRange {
  readonly sector: number;
  readonly count: number;
}

export interface TaskFileState {
  readonly error: number;
  readonly current: Uint8Array;
  readonly previous: Uint8Array;
}

export class TaskFile {
  error = DIAGNOSTIC_PASSED;
  #current = new Uint8Array(COMMAND_BLOCK_BYTES);
  #previous = new Uint8Array(COMMAND_BLOCK_BYTES);

  constructor() {
    this.putSignature();
  }

  get features(): number {
    return this.#current[REG_ERROR_FEATURES]!;
  }
  get count(): number {
    return this.#current[REG_COUNT]!;
  }
  set count(value: number) {
    this.#current[REG_COUNT] = value;
  }
  /** Low bits of the device register: the head, or bits 27..24 of an LBA. */
  get head(): number {
    return this.#current[REG_DEVICE]! & DEVICE_HEAD;
  }

  /** Register 1 to 6; `previous` is the HOB bit of the device control register. */
  read(offset: number, previous: boolean): number {
    if (offset === REG_ERROR_FEATURES) return this.error;
    if (offset === REG_DEVICE) return (this.#current[REG_DEVICE]! & ~DEVICE_DEV) | DEVICE_ONES;
    return (previous ? this.#previous : this.#current)[offset]!;
  }

  /** Register 1 to 6. */
  write(offset: number, value: number): void {
    this.#previous[offset] = this.#current[offset]!;
    this.#current[offset] = value;
  }

  /** The sectors that a command addresses; null when there is no such cylinder, head or sector. */
  range(extended: boolean, geometry: Geometry): SectorRange | null {
    const current = this.#current;
    const previous = this.#previous;
    const low = current[REG_LBA_LOW]! | (current[REG_LBA_MID]! << 8) | (current[REG_LBA_HIGH]! << 16);
    if (extended) {
      const high = previous[REG_LBA_LOW]! | (previous[REG_LBA_MID]! << 8) | (previous[REG_LBA_HIGH]! << 16);
      const count = current[REG_COUNT]! | (previous[REG_COUNT]! << 8);
      return { sector: low + high * 2 ** 24, count: count === 0 ? 0x10000 : count };
    }
    const count = current[REG_COUNT] === 0 ? 0x100 : current[REG_COUNT]!;
    if ((current[REG_DEVICE]! & DEVICE_LBA) !== 0) return { sector: low | (this.head << 24), count };
    const { cylinders, heads, sectorsPerTrack } = geometry;
    const cylinder = low >>> 8;
    const sector = low & 0xff;
    if (cylinder >= cylinders || this.head >= heads || sector < 1 || sector > sectorsPerTrack) return null;
    return { sector: (cylinder * heads + this.head) * sectorsPerTrack + sector - 1, count };
  }

  /** Tell the host which sector the command reached, and how many it did not get to. */
  putRange({ sector, count }: SectorRange, extended: boolean, geometry: Geometry): void {
    this.#current[REG_COUNT] = count;
    if (extended) {
      this.#previous[REG_COUNT] = count >>> 8;
      this.#putLow(this.#current, sector % 2 ** 24);
      this.#putLow(this.#previous, Math.floor(sector / 2 ** 24));
    } else if ((this.#current[REG_DEVICE]! & DEVICE_LBA) !== 0) {
      this.#putLow(this.#current, sector);
      this.#putHead(sector >>> 24);
    } else {
      const track = Math.floor(sector / geometry.sectorsPerTrack);
      const cylinder = Math.floor(track / geometry.heads);
      this.#putLow(this.#current, (cylinder << 8) | ((sector % geometry.sectorsPerTrack) + 1));
      this.#putHead(track % geometry.heads);
    }
  }

  /** What a reset leaves: this is an ATA drive, and nothing is wrong with it. */
  putSignature(): void {
    this.error = DIAGNOSTIC_PASSED;
    this.#current.fill(0);
    this.#previous.fill(0);
    this.#current[REG_COUNT] = 1;
    this.#current[REG_LBA_LOW] = 1;
  }

  save(): StateRecord {
    return { error: this.error, current: this.#current.slice(), previous: this.#previous.slice() };
  }

  /** Check saved state without taking it. @throws DecodeError */
  static check(fields: SavedFields): TaskFileState {
    const state = {
      error: fields.integer('error', 0, 0xff),
      current: fields.bytes('current', COMMAND_BLOCK_BYTES),
      previous: fields.bytes('previous', COMMAND_BLOCK_BYTES),
    };
    fields.finish();
    return state;
  }

  take(state: TaskFileState): void {
    this.error = state.error;
    this.#current = state.current.slice();
    this.#previous = state.previous.slice();
  }

  #putLow(registers: Uint8Array, value: number): void {
    registers[REG_LBA_LOW] = value & 0xff;
    registers[REG_LBA_MID] = (value >>> 8) & 0xff;
    registers[REG_LBA_HIGH] = (value >>> 16) & 0xff;
  }

  #putHead(head: number): void {
    this.#current[REG_DEVICE] = (this.#current[REG_DEVICE]! & ~DEVICE_HEAD) | (head & DEVICE_HEAD);
  }
}
