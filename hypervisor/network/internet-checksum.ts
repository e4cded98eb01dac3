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
  let total = sum;
  let i = start;
  // Four words a time: their sum fits the processor's own integers, the total does not.
  for (; i + 8 <= end; i += 8) {
    total +=
      ((bytes[i]! + bytes[i + 2]! + bytes[i + 4]! + bytes[i + 6]!) << 8) +
      (bytes[i + 1]! + bytes[i + 3]! + bytes[i + 5]! + bytes[i + 7]!);
  }
  for (; i + 2 <= end; i += 2) total += (bytes[i]! << 8) | bytes[i + 1]!;
  if (i < end) total += bytes[i]! << 8;
  return total;
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
