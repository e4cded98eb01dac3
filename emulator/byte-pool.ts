/**
 * Short-lived private copies: an ArrayBuffer of its own costs each more than its bytes do, and what the collector is told of
 * memory outside its heap makes it mark the whole heap again and again.
 *
 *   pooledBytes()                    cut out of shared blocks, for small ones
 *   borrowedBytes() -> giveBack()    the same memory over and over, for larger ones with a known end
 *   pooledOrBorrowedBytes()          whichever suits the size
 *
 * Invariants: what was handed out overlaps nothing else, and holds anything until it is filled; `buffer` of it belongs to others,
 * too, so views are made with its byteOffset. One small piece that is kept holds its block: for what lives long, copy it.
 */

const BLOCK_BYTES = 64 << 10;
/** Larger ones have a buffer of their own. */
const PIECE_BYTES_MAX = BLOCK_BYTES / 8;

let block = newBlock();
let used = 0;

/** `bytes` bytes, to be filled. */
export function pooledBytes(bytes: number): Uint8Array {
  if (bytes > PIECE_BYTES_MAX) return new Uint8Array(newBlock(bytes));
  if (used + bytes > BLOCK_BYTES) {
    block = newBlock();
    used = 0;
  }
  const piece = new Uint8Array(block, used, bytes);
  used += (bytes + 7) & ~7;
  return piece;
}

/** Not cleared, and of its own. */
function newBlock(bytes = BLOCK_BYTES): ArrayBuffer {
  return Buffer.allocUnsafeSlow(bytes).buffer;
}

/** Borrowed memory has one of few sizes: multiples of this or, where that is more, of a quarter of a power of two. */
const LENT_BYTES_STEP = 4 << 10;
/** So much is kept to be lent again. */
const KEPT_BYTES_MAX = 16 << 20;

const lent = new WeakSet<ArrayBufferLike>();
const shelves = new Map<number, ArrayBuffer[]>();
let keptBytes = 0;

/** `bytes` bytes, to be filled, and given back when nobody looks at them any more; not giving them back only costs time. */
export function borrowedBytes(bytes: number): Uint8Array {
  const step = Math.max(LENT_BYTES_STEP, 1 << (29 - Math.clz32(bytes)));
  const size = Math.ceil(bytes / step) * step;
  const buffer = shelves.get(size)?.pop();
  if (buffer !== undefined) keptBytes -= size;
  const memory = buffer ?? newBlock(size);
  lent.add(memory);
  return new Uint8Array(memory, 0, bytes);
}

/** Larger ones are borrowed. */
const POOLED_BYTES_MAX = 2 << 10;

/** `bytes` bytes, to be filled, and given back where that is easy: small ones are pooled, larger ones borrowed. */
export function pooledOrBorrowedBytes(bytes: number): Uint8Array {
  return bytes > POOLED_BYTES_MAX ? borrowedBytes(bytes) : pooledBytes(bytes);
}

/** The bytes are nobody's any more. What was not borrowed, or was given back before, is left alone. */
export function giveBack({ buffer }: Uint8Array): void {
  const size = buffer.byteLength;
  if (!lent.delete(buffer) || keptBytes + size > KEPT_BYTES_MAX) return;
  keptBytes += size;
  const shelf = shelves.get(size);
  if (shelf === undefined) shelves.set(size, [buffer as ArrayBuffer]);
  else shelf.push(buffer as ArrayBuffer);
}
