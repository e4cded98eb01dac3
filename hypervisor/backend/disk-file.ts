/**
 * A drive in a raw file: sector n of the drive is bytes 512 n to 512 n + 511 of the file.
 *
 * Invariants: overlapping requests run one after the other in the order of submission (request-order.ts); a
 * flush answers after every earlier write is on stable storage; the file never grows.
 * The file is not locked: primary and backup open the same one, and only the live replica submits. A plain file
 * cannot refuse a replica that was paused and wakes up; the disk server can.
 * What is in the host's memory is read at once, everything else by another thread.
 * Source: POSIX.1-2017, pread, pwrite, fdatasync.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { borrowedBytes, giveBack } from '../../emulator/byte-pool.js';
import { assert, ConfigError, ReplicaError } from '../../emulator/errors.js';
import type { DiskCompletion, DiskRequest } from '../../devices/environment.js';
import { SECTOR_BYTES, type DiskBackend } from './backend.js';
import { readCached } from './cached-read.js';
import { hostErrorMessage } from './host-error.js';
import { assertRequest, RequestOrder } from './request-order.js';

export interface DiskFileOptions {
  readonly readonly: boolean;
  /** Create the file, which must not exist, with this many sectors of zeros. */
  readonly createSectors?: number;
  /** Told about each request the host failed, for the person at the terminal; who asked gets an error status. */
  readonly onError?: (error: Error, request: DiskRequest) => void;
}

/** Larger reads take a while even from memory: the guest goes on meanwhile. */
const AT_ONCE_BYTES_MAX = 64 << 10;
const EMPTY = new Uint8Array(0);

export class DiskFile implements DiskBackend {
  readonly sectors: number;
  readonly #file: FileHandle;
  readonly #path: string;
  readonly #options: DiskFileOptions;
  readonly #order = new RequestOrder();
  #closed = false;

  private constructor(file: FileHandle, path: string, sectors: number, options: DiskFileOptions) {
    this.#file = file;
    this.#path = path;
    this.sectors = sectors;
    this.#options = options;
  }

  /** Open a disk image. @throws ConfigError when it is missing, not accessible, empty, or not whole sectors */
  static async open(path: string, options: DiskFileOptions): Promise<DiskFile> {
    const file = await openFile(path, options);
    try {
      if (options.createSectors !== undefined) await file.truncate(options.createSectors * SECTOR_BYTES);
      const stat = await file.stat();
      if (!stat.isFile()) throw new ConfigError('disk file', path, 'must be a regular file');
      if (stat.size === 0 || stat.size % SECTOR_BYTES !== 0) {
        throw new ConfigError(
          'disk file',
          path,
          `has ${stat.size} bytes; must be a multiple of ${SECTOR_BYTES}, not 0`,
        );
      }
      return new DiskFile(file, path, stat.size / SECTOR_BYTES, options);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  submit(request: DiskRequest, done: (completion: DiskCompletion) => void): void {
    assert(!this.#closed, () => `a request for ${this.#path} comes before it is closed`);
    assertRequest(request);
    const { drive, tag } = request;
    const cached = this.readAtOnce(request);
    if (cached !== null) {
      queueMicrotask(() => {
        done({ drive, tag, status: 'ok', data: cached });
      });
      return;
    }
    this.#order.run(request, async () => {
      let data: Uint8Array = EMPTY;
      let status: DiskCompletion['status'] = 'ok';
      try {
        data = await this.#perform(request);
      } catch (error) {
        const what = `${this.#path}: ${request.op} of ${request.bytes} bytes at sector ${request.sector} failed`;
        this.#options.onError?.(new ReplicaError(`${what}: ${hostErrorMessage(error)}`, { cause: error }), request);
        status = 'error';
      }
      done({ drive, tag, status, data });
    });
  }

  /** What the host has in its memory, when nothing of it is being written; null: it must be waited for. */
  readAtOnce(request: DiskRequest): Uint8Array | null {
    const there = request.sector + request.bytes / SECTOR_BYTES <= this.sectors;
    if (request.op !== 'read' || !there || request.bytes > AT_ONCE_BYTES_MAX || !this.#order.clear(request))
      return null;
    const data = borrowedBytes(request.bytes);
    if (readCached(this.#file.fd, data, request.sector * SECTOR_BYTES) === data.length) return data;
    giveBack(data);
    return null;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#order.idle();
    try {
      if (!this.#options.readonly) await this.#file.datasync();
    } finally {
      await this.#file.close();
    }
  }

  async #perform(request: DiskRequest): Promise<Uint8Array> {
    if (request.op === 'flush') {
      await this.#file.datasync();
      return EMPTY;
    }
    if (request.sector + request.bytes / SECTOR_BYTES > this.sectors) {
      throw new Error(`the disk has only ${this.sectors} sectors`);
    }
    if (request.op === 'read') return this.#read(request);
    if (this.#options.readonly) throw new Error('the disk is read-only');
    await this.#write(request);
    return EMPTY;
  }

  async #read(request: DiskRequest): Promise<Uint8Array> {
    const data = new Uint8Array(request.bytes);
    const start = request.sector * SECTOR_BYTES;
    for (let at = readCached(this.#file.fd, data, start); at < data.length;) {
      const { bytesRead } = await this.#file.read(data, at, data.length - at, start + at);
      if (bytesRead === 0) throw new Error(`the file ends at byte ${start + at}`);
      at += bytesRead;
    }
    return data;
  }

  async #write(request: DiskRequest): Promise<void> {
    const { data } = request;
    const start = request.sector * SECTOR_BYTES;
    // A file cut short behind our back must not silently grow again with the lost part read as zeros.
    const { size } = await this.#file.stat();
    if (start + data.length > size) throw new Error(`the file ends at byte ${size}`);
    for (let at = 0; at < data.length;) {
      const { bytesWritten } = await this.#file.write(data, at, data.length - at, start + at);
      at += bytesWritten;
    }
  }
}

async function openFile(path: string, options: DiskFileOptions): Promise<FileHandle> {
  const create = options.createSectors !== undefined;
  assert(!(create && options.readonly), 'a new disk file is writable');
  try {
    return await open(path, create ? 'wx+' : options.readonly ? 'r' : 'r+');
  } catch (error) {
    throw new ConfigError(
      'disk file',
      path,
      `must be ${create ? 'a new file' : 'accessible'}: ${hostErrorMessage(error)}`,
    );
  }
}
