/**
 * Reads of a file that the host has in its page cache, at once: handing a read to another thread and back takes 50 us, the copy 2.
 * Loads the addon, the only file that does (an edge). `make native` builds it from native/cached-read.c.
 *
 * Source: Linux preadv2(2), RWF_NOWAIT.
 */
import { loadAddon } from '../../emulator/load-addon.js';

interface CachedReadAddon {
  /** A negative number is an errno. */
  read(fd: number, buffer: Uint8Array, offset: number): number;
}

let addon: CachedReadAddon | null = null;

/**
 * Fill `buffer` from `offset` of an open file as far as that takes no waiting. Gives how many bytes that were: fewer than there is
 * room for, or none, where the file ends, where a device must be asked, on errors, and on file systems that cannot tell.
 */
export function readCached(fd: number, buffer: Uint8Array, offset: number): number {
  addon ??= loadAddon('cached-read') as CachedReadAddon;
  return Math.max(0, addon.read(fd, buffer, offset));
}
