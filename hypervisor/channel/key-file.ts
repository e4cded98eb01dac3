/**
 * The shared secret that lets replicas, switch and disk server trust each other (an edge: reads files).
 *
 *   line 1   ft86-key-1
 *   line 2   64 lower-case hexadecimal digits: 32 random bytes
 *
 * Invariants: written with mode 0600 and never over an existing file; a file that others may read, or that
 * is not exactly of this form, is refused.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, constants, fchmodSync, fstatSync, fsyncSync, openSync, readSync, writeSync } from 'node:fs';
import { ConfigError } from '../../emulator/errors.js';

export const KEY_BYTES = 32;
const HEADER = 'ft86-key-1';
const PATTERN = new RegExp(`^${HEADER}\\n([0-9a-f]{${KEY_BYTES * 2}})\\n?$`);
/** Longer than any key file; no more than this is ever read. */
const FILE_BYTES_MAX = 256;
const OPTION = '--key';

/**
 * Create a key file.
 * @throws ConfigError when `path` exists already or cannot be created
 */
export function generateKey(path: string): void {
  const file = openKey(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL);
  try {
    fchmodSync(file, 0o600);
    writeSync(file, `${HEADER}\n${randomBytes(KEY_BYTES).toString('hex')}\n`);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/**
 * Read a key: 32 bytes.
 * @throws ConfigError when the file is missing, malformed, or readable by group or others
 */
export function readKey(path: string): Uint8Array {
  const file = openKey(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const status = fstatSync(file);
    if (!status.isFile()) throw new ConfigError(OPTION, path, 'must be a file made by "ft86 keygen"');
    if ((status.mode & 0o077) !== 0) {
      const mode = (status.mode & 0o777).toString(8).padStart(4, '0');
      throw new ConfigError(OPTION, path, `has mode ${mode}; it must be readable by its owner only (chmod 600)`);
    }
    const buffer = Buffer.alloc(FILE_BYTES_MAX);
    const text = buffer.toString('latin1', 0, readSync(file, buffer, 0, FILE_BYTES_MAX, 0));
    const digits = PATTERN.exec(text)?.[1];
    if (digits === undefined) {
      throw new ConfigError(OPTION, path, `is not a key file (${HEADER} and ${KEY_BYTES * 2} hexadecimal digits)`);
    }
    return new Uint8Array(Buffer.from(digits, 'hex'));
  } finally {
    closeSync(file);
  }
}

function openKey(path: string, flags: number): number {
  try {
    return openSync(path, flags, 0o600);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT') throw new ConfigError(OPTION, path, 'no such file or directory');
    if (code === 'EEXIST') throw new ConfigError(OPTION, path, 'exists already and is not overwritten');
    if (code === 'EACCES' || code === 'EPERM') throw new ConfigError(OPTION, path, 'permission denied');
    throw new ConfigError(OPTION, path, `cannot be opened (${code ?? String(error)})`);
  }
}
