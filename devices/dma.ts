/**
 * The one way devices reach guest RAM. Every access is bounds-checked; an access that is not wholly inside
 * RAM (or touches a hole in it) fails as a value, because it is the guest's mistake, not ours.
 * All multi-byte values are little-endian.
 */
export interface Dma {
  /** RAM size in bytes. */
  readonly bytes: number;
  /** A private copy of `bytes` bytes at `address`, or null when any of them is not RAM. */
  read(address: number, bytes: number): Uint8Array | null;
  /** Fill `into` from `address`. False, and nothing changed, when any byte is not RAM. */
  readInto(address: number, into: Uint8Array): boolean;
  /** Write `data` at `address`, invalidating translated code there. False, and nothing written, when any byte is not RAM. */
  write(address: number, data: Uint8Array): boolean;
  readU16(address: number): number | null;
  readU32(address: number): number | null;
  /** As a safe integer; null also when the value does not fit one. */
  readU64(address: number): number | null;
  writeU16(address: number, value: number): boolean;
  writeU32(address: number, value: number): boolean;
}
