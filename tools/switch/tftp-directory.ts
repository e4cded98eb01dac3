/**
 * The files of one directory for a TFTP server, read only (an edge).
 *
 * Invariants: nothing outside the directory is opened, by whatever name or symbolic link; only regular files are, so
 * that no pipe and no device can hold the switch up.
 */
import { closeSync, constants, fstatSync, openSync, readSync, realpathSync, statSync } from 'node:fs';
import { join, sep } from 'node:path';
import { ConfigError } from '../../emulator/errors.js';
import type { TftpFile } from '../../hypervisor/network/tftp-server.js';

export class TftpDirectory {
  readonly #root: string;

  /** @throws ConfigError unless `path` is a directory */
  constructor(option: string, path: string) {
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) {
      throw new ConfigError(option, path, 'must be a directory');
    }
    this.#root = realpathSync(path);
  }

  /** Open what a client named, one byte a character; slashes in front are ignored. */
  open(name: string): TftpFile | 'not-found' | 'refused' {
    const parts = Buffer.from(name, 'latin1').toString('utf8').split('/');
    if (parts.includes('..') || name.includes('\0')) return 'refused';
    let path: string;
    let fd: number;
    try {
      path = realpathSync(join(this.#root, ...parts));
    } catch {
      return 'not-found';
    }
    if (!path.startsWith(this.#root === sep ? sep : this.#root + sep)) return 'refused';
    try {
      fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
    } catch {
      return 'refused';
    }
    const stat = fstatSync(fd);
    if (stat.isFile()) return openFile(fd, stat.size);
    closeSync(fd);
    return 'refused';
  }
}

function openFile(fd: number, bytes: number): TftpFile {
  return {
    bytes,
    read: (offset, length) => {
      const block = new Uint8Array(length);
      try {
        return block.subarray(0, readSync(fd, block, 0, length, offset));
      } catch {
        return null;
      }
    },
    close: () => {
      closeSync(fd);
    },
  };
}
