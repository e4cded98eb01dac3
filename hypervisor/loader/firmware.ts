/**
 * A PC BIOS given with --bios: 64 KiB to 1 MiB of ROM that end at 4 GiB, and the copy below 1 MiB that a board's shadow
 * RAM would hold.
 *
 *   0x000e0000  RAM   copy of the last 128 KiB (of the last 64 KiB at 0xf0000 when there is no more)
 *   0x00100000
 *   ...
 *   0xfff00000  ROM   the whole file, its end at 4 GiB; mapped by the vcpu, never written
 *   0xfffffff0        the first instruction, a far jump into the copy
 *
 * The copy is writable from the start: firmware that asks the host bridge for shadow RAM finds it there. A ROM needs
 * no initial CPU state, because the processor's power-on state is its entry.
 * Source: Intel SDM volume 3A, section 10.1.4 (first instruction); Intel 82441FX data sheet, section 4.3 (shadowing).
 */
import { assert, ConfigError } from '../../emulator/errors.js';
import { HIGH_BASE, type LoaderRam } from './guest-memory.js';

const UNIT_BYTES = 64 * 1024;
export const FIRMWARE_BYTES_MAX = 16 * UNIT_BYTES;
const SHADOW_BYTES_MAX = 2 * UNIT_BYTES;

/** Whether a BIOS may have that many bytes. */
export function isFirmwareSize(bytes: number): boolean {
  return bytes > 0 && bytes <= FIRMWARE_BYTES_MAX && bytes % UNIT_BYTES === 0;
}

/**
 * Refuse a file that cannot be a BIOS; call it before the machine is made.
 * @throws ConfigError naming --bios and what is allowed
 */
export function checkFirmware(bytes: Uint8Array, name: string): void {
  if (!isFirmwareSize(bytes.length)) {
    throw new ConfigError('--bios', name, `must have 64 KiB to 1 MiB in steps of 64 KiB, not ${bytes.length} bytes`);
  }
}

/** Write the copy below 1 MiB. The CPU stays as its reset left it. */
export function placeFirmwareShadow(bytes: Uint8Array, ram: LoaderRam): void {
  const shadow = bytes.subarray(Math.max(0, bytes.length - SHADOW_BYTES_MAX));
  assert(ram.write(HIGH_BASE - shadow.length, shadow), 'the end of the first MiB is RAM');
}
