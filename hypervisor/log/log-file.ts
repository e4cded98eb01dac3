/**
 * Edge: a log in a file, the same bytes as on the logging channel between a header and an end mark.
 *
 *   header | frame | frame | ... | end mark (8 bytes: length 0, CRC-32 of that length)
 *
 * Each frame is handed to the kernel at once, so a killed process loses no whole frame. Without the end
 * mark the recording did not end in order: a reader refuses that unless it is `tolerant`, and then says
 * how many bytes of a cut last frame it left out. Damage is never tolerated.
 * Memory: a reader holds one frame.
 */
import { closeSync, fsyncSync, openSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { DecodeError, assert } from '../../emulator/errors.js';
import type { Entry } from './entry.js';
import type { DecodedFrame } from './frame.js';
import { FRAME_PREFIX_BYTES, decodeFrame, frameBytes } from './frame.js';
import type { LogHeader } from './header.js';
import { HEADER_PREFIX_BYTES, LOG_MAGIC, decodeHeader, encodeHeader, headerBytes } from './header.js';
import { openForReading, pathError, readFully, requireReplaceable, writeFully } from './open-file.js';

const READ_BYTES = 256 << 10;

/** Length 0, which no frame has, and the CRC-32 of these four bytes. */
function endMark(): Uint8Array {
  const bytes = Buffer.alloc(FRAME_PREFIX_BYTES);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, 4)), 4);
  return bytes;
}

/** Writes one log. Frames go in as they are; the owner calls close() when the run has ended in order. */
export class LogFileWriter {
  readonly #path: string;
  #fd: number | null;
  #bytes = 0;

  /**
   * Create or replace the log at `path`.
   * @throws ConfigError when it cannot be written or another kind of file is in its place
   */
  constructor(path: string, header: LogHeader) {
    this.#path = path;
    requireReplaceable('log', path, LOG_MAGIC);
    const bytes = encodeHeader(header);
    try {
      this.#fd = openSync(path, 'w', 0o600);
    } catch (error) {
      throw pathError('log', path, error);
    }
    this.append(bytes);
  }

  /** Bytes written so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Write one frame from FrameWriter.flush. */
  append(frame: Uint8Array): void {
    assert(this.#fd !== null, 'a closed log takes no frames');
    try {
      writeFully(this.#fd, frame, this.#bytes);
    } catch (error) {
      throw pathError('log', this.#path, error);
    }
    this.#bytes += frame.length;
  }

  /** Write the end mark, bring everything to the disk and close. Harmless when repeated. */
  close(): void {
    if (this.#fd === null) return;
    this.append(endMark());
    fsyncSync(this.#fd);
    closeSync(this.#fd);
    this.#fd = null;
  }

  /** Close without the end mark: the run did not end in order. */
  abandon(): void {
    if (this.#fd !== null) closeSync(this.#fd);
    this.#fd = null;
  }
}

export interface LogFileOptions {
  /** Accept a log without end mark and with its last frame cut; default false. */
  readonly tolerant?: boolean;
}

/** How a log ended. */
export interface LogEnd {
  /** The end mark was there. */
  readonly complete: boolean;
  /** Bytes of a cut last frame that were left out. */
  readonly discardedBytes: number;
}

export interface NumberedEntry {
  readonly seq: number;
  readonly entry: Entry;
}

/** Reads one log from front to back, once. Every DecodeError's offset is one in the file. */
export class LogFileReader {
  readonly header: LogHeader;
  readonly #fd: number;
  readonly #fileBytes: number;
  readonly #tolerant: boolean;
  #buffer: Uint8Array = new Uint8Array(READ_BYTES);
  /** The buffer holds the file's bytes [#bufferAt, #bufferAt + #bufferBytes). */
  #bufferAt = 0;
  #bufferBytes = 0;
  #at = 0;
  #end: LogEnd | null = null;
  #open = true;

  /**
   * Open a log and check its header.
   * @throws ConfigError when there is no such file, DecodeError when it is not a log of this version
   */
  constructor(path: string, options: LogFileOptions = {}) {
    this.#tolerant = options.tolerant ?? false;
    const file = openForReading('log', path);
    this.#fd = file.fd;
    this.#fileBytes = file.bytes;
    try {
      this.header = this.#readHeader();
    } catch (error) {
      closeSync(this.#fd);
      throw error;
    }
  }

  /** How the log ended; null until everything has been read. */
  get end(): LogEnd | null {
    return this.#end;
  }

  /** The frames in order. @throws DecodeError at the first byte that is not what the log should have */
  *frames(): Generator<DecodedFrame, void, undefined> {
    let seq = this.header.firstSeq;
    let at = this.header.firstIcount;
    for (;;) {
      const fileOffset = this.#at;
      const bytes = this.#nextFrame();
      if (bytes === null) return;
      // The buffer is read into again while entries may still be looked at.
      const frame = decodeFrame(new Uint8Array(bytes), { seq, at }, fileOffset);
      seq += frame.entries.length;
      at = frame.entries.at(-1)!.at;
      yield frame;
    }
  }

  /** The entries in order, each with its seq. */
  *entries(): Generator<NumberedEntry, void, undefined> {
    for (const frame of this.frames()) {
      let seq = frame.firstSeq;
      for (const entry of frame.entries) yield { seq: seq++, entry };
    }
  }

  /** Harmless when repeated. */
  close(): void {
    if (this.#open) closeSync(this.#fd);
    this.#open = false;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #readHeader(): LogHeader {
    const length = headerBytes(this.#peek(HEADER_PREFIX_BYTES));
    const header = decodeHeader(this.#peek(length));
    this.#at += length;
    return header;
  }

  /** The bytes of the next frame (a view, valid until the next call), or null at the end. */
  #nextFrame(): Uint8Array | null {
    if (this.#end !== null) return null;
    const left = this.#fileBytes - this.#at;
    if (left < FRAME_PREFIX_BYTES) return this.#incomplete(left);
    const prefix = this.#peek(FRAME_PREFIX_BYTES);
    if (prefix[0] === 0 && Buffer.from(endMark()).equals(prefix)) {
      if (left > FRAME_PREFIX_BYTES) throw new DecodeError('trailing-bytes', this.#at, 'bytes after the end mark');
      this.#end = { complete: true, discardedBytes: 0 };
      return null;
    }
    const length = frameBytes(prefix, this.#at);
    if (length > left) return this.#incomplete(left);
    const bytes = this.#peek(length);
    this.#at += length;
    return bytes;
  }

  #incomplete(left: number): null {
    if (!this.#tolerant) {
      const what = left === 0 ? 'has no end mark' : `ends within a frame of which ${left} bytes are there`;
      throw new DecodeError('incomplete', this.#at, `the log ${what}: its recording did not end in order`);
    }
    this.#end = { complete: false, discardedBytes: left };
    return null;
  }

  /** Up to `count` bytes from the current position on, without moving it: a view. */
  #peek(count: number): Uint8Array {
    const have = this.#bufferAt + this.#bufferBytes - this.#at;
    if (have < count) {
      const rest = this.#buffer.slice(this.#at - this.#bufferAt, this.#bufferBytes);
      if (count > this.#buffer.length) this.#buffer = new Uint8Array(count);
      this.#buffer.set(rest);
      this.#bufferAt = this.#at;
      this.#bufferBytes = rest.length + readFully(this.#fd, this.#buffer.subarray(rest.length), this.#at + rest.length);
    }
    const start = this.#at - this.#bufferAt;
    return this.#buffer.subarray(start, Math.min(start + count, this.#bufferBytes));
  }
}
