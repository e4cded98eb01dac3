/**
 * Tells from a file's beginning, end and size how a machine starts from it.
 *
 *   magic "FT86SNP"                               snapshot      a machine as it was, to go on
 *   a format of image.ts but 'boot-sector'        kernel        placed in RAM by the loader
 *   signature 55 aa at 510, exactly 512 bytes     boot-sector   placed at 0x7c00, no firmware behind it
 *   signature 55 aa at 510, longer                disk          the first IDE disk of a machine with firmware
 *   64 KiB to 1 MiB that end in a jump at -16     bios          the ROM at the reset vector
 *
 * Source: BIOS Boot Specification 1.01, section 6; Intel SDM volume 3A, section 10.1.4 (first instruction).
 */
import { SNAPSHOT_MAGIC } from '../snapshot/format.js';
import { recogniseImage } from './image.js';
import { isFirmwareSize } from './firmware.js';

/** How much of a file's beginning and end is looked at. */
export const MEDIUM_HEAD_BYTES = 8192;
export const MEDIUM_TAIL_BYTES = 16;

export type BootMedium = 'snapshot' | 'kernel' | 'boot-sector' | 'disk' | 'bios';

const SECTOR_BYTES = 512;
/** JMP rel16, JMP ptr16:16, JMP rel8: what a ROM begins with at the reset vector. */
const JUMPS = [0xe9, 0xea, 0xeb];

/** `head` is the first MEDIUM_HEAD_BYTES of the file and `tail` its last MEDIUM_TAIL_BYTES, as far as it has them. */
export function recogniseMedium(head: Uint8Array, tail: Uint8Array, bytes: number): BootMedium | null {
  if (SNAPSHOT_MAGIC.every((byte, i) => head[i] === byte)) return 'snapshot';
  const format = recogniseImage(head);
  if (format === 'boot-sector') return bytes === SECTOR_BYTES ? 'boot-sector' : 'disk';
  if (format !== null) return 'kernel';
  const jumps = JUMPS.includes(tail[0] ?? 0) && tail.length === MEDIUM_TAIL_BYTES;
  return isFirmwareSize(bytes) && jumps ? 'bios' : null;
}
