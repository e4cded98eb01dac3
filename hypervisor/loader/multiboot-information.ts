/**
 * The information structure a Multiboot kernel finds through EBX, built as one block:
 *
 *   offset  field                     behind it, 8-aligned, in this order:
 *   0       flags                       memory map: { size = 20, base u64, bytes u64, type u32 } ...
 *   4, 8    mem_lower, mem_upper (KiB)  modules: { start, end, string, 0 } ...
 *   16      cmdline                     strings, each ended by a zero byte
 *   20, 24  mods_count, mods_addr
 *   44, 48  mmap_length, mmap_addr
 *   64      boot_loader_name
 *
 * All values are little-endian.
 * Source: Multiboot Specification 0.6.96, section 3.3 (boot information format).
 */
import { HIGH_BASE, EBDA_BASE, imageError, memoryMap, type GuestMemory } from './guest-memory.js';
import { LOW_MEMORY_KIB } from './firmware-area.js';

/** Where a module was placed; `end` is exclusive. */
export interface PlacedModule {
  readonly start: number;
  readonly end: number;
  readonly string: string;
}

export interface BootInformation {
  readonly commandLine: string;
  readonly modules: readonly PlacedModule[];
}

const BOOT_LOADER_NAME = 'ft86';
const INFORMATION_BYTES = 120;
const MAP_ENTRY_BYTES = 24;
const MODULE_ENTRY_BYTES = 16;
/** The block goes as low as this: vectors and BIOS data lie below. */
const LOWEST = 0x1000;

const FLAG_MEMORY = 1 << 0;
const FLAG_COMMAND_LINE = 1 << 2;
const FLAG_MODULES = 1 << 3;
const FLAG_MEMORY_MAP = 1 << 6;
const FLAG_BOOT_LOADER_NAME = 1 << 9;

/**
 * Place the boot information where nothing else lies: below 1 MiB if there is room, else above the modules.
 * @returns its address
 * @throws ConfigError when it does not fit or a string holds a zero byte
 */
export function placeBootInformation(information: BootInformation, name: string, memory: GuestMemory): number {
  const strings = [information.commandLine, BOOT_LOADER_NAME, ...information.modules.map((module) => module.string)];
  const encoded = strings.map((text) => encodeString(text, name));
  const map = memoryMap(memory.memoryBytes);
  const mapOffset = INFORMATION_BYTES;
  const modulesOffset = mapOffset + map.length * MAP_ENTRY_BYTES;
  const stringsOffset = modulesOffset + information.modules.length * MODULE_ENTRY_BYTES;
  const block = new Uint8Array(stringsOffset + encoded.reduce((sum, text) => sum + text.length, 0));
  const address =
    memory.findGap(block.length, 16, LOWEST, EBDA_BASE) ??
    memory.findGap(block.length, 16, HIGH_BASE, memory.memoryBytes);
  if (address === null)
    throw imageError(name, 'leaves no room in RAM for the boot information; give more with --memory');

  let at = stringsOffset;
  const stringAddresses = encoded.map((text) => {
    block.set(text, at);
    at += text.length;
    return address + at - text.length;
  });
  const [commandLine = 0, loaderName = 0, ...moduleStrings] = stringAddresses;
  const view = new DataView(block.buffer);
  const set = (offset: number, value: number): void => {
    view.setUint32(offset, value, true);
  };
  const flags = FLAG_MEMORY | FLAG_COMMAND_LINE | FLAG_MODULES | FLAG_MEMORY_MAP | FLAG_BOOT_LOADER_NAME;
  set(0, flags);
  set(4, LOW_MEMORY_KIB);
  set(8, (memory.memoryBytes - HIGH_BASE) / 1024);
  set(16, commandLine);
  set(20, information.modules.length);
  set(24, address + modulesOffset);
  set(44, modulesOffset - mapOffset);
  set(48, address + mapOffset);
  set(64, loaderName);
  map.forEach((region, index) => {
    const offset = mapOffset + index * MAP_ENTRY_BYTES;
    set(offset, MAP_ENTRY_BYTES - 4);
    view.setBigUint64(offset + 4, BigInt(region.base), true);
    view.setBigUint64(offset + 12, BigInt(region.bytes), true);
    set(offset + 20, region.type);
  });
  information.modules.forEach((module, index) => {
    const offset = modulesOffset + index * MODULE_ENTRY_BYTES;
    set(offset, module.start);
    set(offset + 4, module.end);
    set(offset + 8, moduleStrings[index] ?? 0);
  });
  memory.place('the boot information', address, block);
  return address;
}

/** UTF-8 with a zero byte behind. @throws ConfigError when the text holds a zero byte itself */
function encodeString(text: string, name: string): Uint8Array {
  if (text.includes('\0')) throw imageError(name, 'its command line and module strings must not hold zero bytes');
  return new TextEncoder().encode(`${text}\0`);
}
