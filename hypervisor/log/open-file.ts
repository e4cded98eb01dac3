/**
 * Edge: opening, reading and writing the files of ft86's own formats.
 *
 * What a user may get wrong about a path (missing, a directory, not ours) is a ConfigError; short reads and
 * writes are repeated; a file is only ever overwritten when it is empty or of the same format, so that a
 * slip in an option cannot destroy a disk image.
 */
import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import { ConfigError } from '../../emulator/errors.js';

const PATH_ERRORS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or directory',
  ENOTDIR: 'a part of the path is not a directory',
  EISDIR: 'is a directory',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'the file system is read-only',
  ENAMETOOLONG: 'the name is too long',
  ELOOP: 'too many symbolic links',
};

function errorCode(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
}

/** The error to throw for `error`, met while doing something with `path`, which is a `what` (e.g. `log`). */
export function pathError(what: string, path: string, error: unknown): Error {
  const reason = PATH_ERRORS[errorCode(error)];
  if (reason !== undefined) return new ConfigError(what, path, reason);
  return new Error(`${what} ${path}: ${String(error)}`, { cause: error });
}

export interface OpenFile {
  readonly fd: number;
  readonly bytes: number;
}

/**
 * Open a regular file for reading; the caller closes the descriptor.
 * @throws ConfigError when there is no such file
 */
export function openForReading(what: string, path: string): OpenFile {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (error) {
    throw pathError(what, path, error);
  }
  const stat = fstatSync(fd);
  if (stat.isFile()) return { fd, bytes: stat.size };
  closeSync(fd);
  throw new ConfigError(what, path, 'is not a regular file');
}

/** Read up to `into.length` bytes at `position`; return how many there were. */
export function readFully(fd: number, into: Uint8Array, position: number): number {
  let count = 0;
  while (count < into.length) {
    const got = readSync(fd, into, count, into.length - count, position + count);
    if (got === 0) break;
    count += got;
  }
  return count;
}

/** Write all of `bytes` at `position`. */
export function writeFully(fd: number, bytes: Uint8Array, position: number): void {
  let count = 0;
  while (count < bytes.length) {
    count += writeSync(fd, bytes, count, bytes.length - count, position + count);
  }
}

/**
 * Refuse to overwrite a file that does not begin with `magic` and is not empty.
 * @throws ConfigError
 */
export function requireReplaceable(what: string, path: string, magic: Uint8Array): void {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return;
    throw pathError(what, path, error);
  }
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) throw new ConfigError(what, path, 'is not a regular file');
    const start = new Uint8Array(Math.min(magic.length, stat.size));
    const same = readFully(fd, start, 0) === magic.length && Buffer.from(magic).equals(start);
    if (stat.size > 0 && !same) throw new ConfigError(what, path, `exists and is not a ${what}; remove it first`);
  } finally {
    closeSync(fd);
  }
}
