/** A small machine state for the tests of snapshots. */
import type { SnapshotContent } from '../../../hypervisor/snapshot/snapshot.js';
import { PAGE_BYTES } from '../../../hypervisor/snapshot/snapshot.js';

export const SAMPLE_PAGES = 12;

/** RAM with pages 1, 2 and 9 in use. */
export function sampleRam(): Uint8Array {
  const ram = new Uint8Array(SAMPLE_PAGES * PAGE_BYTES);
  ram.fill(0xaa, PAGE_BYTES, 3 * PAGE_BYTES);
  ram[9 * PAGE_BYTES + 4095] = 1;
  return ram;
}

export function sampleContent(): SnapshotContent {
  return {
    meta: {
      icount: 2_000_000_000,
      guestNs: 4_000_000_000,
      image: 'timer',
      memoryBytes: SAMPLE_PAGES * PAGE_BYTES,
      configuration: { append: 'n=1', nics: [] },
      digest: '00112233445566778899aabbccddeeff',
      role: 'primary',
    },
    registers: { eax: 5, 'cs.base': 0xffff0000, st0: '3fff8000000000000000', xmm0: Uint8Array.of(1, 2) },
    cpuState: Uint8Array.from({ length: 60 }, (_, index) => index),
    devices: {
      pit: { channels: [{ mode: 2 }, { mode: 3 }, { mode: 0 }] },
      vga: { text: Uint8Array.of(0x48, 7, 0x69, 7) },
      uart: { fifo: [1, 2] },
    },
  };
}
