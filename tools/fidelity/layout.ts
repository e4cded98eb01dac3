/**
 * Where things lie in the memory of the fidelity tests' guest, once for the programs and for the assembler.
 *
 *   1000h real-mode stubs   20000h scratch below 1 MiB    40000h code of the sequences   100000h monitor
 *   120000h tables          140000h page tables           160000h scratch templates      200000h scratch
 *   280000h lengths         300000h FPU images            400000h sequences              800000h trace
 *
 * Nothing lies between A0000h and FFFFFh, where QEMU's PC has devices and ROM.
 */
export const LAYOUT = {
  RAM_BYTES: 64 << 20,
  REAL_MONITOR: 0x1000,
  /** real-mode.S: where 16-bit protected mode is left. */
  REAL_RETURN: 0x1200,
  /** SP and SS of the interrupted real-mode code. */
  REAL_STACK: 0xff8,
  SCRATCH_LOW: 0x20000,
  CODE: 0x40000,
  CODE_BYTES: 0x5f000,
  MONITOR: 0x100000,
  MONITOR_BYTES: 0x10000,
  GDT: 0x120000,
  GDT_BYTES: 0x200,
  IDT: 0x121000,
  TSS: 0x122000,
  /** 68h bytes, the I/O permission bitmap of 65,536 ports, and its closing byte. */
  TSS_BYTES: 0x2069,
  DF_TSS: 0x125000,
  LDT: 0x126000,
  MONITOR_STACK: 0x130000,
  DF_STACK: 0x134000,
  SEQUENCE_COUNT: 0x134100,
  SPACES: 0x140000,
  SPACE_BYTES: 0x2000,
  SPACE_COUNT: 4,
  TEMPLATES: 0x160000,
  SCRATCH: 0x200000,
  SCRATCH_BYTES: 0x4000,
  LENGTHS: 0x280000,
  FX_IMAGES: 0x300000,
  SEQUENCES: 0x400000,
  SEQUENCE_BYTES: 128,
  SEQUENCES_MAX: 0x8000,
  TRACE: 0x800000,
  /** The last sequence starts below it. */
  TRACE_LIMIT: (64 << 20) - 0x20000,
  /** 28 words, FX_BYTES of FXSAVE, the digest of the scratch memory, 12 spare bytes. */
  RECORD_BYTES: 416,
  RECORD_DIGEST: 400,
  RECORDS_MAX: 200,
  FX_BYTES: 288,
  /** PE, ET, NE: errors of the FPU are exceptions, not interrupts. */
  BASE_CR0: 0x31,
  /** PSE, OSFXSR, OSXMMEXCPT. */
  BASE_CR4: 0x610,
  MONITOR_CODE: 0x08,
  MONITOR_DATA: 0x10,
  TSS_SELECTOR: 0x18,
  DF_SELECTOR: 0x20,
  LDT_SELECTOR: 0x28,
  REAL_DATA: 0x30,
  REAL_CODE: 0x38,
  MARK_PORT: 0xed,
  FINISH_PORT: 0xee,
} as const;

/** A byte of the length table: the sequence ends here. */
export const LENGTH_END = 0xff;

/** Vector of the record that closes a sequence, with the digest of the scratch memory. */
export const END_VECTOR = 0x100;

export const VECTORS = 0x30;
