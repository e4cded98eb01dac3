/**
 * Cuts a byte stream into the frames of a transport. Owns no socket.
 *
 *   offset  size
 *   0       4     bytes of body, little-endian, 0 to 16 MiB
 *   4       -     body
 *
 *   push(chunk) -> next() ... next() -> null          a frame that is whole in the chunk is a view of it
 *                                                     one that is not is put together in memory of its own
 *
 * Invariants: a frame is handed out whole or not at all; a length above the limit is refused before
 * anything is kept for it; memory held is never more than ASSEMBLED_BYTES above twice what the peer really sent.
 */
import { borrowedBytes, giveBack, pooledOrBorrowedBytes } from '../../emulator/byte-pool.js';
import { DecodeError, assert } from '../../emulator/errors.js';

export const LENGTH_PREFIX_BYTES = 4;
export const TRANSPORT_FRAME_BYTES_MAX = 16 << 20;
/** A body up to this gets all its memory when its prefix is here; a longer one as it comes. */
const ASSEMBLED_BYTES = 256 << 10;
const NOTHING = Buffer.alloc(0);
const TOO_LONG = `a transport frame has at most ${TRANSPORT_FRAME_BYTES_MAX} bytes`;

/** Write the prefix that goes in front of a body of `bytes` bytes. */
export function writeLengthPrefix(into: Uint8Array, at: number, bytes: number): void {
  assert(bytes <= TRANSPORT_FRAME_BYTES_MAX, TOO_LONG);
  into[at] = bytes;
  into[at + 1] = bytes >>> 8;
  into[at + 2] = bytes >>> 16;
  into[at + 3] = bytes >>> 24;
}

/** Collects the chunks of one direction of a connection. */
export class FrameSplitter {
  /** The newest chunk, of which everything before `#at` is used up. */
  #chunk: Buffer = NOTHING;
  #at = 0;
  /** What the chunk is a view of, and where it begins there. */
  #memory: ArrayBufferLike = NOTHING.buffer;
  #memoryAt = 0;
  /** The chunk's memory is used again: nothing handed out may be a view of it. */
  #lent = false;
  readonly #prefix = Buffer.alloc(LENGTH_PREFIX_BYTES);
  #prefixBytes = 0;
  /** The frame that began in an earlier chunk, of which `#filled` bytes are here. */
  #body: Uint8Array | null = null;
  #filled = 0;
  #wanted = 0;

  /** Bytes of frames that were not handed out. */
  get heldBytes(): number {
    return this.#prefixBytes + this.#filled + this.#chunk.length - this.#at;
  }

  /**
   * Add what arrived. The chunk is kept by reference and must not change afterwards; one that is `lent` not before
   * keep() was called.
   */
  push(chunk: Uint8Array, lent = false): void {
    this.keep();
    const left = this.#chunk.length - this.#at;
    const more = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
    this.#begins(left === 0 ? more : Buffer.concat([this.#chunk.subarray(this.#at), more]));
    this.#lent = lent && left === 0;
  }

  /** A chunk that was lent is about to change: copy what is left of it. */
  keep(): void {
    if (!this.#lent) return;
    this.#begins(this.#at === this.#chunk.length ? NOTHING : Buffer.from(this.#chunk.subarray(this.#at)));
    this.#lent = false;
  }

  #begins(chunk: Buffer): void {
    this.#chunk = chunk;
    this.#memory = chunk.buffer;
    this.#memoryAt = chunk.byteOffset;
    this.#at = 0;
  }

  /**
   * The next whole frame's body, a view of a chunk that was not lent, or pooled or borrowed (byte-pool.ts); null when more bytes
   * are needed.
   * @throws DecodeError when a length is above the limit; the stream is useless from there on
   */
  next(): Uint8Array | null {
    if (this.#body !== null) return this.#fill(this.#body);
    if (this.#prefixBytes > 0) return this.#nextPrefix();
    const chunk = this.#chunk;
    const start = this.#at + LENGTH_PREFIX_BYTES;
    if (start > chunk.length) return this.#nextPrefix();
    const length = checked(chunk.readUInt32LE(this.#at));
    const end = start + length;
    this.#at = start;
    if (this.#lent || end > chunk.length) return this.#begin(length);
    this.#at = end;
    // Not a Buffer, and without asking the chunk for its own: both take longer.
    return new Uint8Array(this.#memory, this.#memoryAt + start, length);
  }

  #nextPrefix(): Uint8Array | null {
    const bytes = Math.min(LENGTH_PREFIX_BYTES - this.#prefixBytes, this.#chunk.length - this.#at);
    this.#chunk.copy(this.#prefix, this.#prefixBytes, this.#at, this.#at + bytes);
    this.#at += bytes;
    this.#prefixBytes += bytes;
    if (this.#prefixBytes < LENGTH_PREFIX_BYTES) return null;
    const length = checked(this.#prefix.readUInt32LE(0));
    this.#prefixBytes = 0;
    return this.#begin(length);
  }

  /** Put a frame together in memory of its own, from here on. */
  #begin(length: number): Uint8Array | null {
    this.#wanted = length;
    return this.#fill((this.#body = pooledOrBorrowedBytes(Math.min(length, ASSEMBLED_BYTES))));
  }

  #fill(body: Uint8Array): Uint8Array | null {
    const end = Math.min(this.#chunk.length, this.#at + this.#wanted - this.#filled);
    const filled = this.#filled + end - this.#at;
    const room = filled <= body.length ? body : this.#grow(body, filled);
    if (end > this.#at) room.set(this.#chunk.subarray(this.#at, end), this.#filled);
    this.#at = end;
    this.#filled = filled;
    if (filled < this.#wanted) return null;
    this.#body = null;
    this.#filled = 0;
    return room.length === filled ? room : room.subarray(0, filled);
  }

  #grow(body: Uint8Array, bytes: number): Uint8Array {
    const room = borrowedBytes(Math.min(this.#wanted, 2 * bytes));
    room.set(body.subarray(0, this.#filled));
    giveBack(body);
    return (this.#body = room);
  }
}

function checked(length: number): number {
  if (length <= TRANSPORT_FRAME_BYTES_MAX) return length;
  throw new DecodeError('too-large', 0, `a frame of ${length} bytes is above ${TRANSPORT_FRAME_BYTES_MAX}`);
}
