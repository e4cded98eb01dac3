/**
 * The answer to IDENTIFY DEVICE: 256 words, little-endian, strings with the bytes of each word swapped.
 *
 * Source: ATA/ATAPI-6 (T13 1410D), section 8.15 and table 27; word numbers are cited below.
 *   ATA (X3T9.2 781D), table 11: words 4 and 5, which later versions retired.
 */
import {
  MODE_MULTIWORD,
  MODE_ULTRA,
  MULTIPLE_SECTORS_MAX,
  MULTIWORD_MODE_MAX,
  ULTRA_MODE_MAX,
  type DriveSettings,
} from './drive-settings.js';

const IDENTIFY_BYTES = 512;
const SECTOR_BYTES = 512;
const MODEL = 'ft86 disk';
const FIRMWARE = '1.0';
export const SERIAL_BYTES_MAX = 20;

const LBA28_SECTORS_MAX = 0x0fffffff;
/** Cycle time of the fastest multiword DMA and PIO modes, in ns. */
const CYCLE_NS = 120;
/** ATA/ATAPI-1 to 6. */
const MAJOR_VERSIONS = 0x7e;

/** Words 49, 50, 53: DMA, LBA, IORDY that can be turned off; words 54 to 58, 64 to 70 and 88 are valid. */
const CAPABILITIES = 0x0f00;
const CAPABILITIES_2 = 0x4000;
const VALID_WORDS = 0x0007;
/** Words 82 to 87: bit 14 marks words 83, 84 and 87 as valid. */
const SUPPORTED_NOP = 1 << 14;
const SUPPORTED_LOOK_AHEAD = 1 << 6;
const SUPPORTED_WRITE_CACHE = 1 << 5;
const SUPPORTED_POWER = 1 << 3;
const SUPPORTED_FLUSH_EXT = 1 << 13;
const SUPPORTED_FLUSH = 1 << 12;
const SUPPORTED_LBA48 = 1 << 10;
const WORD_VALID = 1 << 14;
/** Word 93: 80-conductor cable, and for each place on it: selected by jumper, diagnostic passed. */
const RESET_RESULT_DEVICE_0 = 0x600b;
const RESET_RESULT_DEVICE_1 = 0x6300;
/** Word 255: the checksum in its high byte is valid. */
const INTEGRITY_SIGNATURE = 0xa5;

export interface IdentifyOptions {
  readonly sectors: number;
  /** At most {@link SERIAL_BYTES_MAX} ASCII characters; what is longer is cut off. */
  readonly serial: string;
  /** Device 1 of its channel. */
  readonly slave: boolean;
}

export function identifyDevice(options: IdentifyOptions, settings: DriveSettings): Uint8Array {
  const bytes = new Uint8Array(IDENTIFY_BYTES);
  const view = new DataView(bytes.buffer);
  const put = (word: number, value: number): void => {
    view.setUint16(2 * word, value, true);
  };
  const { defaultGeometry: fixed, geometry: current } = settings;
  put(0, 0x0040); // a fixed disk
  put(1, fixed.cylinders);
  put(3, fixed.heads);
  put(4, SECTOR_BYTES * fixed.sectorsPerTrack);
  put(5, SECTOR_BYTES); // the Bochs BIOS takes this for the size of a block
  put(6, fixed.sectorsPerTrack);
  putText(bytes, 10, SERIAL_BYTES_MAX, options.serial);
  putText(bytes, 23, 8, FIRMWARE);
  putText(bytes, 27, 40, MODEL);
  put(47, 0x8000 | MULTIPLE_SECTORS_MAX);
  put(49, CAPABILITIES);
  put(50, CAPABILITIES_2);
  put(51, 0x0200); // PIO mode 2 without asking
  put(53, VALID_WORDS);
  put(54, current.cylinders);
  put(55, current.heads);
  put(56, current.sectorsPerTrack);
  const chsSectors = Math.min(current.cylinders * current.heads * current.sectorsPerTrack, options.sectors);
  view.setUint32(2 * 57, chsSectors, true);
  put(59, settings.multiple === 0 ? 0 : 0x0100 | settings.multiple);
  view.setUint32(2 * 60, Math.min(options.sectors, LBA28_SECTORS_MAX), true);
  put(63, modes(settings.transferMode, MODE_MULTIWORD, MULTIWORD_MODE_MAX));
  put(64, 0x0003); // PIO modes 3 and 4
  for (let word = 65; word <= 68; word++) put(word, CYCLE_NS);
  put(80, MAJOR_VERSIONS);
  putFeatures(put, settings);
  put(88, modes(settings.transferMode, MODE_ULTRA, ULTRA_MODE_MAX));
  put(93, options.slave ? RESET_RESULT_DEVICE_1 : RESET_RESULT_DEVICE_0);
  view.setUint32(2 * 100, options.sectors >>> 0, true);
  view.setUint32(2 * 102, Math.floor(options.sectors / 2 ** 32), true);
  bytes[510] = INTEGRITY_SIGNATURE;
  bytes[511] = -bytes.reduce((sum, byte) => sum + byte, 0) & 0xff;
  return bytes;
}

/** Words 82 to 87: what there is, and what of it is on. */
function putFeatures(put: (word: number, value: number) => void, settings: DriveSettings): void {
  const commands = SUPPORTED_FLUSH_EXT | SUPPORTED_FLUSH | SUPPORTED_LBA48;
  const lookAhead = settings.lookAhead ? SUPPORTED_LOOK_AHEAD : 0;
  const writeCache = settings.writeCache ? SUPPORTED_WRITE_CACHE : 0;
  put(82, SUPPORTED_NOP | SUPPORTED_LOOK_AHEAD | SUPPORTED_WRITE_CACHE | SUPPORTED_POWER);
  put(83, WORD_VALID | commands);
  put(84, WORD_VALID);
  put(85, SUPPORTED_NOP | lookAhead | writeCache | SUPPORTED_POWER);
  put(86, commands);
  put(87, WORD_VALID);
}

/** Modes 0 to `max` of a class as bits 0 and up; the selected one, if it is of this class, as bits 8 and up. */
function modes(selected: number, modeClass: number, max: number): number {
  const supported = 2 ** (max + 1) - 1;
  return (selected & modeClass) === 0 ? supported : supported | (0x100 << (selected & ~modeClass));
}

/** ASCII, padded with spaces, the first character of each pair in the high byte. */
function putText(bytes: Uint8Array, word: number, length: number, text: string): void {
  for (let i = 0; i < length; i++) {
    const code = i < text.length ? text.charCodeAt(i) : 0x20;
    bytes[2 * word + (i ^ 1)] = code >= 0x20 && code < 0x7f ? code : 0x20;
  }
}
