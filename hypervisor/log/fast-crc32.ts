/**
 * CRC-32 at memory's speed: zlib's takes 1.4 us for 4 KiB, as long as reading them takes, and both replicas compute that of all they log.
 * Loads the addon, the only file that does. `make native` builds it from native/crc32.c; a processor that cannot do it has zlib's.
 *
 * Source: CRC-32 is that of ISO 3309 and zlib.
 */
import { crc32 as zlibCrc32 } from 'node:zlib';
import { loadAddon } from '../../emulator/load-addon.js';

interface Crc32Addon {
  available(): boolean;
  crc32(bytes: Uint8Array, crc: number): number;
}

/** Calling the addon takes longer than fewer bytes do. */
const ADDON_BYTES_MIN = 1 << 10;

let addon: Crc32Addon | null = null;

/** The CRC of what had `crc`, followed by `bytes`. */
export function fastCrc32(bytes: Uint8Array, crc = 0): number {
  if (bytes.length < ADDON_BYTES_MIN) return zlibCrc32(bytes, crc);
  addon ??= load();
  return addon.crc32(bytes, crc);
}

function load(): Crc32Addon {
  const loaded = loadAddon('crc32') as Crc32Addon;
  return loaded.available() ? loaded : { ...loaded, crc32: zlibCrc32 };
}
