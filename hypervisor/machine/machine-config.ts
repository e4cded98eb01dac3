/**
 * What a machine is made of: everything that two replicas must agree on before the first instruction.
 * It travels in the log's header; a mismatch is refused by the name of the field.
 */
import * as z from 'zod';
import { IDE_DRIVES_MAX } from '../../devices/pc-cards.js';
import { ConfigError } from '../../emulator/errors.js';
import { FIRMWARE_BYTES_MAX } from '../loader/firmware.js';

export const MEMORY_BYTES_MIN = 4 * 1024 * 1024;
export const MEMORY_BYTES_MAX = 3 * 1024 * 1024 * 1024;
/** Drives and NICs a machine may have; the PCI bus has room for more. */
export const DRIVES_MAX = 8;
export const NICS_MAX = 4;

/** Largest part of a machine that is not its image: a ROM or a file for the firmware. */
export const BLOB_BYTES_MAX = 1024 * 1024;
export const FILES_MAX = 32;

/** Bytes that belong to the machine, by their hash; hypervisor/machine/blob-store.ts holds them. */
function blobSchema(bytesMax: number) {
  return z.strictObject({ bytes: z.number().int().min(1).max(bytesMax), sha256: z.string().regex(/^[0-9a-f]{64}$/) });
}

const macPattern = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/;

export const machineConfigSchema = z.strictObject({
  memoryBytes: z.number().int().min(MEMORY_BYTES_MIN).max(MEMORY_BYTES_MAX).multipleOf(4096),
  drives: z
    .array(
      z.strictObject({
        kind: z.enum(['virtio', 'ide']),
        sectors: z
          .number()
          .int()
          .min(1)
          .max(2 ** 42),
        readonly: z.boolean(),
      }),
    )
    .max(DRIVES_MAX)
    .refine((drives) => drives.filter(({ kind }) => kind === 'ide').length <= IDE_DRIVES_MAX, {
      message: `at most ${IDE_DRIVES_MAX} drives on the IDE channels`,
    }),
  nics: z
    .array(z.strictObject({ kind: z.enum(['virtio', 'ne2k', 'ne2k-isa']), mac: z.string().regex(macPattern) }))
    .max(NICS_MAX)
    .refine((nics) => nics.filter(({ kind }) => kind === 'ne2k-isa').length <= 1, {
      message: 'one ISA NE2000 at most',
    }),
  /** The ROM that ends at 4 GiB; null: the loader does firmware's work. */
  firmware: blobSchema(FIRMWARE_BYTES_MAX).nullable(),
  /** Files that fw_cfg offers to the firmware. */
  files: z.array(blobSchema(BLOB_BYTES_MAX).extend({ name: z.string().regex(/^[ -~]{1,55}$/) })).max(FILES_MAX),
  bootUnixSeconds: z
    .number()
    .int()
    .min(0)
    .max(2 ** 40),
  clock: z.enum(['host', 'icount']),
  image: z.string().max(4096),
  imageSha256: z.string().max(64),
  append: z.string().max(65536),
});

/** Shape of a machine, validated. */
export type MachineConfig = z.infer<typeof machineConfigSchema>;

/** Parse `64M`, `1G`, `8192K` or a number of bytes. @throws ConfigError naming `option` */
export function parseSize(option: string, text: string): number {
  const match = /^([0-9]{1,12})(?:([KMG])i?)?B?$/i.exec(text);
  const unit = { '': 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3 }[match?.[2]?.toUpperCase() ?? ''];
  if (match?.[1] === undefined || unit === undefined) {
    throw new ConfigError(option, text, 'must be a number of bytes with an optional K, M or G, e.g. 64M');
  }
  return Number(match[1]) * unit;
}

/** Guest RAM in bytes from an option's text. @throws ConfigError */
export function parseMemory(option: string, text: string): number {
  const bytes = parseSize(option, text);
  if (bytes < MEMORY_BYTES_MIN || bytes > MEMORY_BYTES_MAX) {
    throw new ConfigError(option, text, 'must be from 4M to 3G');
  }
  if (bytes % 4096 !== 0) throw new ConfigError(option, text, 'must be a multiple of 4096 bytes');
  return bytes;
}

/** The six bytes of a MAC address. */
export function macBytes(mac: string): Uint8Array {
  return Uint8Array.from(mac.split(':'), (part) => parseInt(part, 16));
}
