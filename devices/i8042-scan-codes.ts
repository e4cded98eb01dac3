/**
 * Scan code set 2, what AT keyboards send, into set 1, what PC software reads.
 *
 *   make   set 2 code c        -> table[c]           0x83 (F7) -> 0x41, 0x84 (SysRq) -> 0x54
 *   break  0xf0, set 2 code c  -> table[c] | 0x80    other bytes from 0x80 on (prefixes, replies) stay as they are
 *
 * The controller does this to everything the keyboard sends, replies included: the identification 0xab 0x83 is read as
 * 0xab 0x41.
 *
 * Source: Microsoft, Keyboard Scan Code Specification 1.3a, appendix A (both sets, key by key); IBM PS/2 Hardware
 * Interface Technical Reference, Keyboard and Auxiliary Device Controller, scan code translation.
 */

const BREAK_PREFIX = 0xf0;
const BREAK_BIT = 0x80;

/** Row r, column c: set 1 code of set 2 code 16 r + c. Codes that no key has get the numbers that are left over. */
const SET_1_CODES = [
  'ff 43 41 3f 3d 3b 3c 58  64 44 42 40 3e 0f 29 59',
  '65 38 2a 70 1d 10 02 5a  66 71 2c 1f 1e 11 03 5b',
  '67 2e 2d 20 12 05 04 5c  68 39 2f 21 14 13 06 5d',
  '69 31 30 23 22 15 07 5e  6a 72 32 24 16 08 09 5f',
  '6b 33 25 17 18 0b 0a 60  6c 34 35 26 27 19 0c 61',
  '6d 73 28 74 1a 0d 62 6e  3a 36 1c 1b 75 2b 63 76',
  '55 56 77 78 79 7a 0e 7b  7c 4f 7d 4b 47 7e 7f 6f',
  '52 53 50 4c 4d 48 01 45  57 4e 51 4a 37 49 46 54',
].flatMap((row) => row.split(/ +/).map((code) => Number.parseInt(code, 16)));

/** Translates a stream of bytes; the break prefix is what it remembers. */
export class ScanCodeTranslator {
  /** A break prefix came and its code did not yet. */
  breakPending = false;

  /** The byte that comes out for `byte`, or null when there is none (a break prefix). */
  translate(byte: number): number | null {
    if (byte === BREAK_PREFIX) {
      this.breakPending = true;
      return null;
    }
    const code = set1Code(byte) | (this.breakPending ? BREAK_BIT : 0);
    this.breakPending = false;
    return code;
  }
}

function set1Code(byte: number): number {
  if (byte === 0x83) return 0x41;
  if (byte === 0x84) return 0x54;
  return SET_1_CODES[byte] ?? byte;
}
