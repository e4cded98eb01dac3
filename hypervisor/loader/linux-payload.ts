/**
 * The fast way into a Linux kernel: the ELF image packed inside a bzImage, unpacked beforehand, is placed and entered
 * directly; the guest is spared billions of instructions of decompression.
 *
 *   bzImage: setup | decompressor | [payload: packed( vmlinux ELF, relocations ), its length u32] | CRC
 *                                            `--payload FILE` is this, unpacked
 *
 * The kernel runs at the addresses it was linked for, so the relocations behind the ELF image are not needed.
 * Source: Linux Documentation/arch/x86/boot.rst (payload_offset, payload_length); the length behind the packed data
 * is the one the kernel's own decompressor checks.
 */
import { ConfigError } from '../../emulator/errors.js';
import { isElf, loadElf32 } from './elf.js';
import type { GuestMemory } from './guest-memory.js';
import type { SetupHeader } from './linux-header.js';

/**
 * Place the unpacked payload of the kernel `bytes`; the caller has read its setup header.
 * @returns the physical address of the entry point
 * @throws ConfigError when it is not this kernel's payload, damaged, or does not fit
 */
export function placePayload(
  payload: Uint8Array,
  kernel: { readonly bytes: Uint8Array; readonly name: string },
  header: SetupHeader,
  memory: GuestMemory,
): number {
  const wanted = unpackedBytes(kernel.bytes, header);
  const what = `${payload.length} bytes`;
  if (wanted === null) {
    throw new ConfigError('--payload', what, `only with a Linux kernel that has a payload; ${kernel.name} has none`);
  }
  if (payload.length !== wanted) {
    throw new ConfigError(
      '--payload',
      what,
      `must be the unpacked payload of ${kernel.name}, which has ${wanted} bytes`,
    );
  }
  if (!isElf(payload))
    throw new ConfigError('--payload', what, 'must be an ELF file, the unpacked payload of the kernel');
  return loadElf32(payload, `payload of ${kernel.name}`, memory);
}

/** What the kernel says its payload is when unpacked, or null. */
function unpackedBytes(bytes: Uint8Array, header: SetupHeader): number | null {
  if (header.payload === null || header.payload.bytes < 4) return null;
  const end = header.setupBytes + header.payload.offset + header.payload.bytes;
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(end - 4, true);
}
