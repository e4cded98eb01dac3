/**
 * Reads of a file that the host has in its page cache, at once: handing a read to another thread and back takes 50 us, the copy 2.
 * Loads the addon, the only file that does (an edge). `make native` builds it from native/cached-read.c.
 *
 *   sources:  hypervisor/backend/cached-read.ts           -> ../../build/native/cached-read.node
 *   compiled: build/js/hypervisor/backend/cached-read.js  -> ../../../native/cached-read.node
 *
 * Source: Linux preadv2(2), RWF_NOWAIT.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { InvariantError } from '../../emulator/errors.js';

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
  addon ??= load();
  return Math.max(0, addon.read(fd, buffer, offset));
}

function load(): CachedReadAddon {
  const places = ['../../build/native/cached-read.node', '../../../native/cached-read.node'];
  const paths = places.map((place) => fileURLToPath(new URL(place, import.meta.url)));
  const path = paths.find((candidate) => existsSync(candidate));
  if (path === undefined) throw new InvariantError('the addon for cached reads is not built: run make build');
  return createRequire(import.meta.url)(path) as CachedReadAddon;
}
