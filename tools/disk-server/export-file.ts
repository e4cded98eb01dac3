/**
 * One export of the disk server: a raw file, read and written at any byte.
 *
 * Invariants: the file never grows or shrinks; an answer to a flush comes after everything answered before it is on
 * stable storage; the caller has checked ranges.
 * Source: POSIX.1-2017, pread, pwrite, fdatasync.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { ConfigError } from '../../emulator/errors.js';
import { readCached } from '../../hypervisor/backend/cached-read.js';
import { hostErrorMessage } from '../../hypervisor/backend/host-error.js';
import type { NbdRequest } from '../../hypervisor/nbd/server-session.js';

const NOTHING = new Uint8Array(0);
/** Zeros are written in pieces of at most this size. */
const ZEROES = new Uint8Array(1 << 20);
const OPTION = 'disk-server';

export class ExportFile {
  readonly name: string;
  readonly bytes: number;
  readonly readonly: boolean;
  readonly #file: FileHandle;

  private constructor(file: FileHandle, name: string, bytes: number, readonly: boolean) {
    this.#file = file;
    this.name = name;
    this.bytes = bytes;
    this.readonly = readonly;
  }

  /** @throws ConfigError when the file is missing, not accessible, not a regular file, or empty */
  static async open(name: string, path: string, readonly: boolean): Promise<ExportFile> {
    let file: FileHandle;
    try {
      file = await open(path, readonly ? 'r' : 'r+');
    } catch (error) {
      throw new ConfigError(OPTION, path, `must be accessible: ${hostErrorMessage(error)}`);
    }
    const stat = await file.stat();
    if (stat.isFile() && stat.size > 0) return new ExportFile(file, name, stat.size, readonly);
    await file.close();
    throw new ConfigError(OPTION, path, 'must be a regular file that is not empty');
  }

  /** Perform a request; returns what a read has read. @throws the host's error */
  async perform(request: NbdRequest): Promise<Uint8Array> {
    switch (request.op) {
      case 'read':
        return this.#read(request.offset, request.bytes);
      case 'write':
        await this.#write(request.offset, request.data);
        break;
      case 'write-zeroes':
        for (let at = 0; at < request.bytes; at += ZEROES.length) {
          await this.#write(request.offset + at, ZEROES.subarray(0, Math.min(ZEROES.length, request.bytes - at)));
        }
        break;
      case 'trim':
        // A hint: the client no longer needs the bytes, and any content is right. They stay as they are.
        return NOTHING;
      case 'flush':
        await this.flush();
        return NOTHING;
    }
    if (request.fua) await this.flush();
    return NOTHING;
  }

  async flush(): Promise<void> {
    if (!this.readonly) await this.#file.datasync();
  }

  async close(): Promise<void> {
    try {
      await this.flush();
    } finally {
      await this.#file.close();
    }
  }

  async #read(offset: number, bytes: number): Promise<Uint8Array> {
    const data = new Uint8Array(bytes);
    for (let at = readCached(this.#file.fd, data, offset); at < bytes;) {
      const { bytesRead } = await this.#file.read(data, at, bytes - at, offset + at);
      if (bytesRead === 0) throw new Error(`the file ends at byte ${offset + at}`);
      at += bytesRead;
    }
    return data;
  }

  async #write(offset: number, data: Uint8Array): Promise<void> {
    for (let at = 0; at < data.length;) {
      const { bytesWritten } = await this.#file.write(data, at, data.length - at, offset + at);
      at += bytesWritten;
    }
  }
}
