/**
 * Edge: snapshot files (layout in format.ts).
 *
 * Writing: everything goes to `PATH.incomplete`, to the disk, and only then to its name, so a file under its
 * name is whole. Reading: opening checks every byte of the file once; pages are read again, and checked
 * again, when asked for. Memory: the sections, 4 bytes per page of guest RAM and one chunk of 1 MiB.
 */
import { closeSync, fsyncSync, openSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { DecodeError, assert } from '../../emulator/errors.js';
import type { StateRecord } from '../../devices/state.js';
import { fastCrc32 } from '../log/fast-crc32.js';
import { openForReading, pathError, readFully, requireReplaceable, writeFully } from '../log/open-file.js';
import type { PageMap } from './format.js';
import {
  SNAPSHOT_HEAD_BYTES,
  SNAPSHOT_MAGIC,
  decodeSnapshotFront,
  decodeSnapshotHead,
  encodeSnapshotFront,
  mapPages,
} from './format.js';
import type { Snapshot, SnapshotContent, SnapshotMeta, SnapshotRegisters } from './snapshot.js';
import { PAGE_BYTES, isZeroPage } from './snapshot.js';

const CHUNK_PAGES = 256;
/** One write call takes no more than this. */
const WRITE_PAGES = 4096;

export interface WriteOptions {
  /** Numbers of the only pages that may not be zero, ascending; null: any may. */
  readonly written: ArrayLike<number> | null;
  /** It is on the disk when it has its name. */
  readonly durable: boolean;
}

/**
 * Write a snapshot file, whole or not at all, and return its size in bytes.
 * `ram` is the guest's memory; it does not change meanwhile, because nothing else runs.
 * @throws ConfigError when the path cannot be written or another kind of file is in its place
 */
export function writeSnapshot(
  path: string,
  content: SnapshotContent,
  ram: Uint8Array,
  { written, durable }: WriteOptions = { written: null, durable: true },
): number {
  assert(ram.length === content.meta.memoryBytes, 'the memory of a snapshot has the size its meta data says');
  requireReplaceable('snapshot', path, SNAPSHOT_MAGIC);
  const map = mapPages(ram, written);
  const front = encodeSnapshotFront(content, map);
  const incomplete = `${path}.incomplete`;
  const fd = create(incomplete);
  try {
    try {
      writeFully(fd, front, 0);
      writePages(fd, front.length, ram, map);
      if (durable) fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(incomplete, path);
    if (durable) syncDirectory(dirname(path));
  } catch (error) {
    rmSync(incomplete, { force: true });
    throw pathError('snapshot', path, error);
  }
  return front.length + map.crcs.length * PAGE_BYTES;
}

function create(path: string): number {
  try {
    return openSync(path, 'w', 0o600);
  } catch (error) {
    throw pathError('snapshot', path, error);
  }
}

/** Write the stored pages, neighbours in one call. */
function writePages(fd: number, offset: number, ram: Uint8Array, { places }: PageMap): void {
  let position = offset;
  for (let first = 0; first < places.length;) {
    let end = first;
    while (end < places.length && end - first < WRITE_PAGES && places[end] !== 0) end++;
    writeFully(fd, ram.subarray(first * PAGE_BYTES, end * PAGE_BYTES), position);
    position += (end - first) * PAGE_BYTES;
    first = end === first ? first + 1 : end;
  }
}

/** Make the new name last. */
function syncDirectory(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/**
 * Open a snapshot file and check every byte of it. The caller closes it.
 * @throws ConfigError when there is no such file, DecodeError when it is not a whole snapshot of this version
 */
export function readSnapshot(path: string): SnapshotFile {
  const snapshot = openSnapshot(path);
  try {
    snapshot.verify();
    return snapshot;
  } catch (error) {
    snapshot.close();
    throw error;
  }
}

/** As readSnapshot(), but a page is checked when it is asked for: for who asks for all of them. @throws the same */
export function openSnapshot(path: string): SnapshotFile {
  const { fd, bytes } = openForReading('snapshot', path);
  try {
    const start = new Uint8Array(SNAPSHOT_HEAD_BYTES);
    const head = decodeSnapshotHead(start.subarray(0, readFully(fd, start, 0)));
    if (bytes !== head.fileBytes) {
      const code = bytes < head.fileBytes ? 'truncated' : 'trailing-bytes';
      throw new DecodeError(
        code,
        Math.min(bytes, head.fileBytes),
        `a snapshot of ${head.fileBytes} bytes has ${bytes}`,
      );
    }
    const front = new Uint8Array(head.pagesOffset);
    readFully(fd, front, 0);
    return new SnapshotFile(fd, head.pagesOffset, decodeSnapshotFront(front, head));
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function sameBytes(a: Uint8Array | Uint32Array, b: Uint8Array | Uint32Array): boolean {
  const [ofA, ofB] = [a, b].map((array) => new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
  return Buffer.compare(ofA!, ofB!) === 0;
}

/** An open snapshot file. */
export class SnapshotFile implements Snapshot {
  readonly meta: SnapshotMeta;
  readonly registers: SnapshotRegisters;
  readonly cpuState: Uint8Array;
  readonly devices: StateRecord;
  readonly #fd: number;
  readonly #pagesOffset: number;
  readonly #map: PageMap;
  readonly #chunk: Uint8Array;
  /** Place of the chunk's first page among the stored ones; -1: none read yet. */
  #chunkPlace = -1;
  #open = true;

  /** For readSnapshot: takes over the descriptor. */
  constructor(fd: number, pagesOffset: number, content: SnapshotContent & { readonly map: PageMap }) {
    this.meta = content.meta;
    this.registers = content.registers;
    this.cpuState = content.cpuState;
    this.devices = content.devices;
    this.#fd = fd;
    this.#pagesOffset = pagesOffset;
    this.#map = content.map;
    this.#chunk = new Uint8Array(Math.min(CHUNK_PAGES, content.map.crcs.length) * PAGE_BYTES);
  }

  page(index: number): Uint8Array | null {
    const place = this.#map.places[index];
    assert(place !== undefined, 'a page lies inside the memory');
    return place === 0 ? null : this.#stored(place - 1);
  }

  /** Fill `ram`, all of the guest's memory, whatever it holds. */
  loadRam(ram: Uint8Array): void {
    assert(ram.length === this.meta.memoryBytes, 'memory is restored into memory of its size');
    for (let index = 0; index < this.#map.places.length; index++) {
      const page = this.page(index);
      if (page !== null) ram.set(page, index * PAGE_BYTES);
      else ram.fill(0, index * PAGE_BYTES, (index + 1) * PAGE_BYTES);
    }
  }

  samePages(other: Snapshot): boolean {
    if (!(other instanceof SnapshotFile)) return false;
    const [mine, theirs] = [this.#map, other.#map];
    if (!sameBytes(mine.places, theirs.places) || !sameBytes(mine.crcs, theirs.crcs)) return false;
    const [a, b] = [this.#chunk, new Uint8Array(this.#chunk.length)];
    this.#chunkPlace = -1;
    for (let first = 0; first < mine.crcs.length; first += CHUNK_PAGES) {
      const bytes = Math.min(CHUNK_PAGES, mine.crcs.length - first) * PAGE_BYTES;
      readFully(this.#fd, a.subarray(0, bytes), this.#pagesOffset + first * PAGE_BYTES);
      readFully(other.#fd, b.subarray(0, bytes), other.#pagesOffset + first * PAGE_BYTES);
      if (!sameBytes(a.subarray(0, bytes), b.subarray(0, bytes))) return false;
    }
    return true;
  }

  /** Read all pages. @throws DecodeError when one is damaged */
  verify(): void {
    for (let place = 0; place < this.#map.crcs.length; place += CHUNK_PAGES) this.#stored(place);
  }

  /** Harmless when repeated. */
  close(): void {
    if (this.#open) closeSync(this.#fd);
    this.#open = false;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #stored(place: number): Uint8Array {
    const first = place - (place % CHUNK_PAGES);
    if (first !== this.#chunkPlace) this.#readChunk(first);
    return this.#chunk.subarray((place - first) * PAGE_BYTES, (place - first + 1) * PAGE_BYTES);
  }

  #readChunk(first: number): void {
    const { crcs } = this.#map;
    const count = Math.min(CHUNK_PAGES, crcs.length - first);
    const offset = this.#pagesOffset + first * PAGE_BYTES;
    this.#chunkPlace = -1;
    readFully(this.#fd, this.#chunk.subarray(0, count * PAGE_BYTES), offset);
    for (let i = 0; i < count; i++) {
      const page = this.#chunk.subarray(i * PAGE_BYTES, (i + 1) * PAGE_BYTES);
      const at = offset + i * PAGE_BYTES;
      if (fastCrc32(page) !== crcs[first + i]) throw new DecodeError('bad-crc', at, 'the CRC of a page does not match');
      if (isZeroPage(page)) throw new DecodeError('zero-page', at, 'a page of zeros is stored');
    }
    this.#chunkPlace = first;
  }
}
