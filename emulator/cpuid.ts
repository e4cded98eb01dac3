/**
 * What CPUID shows: a family 6 processor with the features the engine really executes and ft86 tests.
 * No SYSENTER or RDRAND: absent or unproved. PAE without no-execute, which the engine's walker refuses then, and with
 * its 40 bits of physical address. The APIC is the board's. Leaves not listed read as zeroes.
 *
 * Source: Intel SDM volume 2, CPUID, tables 3-8 (leaf 1 EDX) and 3-17 (extended leaves).
 */

/** Leaf 1, EDX. */
export const CPUID_FEATURES =
  (1 << 0) | // FPU
  (1 << 2) | // DE
  (1 << 3) | // PSE
  (1 << 4) | // TSC
  (1 << 5) | // MSR
  (1 << 6) | // PAE
  (1 << 8) | // CX8
  (1 << 9) | // APIC
  (1 << 13) | // PGE
  (1 << 15) | // CMOV
  (1 << 23) | // MMX
  (1 << 24) | // FXSR
  (1 << 25) | // SSE
  (1 << 26); // SSE2

/** Family 6, model 8, stepping 3; EDX holds the same after a reset. */
export const CPUID_SIGNATURE = 0x683;
const [LINEAR_BITS, PHYSICAL_BITS] = [32, 40];
const VENDOR = 'ft86ft86ft86';
const BRAND = 'ft86 deterministic i686 CPU';

/** Four characters as CPUID packs them: the first in the low byte. */
function packed(text: string, at: number): number {
  let word = 0;
  for (let i = 3; i >= 0; i--) word = word * 256 + (text.charCodeAt(at + i) || 0);
  return word;
}

/** Rows of leaf, EAX, EBX, ECX, EDX for the native core. */
export function cpuidTable(): Uint32Array {
  const rows = [
    [0, 1, packed(VENDOR, 0), packed(VENDOR, 8), packed(VENDOR, 4)],
    [1, CPUID_SIGNATURE, 0, 0, CPUID_FEATURES],
    [0x80000000, 0x80000008, 0, 0, 0],
    [0x80000001, 0, 0, 0, 0],
  ];
  for (let i = 0; i < 3; i++) {
    const words = [0, 4, 8, 12].map((offset) => packed(BRAND, 16 * i + offset));
    rows.push([0x80000002 + i, ...words]);
  }
  rows.push([0x80000008, LINEAR_BITS * 256 + PHYSICAL_BITS, 0, 0, 0]);
  return Uint32Array.from(rows.flat());
}
