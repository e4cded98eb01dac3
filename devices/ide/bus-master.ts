/**
 * The bus master of one IDE channel: moves a drive's DMA data to and from the regions of a table in guest memory.
 *
 *   0 BMICx   3 to memory (read disk) | 0 start
 *   2 BMISx   6 drive 1 DMA | 5 drive 0 DMA | 2 interrupt, write 1 to clear | 1 error, write 1 to clear | 0 active
 *   4 BMIDTPx address of the table, a multiple of 4
 *
 *   table entry, 8 bytes   0 address of the region, even | 4 bytes u16, even, 0: 64 KiB | 7 bit 7: last entry
 *
 *   start -> active --last region used up, or a fault, or stop--> not active
 *
 * The drive decides when data moves and which way; the direction bit is storage. A table may not cross a 64 KiB
 * boundary and is taken to end there, which bounds the work that a guest can cause. A region that is not RAM ends the
 * transfer with the error bit; the drive then waits until it is reset, as on hardware.
 *
 * Invariants: while not active there is no region; restore() calls nobody.
 * Source: Intel 82371FB/82371SB (PIIX3) data sheet, sections 2.7 and 3.5; Programming Interface for Bus Master IDE
 * Controller 1.0.
 */
import type { Dma } from '../dma.js';
import type { SavedFields } from '../saved-fields.js';
import type { StateRecord } from '../state.js';

export const BUS_MASTER_BYTES = 8;

/** Offsets; the table pointer takes four. */
const COMMAND = 0;
const STATUS = 2;
const TABLE = 4;

const COMMAND_START = 1 << 0;
const COMMAND_WRITABLE = COMMAND_START | (1 << 3);
const STATUS_ACTIVE = 1 << 0;
const STATUS_ERROR = 1 << 1;
const STATUS_INTERRUPT = 1 << 2;
const STATUS_WRITABLE = (1 << 5) | (1 << 6);
const STATUS_ALL = STATUS_ACTIVE | STATUS_ERROR | STATUS_INTERRUPT | STATUS_WRITABLE;

const ENTRY_BYTES = 8;
const REGION_BYTES_MAX = 0x10000;
const TABLE_SPAN = 0x10000;
const LAST_ENTRY = 0x80000000;

/** Where the transfer stands. */
interface Cursor {
  /** Address of the next table entry. */
  readonly entry: number;
  /** The current region is the last one. */
  readonly last: boolean;
  /** What is left of the current region. */
  readonly address: number;
  readonly bytes: number;
}

export interface BusMasterState {
  readonly command: number;
  readonly status: number;
  readonly table: number;
  readonly cursor: Cursor;
}

const NOWHERE: Cursor = { entry: 0, last: false, address: 0, bytes: 0 };

export interface BusMasterOptions {
  readonly dma: Dma;
  /** Whether the PCI function may use the bus. */
  readonly enabled: () => boolean;
}

export class BusMaster {
  readonly #options: BusMasterOptions;
  #command = 0;
  #status = 0;
  #table = 0;
  #cursor = NOWHERE;

  constructor(options: BusMasterOptions) {
    this.#options = options;
  }

  /** Started, and its table not at its end: data can move. */
  get ready(): boolean {
    return (this.#status & STATUS_ACTIVE) !== 0 && this.#options.enabled();
  }

  readByte(offset: number): number {
    if (offset === COMMAND) return this.#command;
    if (offset === STATUS) return this.#status;
    return offset < TABLE ? 0 : (this.#table >>> (8 * (offset - TABLE))) & 0xff;
  }

  writeByte(offset: number, value: number): void {
    if (offset === COMMAND) this.#writeCommand(value & COMMAND_WRITABLE);
    else if (offset === STATUS) {
      const kept = this.#status & ~(value & (STATUS_ERROR | STATUS_INTERRUPT)) & ~STATUS_WRITABLE;
      this.#status = kept | (value & STATUS_WRITABLE);
    } else if (offset >= TABLE) {
      const shift = 8 * (offset - TABLE);
      this.#table = ((this.#table & ~(0xff << shift) & ~3) | ((value << shift) & ~3)) >>> 0;
    }
  }

  /** The channel's interrupt line rose. */
  interrupt(): void {
    this.#status |= STATUS_INTERRUPT;
  }

  /** Scatter `data` over the regions. False: the table ended or failed before; a part may have been written. */
  toMemory(data: Uint8Array): boolean {
    return this.#move(data.length, (address, offset, bytes) =>
      this.#options.dma.write(address, data.subarray(offset, offset + bytes)),
    );
  }

  /** Gather `bytes` bytes from the regions; null: the table ended or failed before. */
  fromMemory(bytes: number): Uint8Array | null {
    const data = new Uint8Array(bytes);
    const moved = this.#move(bytes, (address, offset, count) => {
      const part = this.#options.dma.read(address, count);
      if (part !== null) data.set(part, offset);
      return part !== null;
    });
    return moved ? data : null;
  }

  reset(): void {
    this.take({ command: 0, status: 0, table: 0, cursor: NOWHERE });
  }

  save(): StateRecord {
    return { command: this.#command, status: this.#status, table: this.#table, cursor: { ...this.#cursor } };
  }

  /** Check saved state without taking it. @throws DecodeError */
  static check(fields: SavedFields): BusMasterState {
    const command = fields.integer('command', 0, COMMAND_WRITABLE);
    const status = fields.integer('status', 0, STATUS_ALL);
    const table = fields.integer('table', 0, 0xfffffffc);
    const cursor = checkCursor(fields.record('cursor'));
    fields.finish();
    if ((command & ~COMMAND_WRITABLE) !== 0) throw fields.wrong('command', 'has reserved bits set');
    if ((status & ~STATUS_ALL) !== 0) throw fields.wrong('status', 'has reserved bits set');
    if ((table & 3) !== 0) throw fields.wrong('table', 'not a multiple of 4');
    const active = (status & STATUS_ACTIVE) !== 0;
    if (active && (command & COMMAND_START) === 0) throw fields.wrong('status', 'active without start');
    if (!active && cursor.bytes > 0) throw fields.wrong('cursor', 'in a region while not active');
    return { command, status, table, cursor };
  }

  take(state: BusMasterState): void {
    this.#command = state.command;
    this.#status = state.status;
    this.#table = state.table;
    this.#cursor = state.cursor;
  }

  #writeCommand(value: number): void {
    const rising = value & ~this.#command & COMMAND_START;
    this.#command = value;
    if (rising !== 0) {
      this.#status |= STATUS_ACTIVE;
      this.#cursor = { ...NOWHERE, entry: this.#table };
    } else if ((value & COMMAND_START) === 0) {
      this.#stop();
    }
  }

  #stop(): void {
    this.#status &= ~STATUS_ACTIVE;
    this.#cursor = NOWHERE;
  }

  /** Call `step` for each piece of the next `total` bytes of the regions; it returns whether that was RAM. */
  #move(total: number, step: (address: number, offset: number, bytes: number) => boolean): boolean {
    for (let offset = 0; offset < total;) {
      if (this.#cursor.bytes === 0 && !this.#nextRegion()) return false;
      const { address, bytes } = this.#cursor;
      const count = Math.min(bytes, total - offset);
      if (!step(address, offset, count)) return this.#fail();
      this.#cursor = { ...this.#cursor, address: address + count, bytes: bytes - count };
      offset += count;
    }
    if (this.#cursor.bytes === 0 && this.#cursor.last) this.#stop();
    return true;
  }

  #nextRegion(): boolean {
    const { entry, last } = this.#cursor;
    if (last) {
      this.#stop();
      return false;
    }
    const address = this.#options.dma.readU32(entry);
    const size = this.#options.dma.readU32(entry + 4);
    if (address === null || size === null) return this.#fail();
    const next = entry + ENTRY_BYTES;
    // An entry may begin 4 bytes before the boundary, as the table is aligned to 4.
    const atBoundary = next % TABLE_SPAN < ENTRY_BYTES;
    const bytes = size & 0xfffe;
    this.#cursor = {
      entry: next,
      last: (size & LAST_ENTRY) !== 0 || atBoundary,
      address: (address & ~1) >>> 0,
      bytes: bytes === 0 ? REGION_BYTES_MAX : bytes,
    };
    return true;
  }

  #fail(): false {
    this.#status |= STATUS_ERROR;
    this.#stop();
    return false;
  }
}

function checkCursor(fields: SavedFields): Cursor {
  const cursor = {
    entry: fields.integer('entry', 0, 2 ** 32 + ENTRY_BYTES),
    last: fields.boolean('last'),
    address: fields.integer('address', 0, 2 ** 32 + REGION_BYTES_MAX),
    bytes: fields.integer('bytes', 0, REGION_BYTES_MAX),
  };
  fields.finish();
  return cursor;
}
