/**
 * Multiboot 1: finding the header, placing the kernel and its modules, starting it.
 *
 *   header, 4-aligned, wholly in the first 8192 bytes of the file:
 *   offset  size  field
 *   0       4     magic 0x1badb002
 *   4       4     flags: 0 align modules, 1 memory information, 2 video mode, 16 the addresses below are valid
 *   8       4     checksum: the three sum to 0 modulo 2^32
 *   12      4     header_addr: where the header itself lies in memory
 *   16      4     load_addr: first byte of the image
 *   20      4     load_end_addr: end of its data; 0 = the whole file
 *   24      4     bss_end_addr: end of the zeros behind it; 0 = none
 *   28      4     entry_addr
 *
 * Without flag 16 the file is an ELF file and its program headers say what goes where.
 * Source: Multiboot Specification 0.6.96, sections 3.1 (image format) and 3.2 (machine state).
 */
import { isElf, loadElf32 } from './elf.js';
import { GDT_BASE, placeStack } from './firmware-area.js';
import { alignUp, hex, imageError, type GuestMemory } from './guest-memory.js';
import { protectedMode, type InitialCpuState } from './initial-state.js';
import { placeBootInformation, type PlacedModule } from './multiboot-information.js';

/** What EAX holds at the entry of a kernel that a Multiboot loader started. */
export const MULTIBOOT_LOADED = 0x2badb002;

const HEADER_MAGIC = 0x1badb002;
const HEADER_SEARCH_BYTES = 8192;
const HEADER_BYTES = 12;
const HEADER_WITH_ADDRESSES_BYTES = 32;
/** Requirements (the low 16 flags) that are met: page-aligned modules, memory information, video modes (none exist). */
const FLAGS_KNOWN = 0x0007;
const FLAG_ADDRESSES = 0x10000;
const MODULE_ALIGNMENT = 4096;

interface Header {
  /** Where it lies in the file. */
  readonly offset: number;
  readonly flags: number;
}

/** A file given along with the kernel, and the string the kernel finds with it. */
export interface ModuleFile {
  readonly bytes: Uint8Array;
  readonly string: string;
}

export interface MultibootKernel {
  readonly bytes: Uint8Array;
  readonly name: string;
  /** The kernel's arguments, without its name. */
  readonly append: string;
  readonly modules: readonly ModuleFile[];
}

/** Find the Multiboot header of an image, or null. */
export function findMultibootHeader(bytes: Uint8Array): Header | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, Math.min(bytes.byteLength, HEADER_SEARCH_BYTES));
  for (let offset = 0; offset + HEADER_BYTES <= view.byteLength; offset += 4) {
    if (view.getUint32(offset, true) !== HEADER_MAGIC) continue;
    const flags = view.getUint32(offset + 4, true);
    const sum = (HEADER_MAGIC + flags + view.getUint32(offset + 8, true)) >>> 0;
    if (sum === 0) return { offset, flags };
  }
  return null;
}

/**
 * Place a Multiboot kernel, its modules and its boot information.
 * @throws ConfigError when the image or a module is damaged, asks for what is not there, or does not fit
 */
export function loadMultiboot(kernel: MultibootKernel, header: Header, memory: GuestMemory): InitialCpuState {
  const { bytes, name } = kernel;
  const unknown = header.flags & 0xffff & ~FLAGS_KNOWN;
  if (unknown !== 0) {
    throw imageError(name, `its Multiboot header requires flags ${hex(unknown)}; known are ${hex(FLAGS_KNOWN)}`);
  }
  let entry: number;
  if ((header.flags & FLAG_ADDRESSES) !== 0) entry = loadByAddresses(bytes, name, header, memory);
  else if (isElf(bytes)) entry = loadElf32(bytes, name, memory);
  else throw imageError(name, 'its Multiboot header must have load addresses (flag 16) as it is not an ELF file');

  const stack = placeStack(memory);
  const modules = placeModules(kernel.modules, memory);
  const commandLine = kernel.append === '' ? name : `${name} ${kernel.append}`;
  const information = placeBootInformation({ commandLine, modules }, name, memory);
  return protectedMode({ eip: entry, esp: stack, eax: MULTIBOOT_LOADED, ebx: information }, GDT_BASE);
}

/** Place a flat image as its header's address fields say; returns the entry point. */
function loadByAddresses(bytes: Uint8Array, name: string, header: Header, memory: GuestMemory): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (header.offset + HEADER_WITH_ADDRESSES_BYTES > Math.min(view.byteLength, HEADER_SEARCH_BYTES)) {
    throw imageError(name, 'truncated: its Multiboot header is not complete in the first 8192 bytes');
  }
  const field = (offset: number): number => view.getUint32(header.offset + offset, true);
  const [headerAddress, loadAddress, loadEndField, bssEndField, entry] = [12, 16, 20, 24, 28].map(field) as [
    number,
    number,
    number,
    number,
    number,
  ];
  const fileOffset = header.offset - (headerAddress - loadAddress);
  if (headerAddress < loadAddress || fileOffset < 0) {
    throw imageError(name, `damaged: load_addr ${hex(loadAddress)} does not fit header_addr ${hex(headerAddress)}`);
  }
  const loadEnd = loadEndField === 0 ? loadAddress + bytes.length - fileOffset : loadEndField;
  if (loadEnd < loadAddress) throw imageError(name, 'damaged: load_end_addr is below load_addr');
  const fileEnd = fileOffset + loadEnd - loadAddress;
  if (fileEnd > bytes.length) {
    throw imageError(name, `truncated: its data end at ${hex(fileEnd)} of ${hex(bytes.length)} bytes`);
  }
  const end = bssEndField === 0 ? loadEnd : bssEndField;
  if (end < loadEnd) throw imageError(name, 'damaged: bss_end_addr is below the end of the data');
  if (entry < loadAddress || entry >= end) {
    throw imageError(name, `its entry point ${hex(entry)} must lie in the image, ${hex(loadAddress)} to ${hex(end)}`);
  }
  memory.place('the kernel', loadAddress, bytes.subarray(fileOffset, fileEnd), end - loadAddress);
  return entry;
}

function placeModules(modules: readonly ModuleFile[], memory: GuestMemory): PlacedModule[] {
  return modules.map((module, index) => {
    const start = alignUp(memory.highEnd(), MODULE_ALIGNMENT);
    memory.place(`module ${index}`, start, module.bytes);
    return { start, end: start + module.bytes.length, string: module.string };
  });
}
