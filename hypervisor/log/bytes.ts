/**
 * Byte writer and strict byte reader shared by the log, snapshot and state formats.
 *
 *   u8, u32      fixed width, little-endian
 *   varint       7 bits a byte, least significant group first, top bit = more follow; shortest form only,
 *                at most 8 bytes, at most 2^53 - 1 (LEB128 without its longer spellings)
 *   string       varint byte length, then well-formed UTF-8
 *
 * Invariants: a value has exactly one spelling; the reader never returns bytes beyond its end and never
 * allocates more than it holds; values that a caller of ours gets wrong are InvariantErrors, bytes from
 * outside are DecodeErrors.
 * Source: unsigned LEB128 as in the DWARF 5 standard, section 7.6; UTF-8 as in RFC 3629.
 */
import { borrowedBytes, giveBack } from '../../emulator/byte-pool.js';
import { DecodeError, assert } from '../../emulator/errors.js';

/** Longest varint: 2^53 - 1 needs ceil(53 / 7) bytes. */
export const VARINT_BYTES_MAX = 8;
const GROUP = 128;
/** Up to here the groups of a varint fit 32-bit integer arithmetic. */
const SMALL_MAX = 0x7fffffff;
/** Up to this many characters a plain loop beats the call into the encoder. */
const SHORT_STRING = 32;
/** A writer that needs more than this borrows it. */
const BORROWED_BYTES_MIN = 32 << 10;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function bufferOf(memory: Uint8Array): Buffer {
  return Buffer.from(memory.buffer, memory.byteOffset, memory.length);
}

/** Grows as needed; reused after {@link ByteWriter.reset}, so that the hot path allocates nothing. */
export class ByteWriter {
  #bytes: Buffer;
  #length = 0;

  constructor(initialBytes = 256) {
    this.#bytes = Buffer.allocUnsafe(initialBytes);
  }

  get length(): number {
    return this.#length;
  }

  /** Forget everything from byte `length` on; the memory is kept. */
  reset(length = 0): void {
    assert(length <= this.#length, 'a byte writer only shrinks by reset');
    this.#length = length;
  }

  /** Leave what was written to whoever has a view of it, and go on in `memory`, at byte `length`: what is before may be anything. */
  moveTo(memory: Uint8Array, length: number): void {
    assert(length <= memory.length, 'a byte writer moves to where it has room');
    this.#bytes = bufferOf(memory);
    this.#length = length;
  }

  /** The bytes [start, end) written so far: a view, valid until the next write. */
  view(start = 0, end = this.#length): Uint8Array {
    return this.#bytes.subarray(start, end);
  }

  /** Overwrite bytes written before. */
  patchBytes(offset: number, data: Uint8Array): void {
    this.#bytes.set(data, offset);
  }

  /** A copy of everything written that the caller owns. */
  copy(start = 0): Uint8Array {
    return new Uint8Array(this.#bytes.subarray(start, this.#length));
  }

  u8(value: number): void {
    if (this.#length === this.#bytes.length) this.#grow(1);
    this.#bytes[this.#length++] = value;
  }

  /** Overwrite one byte written before. */
  patch(offset: number, value: number): void {
    this.#bytes[offset] = value;
  }

  /** The byte at `offset`, written before. */
  at(offset: number): number {
    return this.#bytes[offset]!;
  }

  u32(value: number): void {
    if (this.#length + 4 > this.#bytes.length) this.#grow(4);
    this.#bytes.writeUInt32LE(value, this.#length);
    this.#length += 4;
  }

  /** @throws InvariantError unless `value` is a safe integer of at least 0 */
  varint(value: number): void {
    assert(Number.isSafeInteger(value) && value >= 0, 'a varint holds safe integers from 0 up');
    if (this.#length + VARINT_BYTES_MAX > this.#bytes.length) this.#grow(VARINT_BYTES_MAX);
    const bytes = this.#bytes;
    let at = this.#length;
    let rest = value;
    while (rest > SMALL_MAX) {
      bytes[at++] = (rest % GROUP) | GROUP;
      rest = Math.floor(rest / GROUP);
    }
    while (rest >= GROUP) {
      bytes[at++] = (rest & 0x7f) | GROUP;
      rest >>>= 7;
    }
    bytes[at++] = rest;
    this.#length = at;
  }

  /** Write a safe integer in as few whole bytes as it needs, low byte first; return how many (0 for 0). */
  trimmed(value: number): number {
    if (this.#length + 8 > this.#bytes.length) this.#grow(8);
    const bytes = this.#bytes;
    const start = this.#length;
    let at = start;
    let rest = value;
    while (rest > SMALL_MAX) {
      bytes[at++] = rest % 256;
      rest = Math.floor(rest / 256);
    }
    while (rest > 0) {
      bytes[at++] = rest & 0xff;
      rest >>>= 8;
    }
    this.#length = at;
    return at - start;
  }

  bytes(data: Uint8Array): void {
    if (this.#length + data.length > this.#bytes.length) this.#grow(data.length);
    this.#bytes.set(data, this.#length);
    this.#length += data.length;
  }

  /** @throws InvariantError when `text` has a lone surrogate, which UTF-8 cannot carry */
  string(text: string): void {
    if (text.length <= SHORT_STRING && this.#shortAscii(text)) return;
    const encoded = Buffer.from(text, 'utf8');
    assert(encoded.length === text.length || encoded.toString('utf8') === text, 'a string is well-formed Unicode');
    this.varint(encoded.length);
    this.bytes(encoded);
  }

  /** Write a short ASCII string; false, and nothing written, when it is not ASCII. */
  #shortAscii(text: string): boolean {
    if (this.#length + 1 + text.length > this.#bytes.length) this.#grow(1 + text.length);
    const bytes = this.#bytes;
    let at = this.#length;
    bytes[at++] = text.length;
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      if (code >= GROUP) return false;
      bytes[at++] = code;
    }
    this.#length = at;
    return true;
  }

  #grow(more: number): void {
    const size = Math.max(this.#bytes.length * 2, this.#length + more + 64);
    const next = size < BORROWED_BYTES_MIN ? Buffer.allocUnsafe(size) : bufferOf(borrowedBytes(size));
    next.set(this.#bytes.subarray(0, this.#length));
    giveBack(this.#bytes);
    this.#bytes = next;
  }
}

/** Reads `bytes` once from front to back. Every error names the offset in `bytes` plus `base`. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #base: number;
  #at: number;

  /** Start at `start`; `base` is added to offsets in errors (where `bytes` lies in its file). */
  constructor(bytes: Uint8Array, start = 0, base = 0) {
    this.#bytes = bytes;
    this.#at = start;
    this.#base = base;
  }

  get offset(): number {
    return this.#at;
  }

  get remaining(): number {
    return this.#bytes.length - this.#at;
  }

  fail(code: string, message: string): never {
    throw new DecodeError(code, this.#base + this.#at, message);
  }

  u8(): number {
    if (this.#at >= this.#bytes.length) this.fail('truncated', 'a byte is missing');
    return this.#bytes[this.#at++]!;
  }

  u32(): number {
    this.#need(4);
    const bytes = this.#bytes;
    const at = this.#at;
    this.#at += 4;
    return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
  }

  varint(): number {
    const first = this.u8();
    if (first < GROUP) return first;
    let value = first & 0x7f;
    let scale = GROUP;
    for (let count = 1; count < VARINT_BYTES_MAX; count++) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      scale *= GROUP;
      if (byte >= GROUP) continue;
      if (byte === 0) this.fail('not-minimal', 'a number is spelt longer than needed');
      if (value > Number.MAX_SAFE_INTEGER) this.fail('too-large', 'a number is above 2^53 - 1');
      return value;
    }
    return this.fail('too-large', 'a number is longer than 8 bytes');
  }

  /** Read a varint of at most `max`. */
  limited(max: number, what: string): number {
    const value = this.varint();
    if (value > max) this.fail('too-large', `${what} ${value} is above ${max}`);
    return value;
  }

  /** Read a u32 of at most `max`. */
  limited32(max: number, what: string): number {
    const value = this.u32();
    if (value > max) this.fail('too-large', `${what} ${value} is above ${max}`);
    return value;
  }

  /** The twin of {@link ByteWriter.trimmed}. */
  trimmed(count: number): number {
    if (count === 0) return 0;
    this.#need(count);
    let value = 0;
    for (let i = count - 1; i >= 0; i--) value = value * 256 + this.#bytes[this.#at + i]!;
    if (this.#bytes[this.#at + count - 1] === 0) this.fail('not-minimal', 'a number is spelt longer than needed');
    if (value > Number.MAX_SAFE_INTEGER) this.fail('too-large', 'a number is above 2^53 - 1');
    this.#at += count;
    return value;
  }

  /** The next `count` bytes as a private copy. */
  bytes(count: number): Uint8Array {
    this.#need(count);
    return new Uint8Array(this.view(count));
  }

  /** The next `count` bytes as a view. */
  view(count: number): Uint8Array {
    this.#need(count);
    this.#at += count;
    return this.#bytes.subarray(this.#at - count, this.#at);
  }

  /** Read a string of at most `bytesMax` bytes of UTF-8. */
  string(bytesMax: number, what: string): string {
    const encoded = this.view(this.limited(bytesMax, `the length of ${what}`));
    if (encoded.length <= SHORT_STRING) {
      let text = '';
      for (const code of encoded) {
        if (code >= GROUP) return this.#decodeUtf8(encoded, what);
        text += String.fromCharCode(code);
      }
      return text;
    }
    return this.#decodeUtf8(encoded, what);
  }

  /** @throws DecodeError when bytes are left over */
  end(): void {
    if (this.remaining > 0) this.fail('trailing-bytes', `${this.remaining} bytes left over`);
  }

  #decodeUtf8(encoded: Uint8Array, what: string): string {
    try {
      return utf8.decode(encoded);
    } catch {
      return this.fail('bad-string', `${what} is not UTF-8`);
    }
  }

  #need(count: number): void {
    if (count > this.remaining) this.fail('truncated', `${count} bytes wanted, ${this.remaining} there`);
  }
}
