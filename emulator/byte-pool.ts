/**
 * Short-lived private copies, cut out of shared blocks: an ArrayBuffer of its own costs each more than its bytes do.
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
