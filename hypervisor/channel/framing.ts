/**
 * Cuts a byte stream into the frames of a transport. Owns no socket.
 *
 *   offset  size
 *   0       4     bytes of body, little-endian, 0 to 16 MiB
 *   4       -     body
 *
 * Invariants: a frame is handed out whole or not at all; a length above the limit is refused before
 * anything is kept for it; memory held is never more than what the peer really sent.
 */
import { pooledOrBorrowedBytes } from '../../emulator/byte-pool.js';
import { DecodeError, assert } from '../../emulator/errors.js';
import { ChunkQueue } from './chunk-queue.js';

export const LENGTH_PREFIX_BYTES = 4;
export const TRANSPORT_FRAME_BYTES_MAX = 16 << 20;

/** Write the prefix that goes in front of a body of `bytes` bytes. */
export function writeLengthPrefix(into: Buffer, at: number, bytes: number): void {
  assert(bytes <= TRANSPORT_FRAME_BYTES_MAX, `a transport frame has at most ${TRANSPORT_FRAME_BYTES_MAX} bytes`);
  into.writeUInt32LE(bytes, at);
}

/** Collects the chunks of one direction of a connection. */
export class FrameSplitter {
  /** The newest chunk, from `#at` on; null: used up. Frames that are whole in it are cut out of it. */
  #chunk: Buffer | null = null;
  #at = 0;
  /** What came before that chunk. Packets, which nobody gives back, are small. */
  readonly #held = new ChunkQueue(pooledOrBorrowedBytes);
  /** Body length of the frame being collected; -1 while its prefix is incomplete. */
  #wanted = -1;

  /** Bytes of an incomplete frame. */
  get heldBytes(): number {
    return this.#held.length + (this.#chunk === null ? 0 : this.#chunk.length - this.#at);
  }

  /** Add what arrived. The chunk is kept by reference and must not change afterwards. */
  push(chunk: Uint8Array): void {
    this.#hold();
    if (this.#wanted >= 0 || this.#held.length > 0) {
      this.#held.push(chunk);
    } else if (chunk.length > 0) {
      this.#chunk = Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
      this.#at = 0;
    }
  }

  /**
   * The next whole frame's body, a view of a pushed chunk, or pooled or borrowed (byte-pool.ts); null when more bytes are needed.
   * @throws DecodeError when a length is above the limit; the stream is useless from there on
   */
  next(): Uint8Array | null {
    const chunk = this.#chunk;
    if (chunk === null) return this.#nextHeld();
    const start = this.#at + LENGTH_PREFIX_BYTES;
    if (start > chunk.length) return this.#nextLater();
    const end = start + checked(chunk.readUInt32LE(this.#at));
    if (end > chunk.length) return this.#nextLater();
    this.#at = end;
    if (end === chunk.length) this.#chunk = null;
    return chunk.subarray(start, end);
  }

  /** The chunk has the beginning of a frame only. */
  #nextLater(): Uint8Array | null {
    this.#hold();
    return this.#nextHeld();
  }

  #hold(): void {
    if (this.#chunk === null) return;
    this.#held.push(this.#at === 0 ? this.#chunk : this.#chunk.subarray(this.#at));
    this.#chunk = null;
  }

  #nextHeld(): Uint8Array | null {
    if (this.#wanted < 0) {
      if (this.#held.length < LENGTH_PREFIX_BYTES) return null;
      this.#wanted = checked(this.#held.take(LENGTH_PREFIX_BYTES).readUInt32LE(0));
    }
    if (this.#held.length < this.#wanted) return null;
    const body = this.#held.take(this.#wanted);
    this.#wanted = -1;
    // What follows in the newest chunk is cut out of it again.
    this.#chunk = this.#held.takeOnlyChunk();
    this.#at = 0;
    return body;
  }
}

function checked(length: number): number {
  if (length <= TRANSPORT_FRAME_BYTES_MAX) return length;
  throw new DecodeError('too-large', 0, `a frame of ${length} bytes is above ${TRANSPORT_FRAME_BYTES_MAX}`);
}
