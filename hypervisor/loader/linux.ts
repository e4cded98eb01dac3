/**
 * Linux kernels by the 32-bit boot protocol: no BIOS and no real-mode setup code, the kernel is entered in protected
 * mode and finds everything in boot_params.
 *
 *   0x00010000   boot_params, GDT, command line       (linux-parameters.ts)
 *   0x00100000   compressed: the protected-mode code, which moves to pref_address and unpacks itself there
 *   pref_address the unpacked kernel                  (payload: placed here at once, linux-payload.ts)
 *   ...          free
 *   top of RAM   initrd, page-aligned, as high as the kernel allows
 *
 * At the entry: CS 0x10, other segments 0x18, flat; paging and interrupts off; ESI -> boot_params; EBP, EDI, EBX 0.
 * Source: Linux Documentation/arch/x86/boot.rst, "32-bit Boot Protocol".
 */
import { ConfigError } from '../../emulator/errors.js';
import { placeStack } from './firmware-area.js';
import { hex, HIGH_BASE, imageError, type GuestMemory } from './guest-memory.js';
import { protectedMode, type InitialCpuState } from './initial-state.js';
import { readSetupHeader, type SetupHeader } from './linux-header.js';
import {
  LINUX_CODE_SELECTOR,
  LINUX_DATA_SELECTOR,
  LINUX_GDT_BYTES,
  placeParameters,
  type PlacedParameters,
} from './linux-parameters.js';
import { placePayload } from './linux-payload.js';

const PAGE_BYTES = 4096;

export interface LinuxKernel {
  /** A bzImage. */
  readonly bytes: Uint8Array;
  readonly name: string;
  readonly append: string;
  readonly initrd: Uint8Array | null;
  /** The unpacked payload: enter it directly. Null: let the kernel unpack itself. */
  readonly payload: Uint8Array | null;
}

/**
 * Place a Linux kernel, its initrd and its parameters.
 * @throws ConfigError when the kernel is not a 32-bit one or is damaged, or something does not fit
 */
export function loadLinux(kernel: LinuxKernel, memory: GuestMemory): InitialCpuState {
  const header = readSetupHeader(kernel.bytes, kernel.name);
  const entry = placeKernel(kernel, header, memory);
  const initrd = kernel.initrd === null ? null : placeInitrd(kernel.initrd, header, memory);
  const { bytes, name, append } = kernel;
  const parameters = placeParameters({ bytes, name, append, initrd }, header, memory);
  return entryState(entry, placeStack(memory), parameters);
}

/** Place what is executed first, and keep clear what the kernel unpacks itself into. Returns the entry point. */
function placeKernel(kernel: LinuxKernel, header: SetupHeader, memory: GuestMemory): number {
  const { bytes, name } = kernel;
  const { setupBytes, codeBytes, runAddress, runBytes } = header;
  if (runBytes > 0) {
    const end = runAddress + runBytes;
    if (runAddress < HIGH_BASE || end > memory.memoryBytes) {
      throw imageError(name, `needs RAM from ${hex(runAddress)} to ${hex(end)}; give more with --memory`);
    }
    memory.claim(runAddress, runBytes);
  }
  if (kernel.payload !== null) return placePayload(kernel.payload, kernel, header, memory);
  memory.place('the kernel', HIGH_BASE, bytes.subarray(setupBytes, setupBytes + codeBytes));
  return HIGH_BASE;
}

/** As high as possible: the kernel unpacks itself and allocates from below. */
function placeInitrd(
  initrd: Uint8Array,
  header: SetupHeader,
  memory: GuestMemory,
): { readonly address: number; readonly bytes: number } {
  const bytes = initrd.length;
  if (bytes === 0) throw new ConfigError('--initrd', '0 bytes', 'must not be empty');
  const limit = Math.min(memory.memoryBytes, header.initrdAddressMax + 1);
  const address = Math.floor((limit - bytes) / PAGE_BYTES) * PAGE_BYTES;
  if (address < HIGH_BASE || memory.findGap(bytes, PAGE_BYTES, address, limit) !== address) {
    const room = Math.max(0, limit - memory.highEnd());
    throw new ConfigError(
      '--initrd',
      `${bytes} bytes`,
      `must fit into the ${room} bytes of RAM above the kernel; give more with --memory`,
    );
  }
  memory.place('the initrd', address, initrd);
  return { address, bytes };
}

function entryState(entry: number, stack: number, { bootParams, gdt }: PlacedParameters): InitialCpuState {
  const flat = protectedMode({ eip: entry, esp: stack }, gdt);
  const data = { ...flat.ds, selector: LINUX_DATA_SELECTOR };
  return {
    ...flat,
    esi: bootParams,
    cs: { ...flat.cs, selector: LINUX_CODE_SELECTOR },
    ...{ es: data, ss: data, ds: data, fs: data, gs: data },
    gdt: { base: gdt, limit: LINUX_GDT_BYTES - 1 },
  };
}
