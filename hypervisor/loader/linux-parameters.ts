/**
 * What a Linux kernel is told: boot_params (the "zero page") and its command line, in one block of low memory, with
 * the GDT its entry point expects.
 *
 *   offset  bytes  part
 *   0       4096   boot_params                     offset in it  field
 *   4096    32     GDT: code 0x10, data 0x18       0x000         screen_info: VGA text, 80 x 25
 *   4128    n      command line, zero-ended        0x1e0         alt_mem_k: KiB above 1 MiB
 *                                                  0x1e8         e820_entries
 *                                                  0x1f1         the setup header, filled in
 *                                                  0x2d0         e820_table: { base u64, bytes u64, type u32 }
 *
 * All values are little-endian.
 * Source: Linux Documentation/arch/x86/boot.rst ("32-bit Boot Protocol") and zero-page.rst.
 */
import { ConfigError } from '../../emulator/errors.js';
import { EBDA_BASE, HIGH_BASE, imageError, memoryMap, type GuestMemory } from './guest-memory.js';
import { SETUP_HEADER_START, type SetupHeader } from './linux-header.js';

/** Where the block's parts are. */
export interface PlacedParameters {
  readonly bootParams: number;
  readonly gdt: number;
}

/** Size of the GDT in bytes: two null descriptors, code, data. */
export const LINUX_GDT_BYTES = 32;
export const LINUX_CODE_SELECTOR = 0x10;
export const LINUX_DATA_SELECTOR = 0x18;

export interface LinuxParameters {
  /** The kernel file: its setup header is copied. */
  readonly bytes: Uint8Array;
  readonly name: string;
  readonly append: string;
  /** Where the initrd was placed, or null. */
  readonly initrd: { readonly address: number; readonly bytes: number } | null;
}

const BOOT_PARAMS_BYTES = 4096;
const GDT_OFFSET = BOOT_PARAMS_BYTES;
const COMMAND_LINE_OFFSET = GDT_OFFSET + LINUX_GDT_BYTES;
/** Above vectors and BIOS data. */
const LOWEST = 0x10000;

const SCREEN_MODE = 0x06;
const SCREEN_COLUMNS = 0x07;
const SCREEN_LINES = 0x0e;
const SCREEN_IS_VGA = 0x0f;
const SCREEN_POINTS = 0x10;
const ALT_MEM_K = 0x1e0;
const E820_ENTRIES = 0x1e8;
const VIDEO_MODE = 0x1fa;
const TYPE_OF_LOADER = 0x210;
const CODE32_START = 0x214;
const RAMDISK_IMAGE = 0x218;
const RAMDISK_SIZE = 0x21c;
const COMMAND_LINE_POINTER = 0x228;
const E820_TABLE = 0x2d0;
const E820_ENTRY_BYTES = 20;

const VIDEO_MODE_NORMAL = 0xffff;
/** A boot loader without a number of its own. */
const LOADER_UNDEFINED = 0xff;
const FLAT_CODE = 0x00cf9b000000ffffn;
const FLAT_DATA = 0x00cf93000000ffffn;

/**
 * Place the block below 640 KiB.
 * @throws ConfigError when the command line is too long for this kernel or holds a zero byte
 */
export function placeParameters(given: LinuxParameters, header: SetupHeader, memory: GuestMemory): PlacedParameters {
  const commandLine = new TextEncoder().encode(given.append);
  checkCommandLine(commandLine, given.append, header);
  const block = new Uint8Array(COMMAND_LINE_OFFSET + commandLine.length + 1);
  const address = memory.findGap(block.length, 4096, LOWEST, EBDA_BASE);
  if (address === null) throw imageError(given.name, 'leaves no room below 640 KiB for its parameters');
  const view = new DataView(block.buffer);
  block.set(given.bytes.subarray(SETUP_HEADER_START, header.headerEnd), SETUP_HEADER_START);
  fillScreen(view);
  fillMemoryMap(view, memory.memoryBytes);
  view.setUint16(VIDEO_MODE, VIDEO_MODE_NORMAL, true);
  view.setUint8(TYPE_OF_LOADER, LOADER_UNDEFINED);
  view.setUint32(CODE32_START, HIGH_BASE, true);
  view.setUint32(RAMDISK_IMAGE, given.initrd?.address ?? 0, true);
  view.setUint32(RAMDISK_SIZE, given.initrd?.bytes ?? 0, true);
  view.setUint32(COMMAND_LINE_POINTER, address + COMMAND_LINE_OFFSET, true);
  view.setBigUint64(GDT_OFFSET + LINUX_CODE_SELECTOR, FLAT_CODE, true);
  view.setBigUint64(GDT_OFFSET + LINUX_DATA_SELECTOR, FLAT_DATA, true);
  block.set(commandLine, COMMAND_LINE_OFFSET);
  memory.place('the boot parameters', address, block);
  return { bootParams: address, gdt: address + GDT_OFFSET };
}

function checkCommandLine(encoded: Uint8Array, text: string, header: SetupHeader): void {
  if (encoded.includes(0)) throw new ConfigError('--append', text, 'must not hold zero bytes');
  if (encoded.length > header.commandLineBytesMax) {
    const shown = `${text.slice(0, 40)}…`;
    throw new ConfigError('--append', shown, `must be at most ${header.commandLineBytesMax} bytes for this kernel`);
  }
}

/** The screen a BIOS leaves: VGA text mode 3. */
function fillScreen(view: DataView): void {
  view.setUint8(SCREEN_MODE, 3);
  view.setUint8(SCREEN_COLUMNS, 80);
  view.setUint8(SCREEN_LINES, 25);
  view.setUint8(SCREEN_IS_VGA, 1);
  view.setUint16(SCREEN_POINTS, 16, true);
}

function fillMemoryMap(view: DataView, memoryBytes: number): void {
  const map = memoryMap(memoryBytes);
  view.setUint32(ALT_MEM_K, (memoryBytes - HIGH_BASE) / 1024, true);
  view.setUint8(E820_ENTRIES, map.length);
  map.forEach((region, index) => {
    const offset = E820_TABLE + index * E820_ENTRY_BYTES;
    view.setBigUint64(offset, BigInt(region.base), true);
    view.setBigUint64(offset + 8, BigInt(region.bytes), true);
    view.setUint32(offset + 16, region.type, true);
  });
}
