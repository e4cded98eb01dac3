/**
 * From the bytes of an image file to a guest ready to start: recognise, check, place in RAM, and say what
 * the CPU starts with. Pure: no file is opened here.
 *
 *   content                                    format        started as
 *   Multiboot 1 header in the first 8192       multiboot     Multiboot machine state; not when 55 aa at 510
 *   7f 'E' 'L' 'F'                             elf32         32-bit protected mode at its entry; or Multiboot, as above
 *   'HdrS' at 0x202, signature 55 aa at 510    linux         32-bit boot protocol
 *   signature 55 aa at 510                     boot-sector   real mode at 0000:7c00, DL = 0x80
 *   anything, when asked for by name           flat          32-bit protected mode at its first byte
 *
 * Invariant: any bytes at all give either a state or a ConfigError, and no write outside RAM.
 * Source: BIOS Boot Specification 1.01, section 6 (boot sectors); Linux Documentation/arch/x86/boot.rst (HdrS).
 */
import type { PciInterrupt } from '../../devices/mp-tables.js';
import { ConfigError } from '../../emulator/errors.js';
import { isElf, loadElf32 } from './elf.js';
import { GDT_BASE, placeFirmwareArea, placeRealModeVectors, placeStack } from './firmware-area.js';
import { GuestMemory, hex, HIGH_BASE, imageError, type LoaderRam } from './guest-memory.js';
import { protectedMode, realMode, type InitialCpuState } from './initial-state.js';
import { loadLinux } from './linux.js';
import { findMultibootHeader, loadMultiboot, type ModuleFile } from './multiboot.js';

/** Formats by the names that `--format` takes. */
export const IMAGE_FORMATS = ['multiboot', 'elf32', 'linux', 'boot-sector', 'flat'] as const;
export type ImageFormat = (typeof IMAGE_FORMATS)[number];

/** Largest image file that is read into memory. */
export const IMAGE_BYTES_MAX = 1024 * 1024 * 1024;
/** Where a flat image goes unless the user says otherwise. */
export const FLAT_LOAD_ADDRESS = HIGH_BASE;

const SECTOR_BYTES = 512;
const SIGNATURE_OFFSET = 510;
const LINUX_MAGIC_OFFSET = 0x202;
const BOOT_SECTOR_ADDRESS = 0x7c00;
const FIRST_HARD_DISK = 0x80;

export interface ImageOptions {
  readonly bytes: Uint8Array;
  /** Take the image for this format instead of looking at its content. */
  readonly format?: ImageFormat;
  /** Flat images only; default {@link FLAT_LOAD_ADDRESS}. */
  readonly loadAddress?: number;
  readonly memoryBytes: number;
  /** The kernel's command line without its name; '' for none. */
  readonly append: string;
  readonly modules: readonly ModuleFile[];
  /** Where the cards' interrupts arrive, for the MP tables; default none. */
  readonly pciInterrupts?: readonly PciInterrupt[];
  /** Linux only: the initial RAM disk. */
  readonly initrd?: Uint8Array | null;
  /** Linux only: the kernel's unpacked payload, entered directly. */
  readonly payload?: Uint8Array | null;
  /** The image's name as the user gave it: first word of the command line, and in error messages. */
  readonly name: string;
}

/** Tell an image's format from its content; null when it is none that is known. Never 'flat'. */
export function recogniseImage(bytes: Uint8Array): Exclude<ImageFormat, 'flat'> | null {
  const startedByFirmware = bytes[SIGNATURE_OFFSET] === 0x55 && bytes[SIGNATURE_OFFSET + 1] === 0xaa;
  // A boot loader behind its boot sector may have a Multiboot header of its own; GRUB's has.
  if ((isElf(bytes) || !startedByFirmware) && findMultibootHeader(bytes) !== null) return 'multiboot';
  if (isElf(bytes)) return 'elf32';
  if (!startedByFirmware) return null;
  const magic = bytes.subarray(LINUX_MAGIC_OFFSET, LINUX_MAGIC_OFFSET + 4);
  return String.fromCharCode(...magic) === 'HdrS' ? 'linux' : 'boot-sector';
}

/**
 * Place an image in RAM that is all zeros.
 * @returns the state of the CPU at its first instruction
 * @throws ConfigError naming the image and what is allowed
 */
export function loadImage(options: ImageOptions, ram: LoaderRam): InitialCpuState {
  const { bytes, name } = options;
  if (bytes.length === 0) throw imageError(name, 'is empty');
  if (bytes.length > IMAGE_BYTES_MAX) throw imageError(name, `must have at most ${IMAGE_BYTES_MAX} bytes`);
  const format = options.format ?? recogniseImage(bytes);
  checkOptions(options, format);
  const memory = new GuestMemory(ram, options.memoryBytes, name);
  placeFirmwareArea(memory, options.pciInterrupts ?? []);
  switch (format) {
    case 'multiboot': {
      const header = findMultibootHeader(bytes);
      if (header === null) throw imageError(name, 'must have a Multiboot header in its first 8192 bytes');
      return loadMultiboot(options, header, memory);
    }
    case 'elf32':
      if (!isElf(bytes)) throw imageError(name, 'must be an ELF file');
      return flatStart(loadElf32(bytes, name, memory), memory);
    case 'boot-sector':
      return loadBootSector(bytes, name, memory);
    case 'flat':
      return loadFlat(bytes, options.loadAddress ?? FLAT_LOAD_ADDRESS, memory);
    case 'linux':
      return loadLinux({ ...options, initrd: options.initrd ?? null, payload: options.payload ?? null }, memory);
    case null:
      throw imageError(
        name,
        'must be a Multiboot or Linux kernel, an i386 ELF executable or a boot sector (signature 55 aa at byte 510); ' +
          'give --format flat for a raw 32-bit binary',
      );
  }
}

/** Refuse options that the format has no place for. */
function checkOptions(options: ImageOptions, format: ImageFormat | null): void {
  if (format === null) return;
  const only = (kinds: string): string => `only ${kinds} can have it; ${options.name} is of format ${format}`;
  if (options.append !== '' && format !== 'multiboot' && format !== 'linux') {
    throw new ConfigError('--append', options.append, only('a Multiboot or Linux kernel'));
  }
  if (options.modules.length > 0 && format !== 'multiboot') {
    throw new ConfigError('--module', options.modules[0]?.string ?? '', only('a Multiboot kernel'));
  }
  for (const [option, bytes] of [
    ['--initrd', options.initrd],
    ['--payload', options.payload],
  ] as const) {
    if (bytes != null && format !== 'linux') {
      throw new ConfigError(option, `${bytes.length} bytes`, only('a Linux kernel'));
    }
  }
  if (options.loadAddress !== undefined && format !== 'flat') {
    throw new ConfigError('--load-address', hex(options.loadAddress), 'only with --format flat');
  }
}

/** Firmware loads the first sector only, whatever follows it in the file. */
function loadBootSector(bytes: Uint8Array, name: string, memory: GuestMemory): InitialCpuState {
  if (bytes.length < SECTOR_BYTES) throw imageError(name, `a boot sector must have at least ${SECTOR_BYTES} bytes`);
  if (bytes[SIGNATURE_OFFSET] !== 0x55 || bytes[SIGNATURE_OFFSET + 1] !== 0xaa) {
    throw imageError(name, 'a boot sector must have the signature 55 aa at byte 510');
  }
  placeRealModeVectors(memory);
  memory.place('the boot sector', BOOT_SECTOR_ADDRESS, bytes.subarray(0, SECTOR_BYTES));
  return realMode({ eip: BOOT_SECTOR_ADDRESS, esp: BOOT_SECTOR_ADDRESS, edx: FIRST_HARD_DISK });
}

function loadFlat(bytes: Uint8Array, address: number, memory: GuestMemory): InitialCpuState {
  memory.place('the image', address, bytes);
  return flatStart(address, memory);
}

/** Start in 32-bit protected mode without a boot protocol: no register but EIP and ESP has a meaning. */
function flatStart(entry: number, memory: GuestMemory): InitialCpuState {
  return protectedMode({ eip: entry, esp: placeStack(memory) }, GDT_BASE);
}
