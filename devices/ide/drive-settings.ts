/**
 * What a host can set in a drive, besides its registers: geometry, block size, transfer mode, caches, power mode.
 *
 * Times do not exist here: transfer modes and standby timers are remembered and change nothing. Settings outlive a
 * software reset, as on drives whose "revert to power-on defaults" is off.
 * Source: ATA/ATAPI-6 (T13 1410D), sections 6.2.1 (geometry), 6.12 (power), 8.16, 8.37 (SET FEATURES), 8.39; ATA-2,
 * section 9.18 (INITIALIZE DEVICE PARAMETERS).
 */
import type { SavedFields } from '../saved-fields.js';
import type { StateRecord } from '../state.js';
import type { Geometry } from './task-file.js';

/** Largest block of READ and WRITE MULTIPLE, in sectors. */
export const MULTIPLE_SECTORS_MAX = 16;
/** Modes that the drive takes: PIO 0 to 4, multiword DMA 0 to 2, Ultra DMA 0 to 5. */
export const MULTIWORD_MODE_MAX = 2;
export const ULTRA_MODE_MAX = 5;
const PIO_MODE_MAX = 4;

/** Transfer mode values (table 44): the class in bits 7..3, the mode in bits 2..0. */
const MODE_PIO_DEFAULT = 0x00;
const MODE_PIO = 0x08;
export const MODE_MULTIWORD = 0x20;
export const MODE_ULTRA = 0x40;
const MODE_CLASS = 0xf8;
const MODE_NUMBER = 0x07;

/** Subcommands of SET FEATURES (table 43). */
const ENABLE_WRITE_CACHE = 0x02;
const SET_TRANSFER_MODE = 0x03;
const DISABLE_LOOK_AHEAD = 0x55;
const KEEP_SETTINGS_AT_RESET = 0x66;
const DISABLE_WRITE_CACHE = 0x82;
const ENABLE_LOOK_AHEAD = 0xaa;

/** Defaults of 6.2.1: what every BIOS expects of a drive with LBA. */
const HEADS = 16;
const SECTORS_PER_TRACK = 63;
const CYLINDERS_MAX = 16383;

export type PowerMode = 'active' | 'idle' | 'standby' | 'sleep';
const POWER_MODES: readonly PowerMode[] = ['active', 'idle', 'standby', 'sleep'];

export interface DriveSettingsState {
  readonly heads: number;
  readonly sectorsPerTrack: number;
  readonly multiple: number;
  readonly transferMode: number;
  readonly writeCache: boolean;
  readonly lookAhead: boolean;
  readonly power: PowerMode;
}

const POWER_ON: DriveSettingsState = {
  heads: HEADS,
  sectorsPerTrack: SECTORS_PER_TRACK,
  multiple: 0,
  transferMode: MODE_MULTIWORD | MULTIWORD_MODE_MAX,
  writeCache: true,
  lookAhead: true,
  power: 'active',
};

/** How a drive of `sectors` sectors counts with so many heads and sectors; at least one cylinder. */
function geometry(sectors: number, heads: number, sectorsPerTrack: number): Geometry {
  const cylinders = Math.floor(sectors / (heads * sectorsPerTrack));
  return { cylinders: Math.min(Math.max(cylinders, 1), CYLINDERS_MAX), heads, sectorsPerTrack };
}

export class DriveSettings {
  /** The geometry of IDENTIFY words 1, 3 and 6. */
  readonly defaultGeometry: Geometry;
  /** The one that CHS addresses are counted in. */
  geometry: Geometry;
  readonly #sectors: number;
  #state = POWER_ON;

  constructor(sectors: number) {
    this.#sectors = sectors;
    this.defaultGeometry = geometry(sectors, HEADS, SECTORS_PER_TRACK);
    this.geometry = this.defaultGeometry;
  }

  /** Sectors in a block of READ and WRITE MULTIPLE; 0: these commands are off. */
  get multiple(): number {
    return this.#state.multiple;
  }
  get transferMode(): number {
    return this.#state.transferMode;
  }
  get writeCache(): boolean {
    return this.#state.writeCache;
  }
  get lookAhead(): boolean {
    return this.#state.lookAhead;
  }
  get power(): PowerMode {
    return this.#state.power;
  }
  set power(power: PowerMode) {
    this.#state = { ...this.#state, power };
  }

  /** INITIALIZE DEVICE PARAMETERS. False: refused. */
  setGeometry(heads: number, sectorsPerTrack: number): boolean {
    if (sectorsPerTrack === 0) return false;
    this.take({ ...this.#state, heads, sectorsPerTrack });
    return true;
  }

  /** SET MULTIPLE MODE; 0 turns it off. A block size that is refused turns it off as well. */
  setMultiple(sectors: number): boolean {
    const allowed = (sectors & (sectors - 1)) === 0 && sectors <= MULTIPLE_SECTORS_MAX;
    this.#state = { ...this.#state, multiple: allowed ? sectors : 0 };
    return allowed;
  }

  /** SET FEATURES. False: refused. */
  setFeature(subcommand: number, count: number): boolean {
    switch (subcommand) {
      case ENABLE_WRITE_CACHE:
      case DISABLE_WRITE_CACHE:
        this.#state = { ...this.#state, writeCache: subcommand === ENABLE_WRITE_CACHE };
        return true;
      case ENABLE_LOOK_AHEAD:
      case DISABLE_LOOK_AHEAD:
        this.#state = { ...this.#state, lookAhead: subcommand === ENABLE_LOOK_AHEAD };
        return true;
      case KEEP_SETTINGS_AT_RESET:
        return true;
      case SET_TRANSFER_MODE:
        if (!isTransferMode(count)) return false;
        this.#state = { ...this.#state, transferMode: count };
        return true;
      default:
        return false;
    }
  }

  reset(): void {
    this.take(POWER_ON);
  }

  save(): StateRecord {
    return { ...this.#state };
  }

  /** Check saved state without taking it. @throws DecodeError */
  static check(fields: SavedFields): DriveSettingsState {
    const state = {
      heads: fields.integer('heads', 1, 16),
      sectorsPerTrack: fields.integer('sectorsPerTrack', 1, 0xff),
      multiple: fields.integer('multiple', 0, MULTIPLE_SECTORS_MAX),
      transferMode: fields.integer('transferMode', 0, 0xff),
      writeCache: fields.boolean('writeCache'),
      lookAhead: fields.boolean('lookAhead'),
      power: fields.word('power', POWER_MODES),
    };
    fields.finish();
    if ((state.multiple & (state.multiple - 1)) !== 0) throw fields.wrong('multiple', 'not a power of two');
    if (!isTransferMode(state.transferMode)) throw fields.wrong('transferMode', 'not one that the drive has');
    return state;
  }

  take(state: DriveSettingsState): void {
    this.#state = state;
    this.geometry = geometry(this.#sectors, state.heads, state.sectorsPerTrack);
  }
}

function isTransferMode(value: number): boolean {
  const mode = value & MODE_NUMBER;
  switch (value & MODE_CLASS) {
    case MODE_PIO_DEFAULT:
      return mode <= 1;
    case MODE_PIO:
      return mode <= PIO_MODE_MAX;
    case MODE_MULTIWORD:
      return mode <= MULTIWORD_MODE_MAX;
    case MODE_ULTRA:
      return mode <= ULTRA_MODE_MAX;
    default:
      return false;
  }
}
