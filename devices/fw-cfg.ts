/**
 * fw_cfg: named files that the monitor hands to the firmware, read a byte at a time.
 *
 *   0x510  selector, 16 bits, write only: chooses an item and goes to its first byte
 *   0x511  data, 8 bits: the item's next byte; 0 behind its end and for items that do not exist
 *
 *   0x0000 "QEMU"       0x0001 features u32: 1, no DMA      0x0003 RAM bytes u64     0x0005 CPUs u16
 *   0x000f CPUs at most u16      0x0019 directory           0x0020.. the files, in the order of their names
 *
 *   directory  0 count u32 | 4 entries of 64 bytes: 0 bytes u32 | 4 item u16 | 6 reserved u16 | 8 name, NUL-padded [56]
 *
 * Numbers are little-endian, but the directory is big-endian. All 16 bits of the selector count: item 0x8000 is not
 * item 0. Items are part of the machine's configuration; only the place of reading is state.
 *
 * Source: QEMU documentation, docs/specs/fw_cfg (QEMU Firmware Configuration Device).
 */
import { assert } from '../emulator/errors.js';
import type { DeviceModel, RegisterBlock } from './device.js';
import { SavedFields } from './saved-fields.js';
import type { StateRecord } from './state.js';

/** The selector takes accesses of two bytes, so the range must. */
export const FW_CFG_PORT = 0x510;
export const FW_CFG_PORT_COUNT = 2;

const SELECTOR = 0;
const DATA = 1;

const ITEM_SIGNATURE = 0x00;
const ITEM_FEATURES = 0x01;
const ITEM_RAM_BYTES = 0x03;
const ITEM_CPU_COUNT = 0x05;
const ITEM_CPU_COUNT_MAX = 0x0f;
const ITEM_DIRECTORY = 0x19;
const ITEM_FIRST_FILE = 0x20;
/** Items from here on would be taken for write requests. */
const ITEM_END = 0x4000;

const FEATURE_TRADITIONAL = 1;
const DIRECTORY_HEADER_BYTES = 4;
const DIRECTORY_ENTRY_BYTES = 64;
const DIRECTORY_NAME_AT = 8;

const NOTHING = new Uint8Array(0);

export interface FwCfgFile {
  /** E.g. `genroms/pxe.rom`: printable ASCII, at most 55 characters. */
  readonly name: string;
  /** Belongs to the device from now on. */
  readonly data: Uint8Array;
}

export interface FwCfgOptions {
  readonly ramBytes: number;
  /** In any order. */
  readonly files: readonly FwCfgFile[];
}

export class FwCfg implements DeviceModel, RegisterBlock {
  readonly #items: ReadonlyMap<number, Uint8Array>;
  #selector = 0;
  #offset = 0;

  /** @throws InvariantError when a file's name is no such name or is there twice */
  constructor(options: FwCfgOptions) {
    this.#items = layItems(options);
  }

  /** The data port; the selector cannot be read. */
  read(offset: number, size: number): number {
    if (offset !== DATA || size !== 1) return 2 ** (8 * size) - 1;
    const item = this.#items.get(this.#selector) ?? NOTHING;
    if (this.#offset >= item.length) return 0;
    return item[this.#offset++]!;
  }

  /** The selector; the data port ignores writes. */
  write(offset: number, size: number, value: number): void {
    if (offset !== SELECTOR || size !== 2) return;
    this.#selector = value & 0xffff;
    this.#offset = 0;
  }

  reset(): void {
    this.#selector = 0;
    this.#offset = 0;
  }

  save(): StateRecord {
    return { selector: this.#selector, offset: this.#offset };
  }

  restore(state: StateRecord): void {
    const fields = new SavedFields(state, 'fw-cfg');
    const selector = fields.integer('selector', 0, 0xffff);
    const offset = fields.integer('offset', 0, (this.#items.get(selector) ?? NOTHING).length);
    fields.finish();
    this.#selector = selector;
    this.#offset = offset;
  }
}

function layItems(options: FwCfgOptions): Map<number, Uint8Array> {
  // By code unit, not by locale: the order must not depend on the host.
  const files = [...options.files].sort((a, b) => (a.name < b.name ? -1 : 1));
  assert(ITEM_FIRST_FILE + files.length <= ITEM_END, 'fw_cfg: too many files');
  const items = new Map<number, Uint8Array>([
    [ITEM_SIGNATURE, ascii('QEMU')],
    [ITEM_FEATURES, littleEndian(FEATURE_TRADITIONAL, 4)],
    [ITEM_RAM_BYTES, littleEndian(options.ramBytes, 8)],
    [ITEM_CPU_COUNT, littleEndian(1, 2)],
    [ITEM_CPU_COUNT_MAX, littleEndian(1, 2)],
    [ITEM_DIRECTORY, directory(files)],
  ]);
  files.forEach(({ data }, index) => items.set(ITEM_FIRST_FILE + index, data));
  return items;
}

function directory(files: readonly FwCfgFile[]): Uint8Array {
  const bytes = new Uint8Array(DIRECTORY_HEADER_BYTES + files.length * DIRECTORY_ENTRY_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, files.length);
  files.forEach(({ name, data }, index) => {
    assert(/^[ -~]{1,55}$/.test(name), `fw_cfg: ${name} is no name of a file`);
    assert(name !== files[index - 1]?.name, `fw_cfg: ${name} is there twice`);
    const at = DIRECTORY_HEADER_BYTES + index * DIRECTORY_ENTRY_BYTES;
    view.setUint32(at, data.length);
    view.setUint16(at + 4, ITEM_FIRST_FILE + index);
    bytes.set(ascii(name), at + DIRECTORY_NAME_AT);
  });
  return bytes;
}

function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

function littleEndian(value: number, bytes: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, index) => Math.floor(value / 2 ** (8 * index)) % 256);
}
