/** Reads the files that options name; what cannot be read is the user's mistake, with the option's name. */
import { closeSync, openSync, readFileSync, readSync, statSync } from 'node:fs';
import { ConfigError } from '../../emulator/errors.js';

/** Size of a regular file. @throws ConfigError */
export function fileSize(option: string, path: string): number {
  const status = naming(option, path, () => statSync(path));
  if (status.isFile()) return status.size;
  throw new ConfigError(option, path, 'must be a regular file');
}

/** A whole file of at most `bytesMax` bytes. @throws ConfigError */
export function readOptionFile(option: string, path: string, bytesMax: number): Uint8Array {
  const bytes = fileSize(option, path);
  if (bytes > bytesMax) throw new ConfigError(option, path, `must be at most ${bytesMax} bytes`);
  return naming(option, path, () => readFileSync(path));
}

/** Some bytes of a file, fewer where it ends. @throws ConfigError */
export function readPart(option: string, path: string, at: number, bytes: number): Uint8Array {
  return naming(option, path, () => {
    const file = openSync(path, 'r');
    try {
      const part = new Uint8Array(bytes);
      return part.subarray(0, readSync(file, part, 0, bytes, at));
    } finally {
      closeSync(file);
    }
  });
}

function naming<T>(option: string, path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new ConfigError(option, path, `cannot be read (${(error as NodeJS.ErrnoException).code ?? String(error)})`);
  }
}
