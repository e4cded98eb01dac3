/**
 * A queue of bytes that arrived in chunks and are taken out in other sizes. Owns no socket.
 *
 * Invariants: bytes leave in the order in which they came; what is taken is a view of a pushed chunk where that is
 * possible, a copy where it crosses chunks; memory held is never more than what was pushed and not taken.
 */
import { assert } from '../../emulator/errors.js';

export class ChunkQueue {
  #chunks: Buffer[] = [];
  #length = 0;

  /** Bytes that were pushed and not taken. */
  get length(): number {
    return this.#length;
  }

  /** Add what arrived. The chunk is kept by reference and must not change afterwards. */
  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    this.#chunks.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length));
    this.#length += chunk.length;
  }

  /** Remove exactly `bytes` bytes, which are there. */
  take(bytes: number): Buffer {
    assert(bytes <= this.#length, 'a queue gives only bytes that it holds');
    this.#length -= bytes;
    const first = this.#chunks[0];
    if (first === undefined || bytes === 0) return Buffer.alloc(0);
    if (first.length > bytes) {
      this.#chunks[0] = first.subarray(bytes);
      return first.subarray(0, bytes);
    }
    if (first.length === bytes) {
      this.#chunks.shift();
      return first;
    }
    return this.#takeAcross(bytes);
  }

  #takeAcross(bytes: number): Buffer {
    const out = Buffer.allocUnsafe(bytes);
    let at = 0;
    let used = 0;
    while (at < bytes) {
      const chunk = this.#chunks[used];
      assert(chunk !== undefined, 'the queue holds the bytes it counts');
      const part = Math.min(chunk.length, bytes - at);
      out.set(chunk.subarray(0, part), at);
      at += part;
      if (part === chunk.length) used++;
      else this.#chunks[used] = chunk.subarray(part);
    }
    this.#chunks.splice(0, used);
    return out;
  }
}
