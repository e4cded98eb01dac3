/**
 * The few bytes of low memory that a PC's firmware leaves behind and that guests read or rely on.
 *
 *   0x00000  real-mode vectors (boot sectors only): each points at the "no firmware" code
 *   0x00400  BIOS data area: COM1's port, the EBDA's segment, KiB of memory below 640
 *   0x9fc00  EBDA: its size in KiB
 *   +0x10      "no firmware": loads an empty IDT and traps, a triple fault
 *   +0x20      the empty IDT's pseudo-descriptor
 *   +0x40      a flat GDT
 *   +0x60      MultiProcessor tables
 *   0xffff0  the reset vector, F000:FFF0: resets the machine by port 0xcf9
 *
 * There is no BIOS behind these images: a boot sector that calls one ends in a triple fault at once, which
 * shows as such, instead of running through memory. A kernel that reboots through the BIOS (Linux: reboot=bios) jumps
 * to the reset vector, and the machine is reset as by any other way.
 * Source: IBM PS/2 and PC BIOS Interface Technical Reference, section 3 (BIOS data areas); Intel 82371SB (PIIX3) data
 *   sheet, section 2.5.6 (reset control register).
 */
import { mpTables, type PciInterrupt } from '../../devices/mp-tables.js';
import { CPUID_FEATURES, CPUID_SIGNATURE } from '../../emulator/cpuid.js';
import { assert } from '../../emulator/errors.js';
import { EBDA_BASE, type GuestMemory } from './guest-memory.js';
import { FLAT_GDT } from './initial-state.js';

/** Where the flat GDT lies. */
export const GDT_BASE = EBDA_BASE + 0x40;
/** In the first KiB of the EBDA, where kernels look first. */
const MP_TABLES = EBDA_BASE + 0x60;
const MP_TABLES_BYTES_MAX = 0x220;
/** A small stack that is always free: the rest of the EBDA, growing down from its end. */
const EBDA_STACK_TOP = EBDA_BASE + 0x400;
/** KiB of conventional memory, as INT 12h and Multiboot report it. */
export const LOW_MEMORY_KIB = EBDA_BASE / 1024;

const RESET_VECTOR = 0xffff0;
/** mov dx,0xcf9; mov al,2; out dx,al; mov al,6; out dx,al; cli; hlt: a hard reset on the rising edge of bit 2. */
const RESET_CODE = Uint8Array.of(0xba, 0xf9, 0x0c, 0xb0, 0x02, 0xee, 0xb0, 0x06, 0xee, 0xfa, 0xf4);
const BDA_COM1 = 0x400;
const BDA_EBDA_SEGMENT = 0x40e;
const BDA_MEMORY_KIB = 0x413;
const COM1_PORT = 0x3f8;
const EBDA_KIB = 1;
const NO_FIRMWARE_OFFSET = 0x10;
const EMPTY_IDT_OFFSET = 0x20;
const VECTORS = 256;
const STACK_BYTES = 0x4000;
const STACK_LOWEST = 0x1000;
const STACK_PREFERRED = 0x80000;
const STACK_HIGHEST = 0x90000;

/** Write the BIOS data areas, the GDT, the MP tables and the reset vector. An image placed later may replace the low part. */
export function placeFirmwareArea(memory: GuestMemory, pciInterrupts: readonly PciInterrupt[]): void {
  memory.placeFirmware(BDA_COM1, word(COM1_PORT));
  memory.placeFirmware(BDA_EBDA_SEGMENT, word(EBDA_BASE >> 4));
  memory.placeFirmware(BDA_MEMORY_KIB, word(LOW_MEMORY_KIB));
  memory.placeFirmware(EBDA_BASE, Uint8Array.of(EBDA_KIB));
  memory.placeFirmware(GDT_BASE, FLAT_GDT);
  const [address, cpuSignature, cpuFeatures] = [MP_TABLES, CPUID_SIGNATURE, CPUID_FEATURES];
  const tables = mpTables({ address, cpuSignature, cpuFeatures, pciInterrupts });
  assert(tables.length <= MP_TABLES_BYTES_MAX, 'the MP tables leave room for a stack in the EBDA');
  memory.placeFirmware(address, tables);
  memory.placeFirmware(RESET_VECTOR, RESET_CODE);
}

/** Write the real-mode vector table and the code all its vectors lead to. */
export function placeRealModeVectors(memory: GuestMemory): void {
  // lidt cs:[EMPTY_IDT_OFFSET]; int3
  memory.placeFirmware(
    EBDA_BASE + NO_FIRMWARE_OFFSET,
    Uint8Array.of(0x2e, 0x0f, 0x01, 0x1e, EMPTY_IDT_OFFSET, 0x00, 0xcc),
  );
  memory.placeFirmware(EBDA_BASE + EMPTY_IDT_OFFSET, new Uint8Array(6));
  const vectors = new Uint8Array(VECTORS * 4);
  for (let vector = 0; vector < VECTORS; vector++) {
    vectors.set([...word(NO_FIRMWARE_OFFSET), ...word(EBDA_BASE >> 4)], vector * 4);
  }
  memory.placeFirmware(0, vectors);
}

/** Reserve a stack below 0x90000 where the kernel does not lie; returns its top, which is always valid. */
export function placeStack(memory: GuestMemory): number {
  const base =
    memory.findGap(STACK_BYTES, 16, STACK_PREFERRED, STACK_HIGHEST) ??
    memory.findGap(STACK_BYTES, 16, STACK_LOWEST, STACK_HIGHEST);
  if (base === null) return EBDA_STACK_TOP;
  memory.claim(base, STACK_BYTES);
  return base + STACK_BYTES;
}

/** Two bytes, little-endian. */
function word(value: number): Uint8Array {
  return Uint8Array.of(value & 0xff, value >> 8);
}
