/**
 * Short-lived private copies, cut out of shared blocks: an ArrayBuffer of its own costs each more than its bytes do.
 *
 * Invariants: what was handed out is all zeros and overlaps nothing else; `buffer` of it belongs to others, too, so views are
 * made with its byteOffset. One small piece that is kept holds its block: for what lives long, copy it.
 */

const BLOCK_BYTES = 64 << 10;
/** Larger ones have a buffer of their own. */
const PIECE_BYTES_MAX = BLOCK_BYTES / 8;

let block = new ArrayBuffer(BLOCK_BYTES);
let used = 0;

/** `bytes` zero bytes. */
export function pooledBytes(bytes: number): Uint8Array {
  if (bytes > PIECE_BYTES_MAX) return new Uint8Array(bytes);
  if (used + bytes > BLOCK_BYTES) {
    block = new ArrayBuffer(BLOCK_BYTES);
    used = 0;
  }
  const piece = new Uint8Array(block, used, bytes);
  used += (bytes + 7) & ~7;
  return piece;
}
