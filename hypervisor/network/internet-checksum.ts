/**
 * The Internet checksum: ones' complement of the ones' complement sum of big-endian 16-bit words; a last
 * odd byte counts as the high half of a word.
 * Source: RFC 1071, sections 1 and 2.
 */

/** Sum words of `bytes` onto `sum`, without folding. The result stays exact below 2^53. */
export function sumWords(bytes: Uint8Array, sum = 0): number {
  let total = sum;
  const even = bytes.length & ~1;
  for (let i = 0; i < even; i += 2) total += ((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0);
  if (even !== bytes.length) total += (bytes[even] ?? 0) << 8;
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
