/**
 * What the CPU looks like at a guest's first instruction. The machine copies it into the vcpu after a reset;
 * registers that are not named here keep their reset values.
 *
 * Segment flags are the high half of a segment descriptor: type and access rights in bits 8 to 15, limit and
 * granularity bits in 16 to 23.
 * Source: Intel SDM volume 3A, section 3.4.5 (segment descriptors) and section 10.1 (state after reset).
 */

/** A segment register with its hidden part; `limit` is in bytes, inclusive. */
export interface SegmentState {
  readonly selector: number;
  readonly base: number;
  readonly limit: number;
  readonly flags: number;
}

/** A descriptor table register; `limit` is in bytes, inclusive. */
export interface TableState {
  readonly base: number;
  readonly limit: number;
}

/** The registers a loader decides. A20 is on in every mode. */
export interface InitialCpuState {
  readonly mode: 'real' | 'protected';
  readonly eax: number;
  readonly ecx: number;
  readonly edx: number;
  readonly ebx: number;
  readonly esp: number;
  readonly ebp: number;
  readonly esi: number;
  readonly edi: number;
  readonly eip: number;
  readonly eflags: number;
  readonly cr0: number;
  readonly es: SegmentState;
  readonly cs: SegmentState;
  readonly ss: SegmentState;
  readonly ds: SegmentState;
  readonly fs: SegmentState;
  readonly gs: SegmentState;
  readonly gdt: TableState;
  readonly idt: TableState;
}

/** The general registers a boot protocol gives a meaning; all others start as 0. */
export interface EntryRegisters {
  readonly eip: number;
  readonly esp: number;
  readonly eax?: number;
  readonly ebx?: number;
  readonly edx?: number;
}

/** EFLAGS with interrupts off: only the bit that always reads 1. */
const EFLAGS_RESERVED = 0x2;
const CR0_PE = 0x1;
const CR0_ET = 0x10;

/** Present, ring 0, 32-bit, 4 KiB granules, accessed: execute/read and read/write. */
const FLAT_CODE_FLAGS = 0xcf9b00;
const FLAT_DATA_FLAGS = 0xcf9300;
const REAL_CODE_FLAGS = 0x9b00;
const REAL_DATA_FLAGS = 0x9300;

/** Selectors of the flat segments in {@link FLAT_GDT}. */
export const CODE_SELECTOR = 0x08;
export const DATA_SELECTOR = 0x10;

/** A table with the null descriptor and the two flat segments, little-endian, 24 bytes. */
export const FLAT_GDT: Uint8Array = Uint8Array.of(
  ...[0, 0, 0, 0, 0, 0, 0, 0],
  ...[0xff, 0xff, 0, 0, 0, 0x9b, 0xcf, 0],
  ...[0xff, 0xff, 0, 0, 0, 0x93, 0xcf, 0],
);

/**
 * The table as firmware leaves it: a guest may go back to real mode with it. While it is empty an exception in protected
 * mode is a triple fault, not a jump into nowhere.
 */
const REAL_MODE_VECTORS: TableState = { base: 0, limit: 0x3ff };

const GENERAL = { eax: 0, ecx: 0, edx: 0, ebx: 0, ebp: 0, esi: 0, edi: 0, eflags: EFLAGS_RESERVED };

/** 32-bit protected mode, paging off, flat 4 GiB segments; `gdtBase` is where FLAT_GDT lies. */
export function protectedMode(entry: EntryRegisters, gdtBase: number): InitialCpuState {
  const data = { selector: DATA_SELECTOR, base: 0, limit: 0xffffffff, flags: FLAT_DATA_FLAGS };
  return {
    mode: 'protected',
    ...GENERAL,
    ...entry,
    cr0: CR0_PE | CR0_ET,
    cs: { selector: CODE_SELECTOR, base: 0, limit: 0xffffffff, flags: FLAT_CODE_FLAGS },
    ...{ es: data, ss: data, ds: data, fs: data, gs: data },
    gdt: { base: gdtBase, limit: FLAT_GDT.length - 1 },
    idt: REAL_MODE_VECTORS,
  };
}

/** 16-bit real mode with all segments 0 and the vector table at address 0. */
export function realMode(entry: EntryRegisters): InitialCpuState {
  const data = { selector: 0, base: 0, limit: 0xffff, flags: REAL_DATA_FLAGS };
  return {
    mode: 'real',
    ...GENERAL,
    ...entry,
    cr0: CR0_ET,
    cs: { selector: 0, base: 0, limit: 0xffff, flags: REAL_CODE_FLAGS },
    ...{ es: data, ss: data, ds: data, fs: data, gs: data },
    gdt: { base: 0, limit: 0xffff },
    idt: REAL_MODE_VECTORS,
  };
}
