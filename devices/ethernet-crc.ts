/**
 * The CRC of Ethernet, as a chip keeps it while a frame goes by: bit 31 is the term x^0 (reflected), not inverted.
 *
 *   frame check sequence = ~crc, least significant byte first      multicast filter bit = first 6 bits of crc, below
 *
 * Source: IEEE 802.3, section 3.2.9; NS DP8390D data sheet, section 10.7 (multicast address registers).
 */

const POLYNOMIAL = 0xedb88320;
const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc & 1) !== 0 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
  return crc >>> 0;
});

/** CRC register after `bytes`. */
export function ethernetCrc(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ TABLE[(crc ^ byte) & 0xff]!;
  return crc >>> 0;
}

/** Which of the 64 bits of a multicast filter stands for an address: the CRC's 6 most significant bits, x^31 first. */
export function multicastFilterBit(address: Uint8Array): number {
  const crc = ethernetCrc(address);
  let bit = 0;
  // Reflected, the most significant term is bit 0.
  for (let i = 0; i < 6; i++) bit = (bit << 1) | ((crc >>> i) & 1);
  return bit;
}
