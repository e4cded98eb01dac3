/**
 * The Internet checksum: ones' complement of the ones' complement sum of big-endian 16-bit words; a last
 * odd byte counts as the high half of a word.
 * Source: RFC 1071, sections 1 and 2.
 */

/** Sum words of `bytes` onto `sum`, without folding. The result stays exact below 2^53. */
export function sumWords(bytes: Uint8Array, sum = 0): number {
  return sumWordsOf(bytes, 0, bytes.length, sum);
}

/** The same of the bytes from `start` to `end`, which is not included. */
export function sumWordsOf(bytes: Uint8Array, start: number, end: number, sum: number): number {
  const words = viewOf(bytes);
  const stop = bytes.byteOffset + end;
  let i = bytes.byteOffset + start;
  // Two words a time, several times in a row. Both sums fit the processor's own integers, what they are added to need not.
  let high = 0;
  let low = 0;
  for (; i + 16 <= stop; i += 16) {
    const a = words.getInt32(i);
    const b = words.getInt32(i + 4);
    const c = words.getInt32(i + 8);
    const d = words.getInt32(i + 12);
    high = (high + (a >>> 16) + (b >>> 16) + (c >>> 16) + (d >>> 16)) | 0;
    low = (low + (a & 0xffff) + (b & 0xffff) + (c & 0xffff) + (d & 0xffff)) | 0;
  }
  let total = sum + high + low;
  for (; i + 2 <= stop; i += 2) total += words.getUint16(i);
  if (i < stop) total += words.getUint8(i) << 8;
  return total;
}

/** Datagrams that come together lie in one buffer, and a view of their own would cost more than the sum. */
let lastView: DataView = new DataView(new ArrayBuffer(0));

function viewOf({ buffer }: Uint8Array): DataView {
  if (lastView.buffer !== buffer) lastView = new DataView(buffer);
  return lastView;
}

/** Fold the carries into 16 bits and complement: what goes into the checksum field (summed as zero before). */
export function finishChecksum(sum: number): number {
  let folded = sum;
  while (folded > 0xffff) folded = (folded % 0x10000) + Math.floor(folded / 0x10000);
  return 0xffff - folded;
}

/** Checksum of `bytes`; 0 when they contain a right checksum already. */
export function internetChecksum(bytes: Uint8Array): number {
  return finishChecksum(sumWords(bytes));
}
