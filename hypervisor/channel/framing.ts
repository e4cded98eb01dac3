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
import { DecodeError, assert } from '../../emulator/errors.js';
import { ChunkQueue } from './chunk-queue.js';

export const LENGTH_PREFIX_BYTES = 4;
export const TRANSPORT_FRAME_BYTES_MAX = 16 << 20;

/** The prefix that goes in front of a body of `bytes` bytes. */
export function lengthPrefix(bytes: number): Buffer {
  assert(bytes <= TRANSPORT_FRAME_BYTES_MAX, `a transport frame has at most ${TRANSPORT_FRAME_BYTES_MAX} bytes`);
  const prefix = Buffer.allocUnsafe(LENGTH_PREFIX_BYTES);
  prefix.writeUInt32LE(bytes);
  return prefix;
}

/** Collects the chunks of one direction of a connection. */
export class FrameSplitter {
  readonly #held = new ChunkQueue();
  /** Body length of the frame being collected; -1 while its prefix is incomplete. */
  #wanted = -1;

  /** Bytes of an incomplete frame. */
  get heldBytes(): number {
    return this.#held.length;
  }

  /** Add what arrived. The chunk is kept by reference and must not change afterwards. */
  push(chunk: Uint8Array): void {
    this.#held.push(chunk);
  }

  /**
   * The next whole frame's body, possibly a view of a pushed chunk; null when more bytes are needed.
   * @throws DecodeError when a length is above the limit; the stream is useless from there on
   */
  next(): Uint8Array | null {
    if (this.#wanted < 0) {
      if (this.#held.length < LENGTH_PREFIX_BYTES) return null;
      const length = this.#held.take(LENGTH_PREFIX_BYTES).readUInt32LE(0);
      if (length > TRANSPORT_FRAME_BYTES_MAX) {
        throw new DecodeError('too-large', 0, `a frame of ${length} bytes is above ${TRANSPORT_FRAME_BYTES_MAX}`);
      }
      this.#wanted = length;
    }
    if (this.#held.length < this.#wanted) return null;
    const body = this.#held.take(this.#wanted);
    this.#wanted = -1;
    return body;
  }
}
