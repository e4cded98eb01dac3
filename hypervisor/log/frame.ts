/**
 * Frames: the atomic groups in which log entries travel, on a socket and in a file alike.
 *
 *   offset  size
 *   0       4     bytes of payload (little-endian), 1 to 8 MiB
 *   4       4     CRC-32 of the four length bytes followed by the payload
 *   8       -     payload: varint  seq of the first entry
 *                          varint  icount of the entry before the first one
 *                          varint  entries, 1 to 65,536
 *                          u8      predicted vector       (codec.ts)
 *                          u8      predicted tick vector
 *                          entries
 *
 * Invariants: a frame is decoded whole or not at all; it needs no other frame to be decoded; seq has no
 * gaps and icounts never decrease from one frame to the next. What belongs to one guest instruction goes
 * into one frame: only the caller knows where that ends, so only the caller flushes.
 * Source: CRC-32 is that of ISO 3309 and zlib, polynomial 04C11DB7.
 */
import { borrowedBytes, pooledOrBorrowedBytes } from '../../emulator/byte-pool.js';
import { DecodeError, assert } from '../../emulator/errors.js';
import type { LogAccount } from './account.js';
import { ByteReader, ByteWriter } from './bytes.js';
import { EntryEncoder, INITIAL_CONTEXT, decodeEntries } from './codec.js';
import { CONTROL_STRING_BYTES_MAX } from './control-codec.js';
import type { Entry } from './entry.js';
import { fastCrc32 } from './fast-crc32.js';

/** The length and the CRC in front of every payload. */
export const FRAME_PREFIX_BYTES = 8;
export const FRAME_PAYLOAD_BYTES_MAX = 8 << 20;
export const FRAME_ENTRIES_MAX = 65_536;
/** Room kept free before the entries: prefix, three varints, two vectors. */
const HEAD_BYTES_MAX = FRAME_PREFIX_BYTES + 8 + 8 + 3 + 2;
/** Larger ones are left where they were written. */
const COPIED_BYTES_MAX = 32 << 10;
/** Where the next is written then, or in as much as that one took. */
const WRITER_BYTES = 96 << 10;
/** Bytes an entry takes at most besides its data and strings. */
const ENTRY_FIXED_BYTES_MAX = 64;

const lengthBytes = new Uint8Array(4);
const lengthView = new DataView(lengthBytes.buffer);

function frameCrc(payload: Uint8Array): number {
  lengthView.setUint32(0, payload.length, true);
  return fastCrc32(payload, fastCrc32(lengthBytes));
}

function entryBytesMax(entry: Entry): number {
  switch (entry.kind) {
    case 'packet':
    case 'disk':
    case 'serial':
      return ENTRY_FIXED_BYTES_MAX + entry.data.length;
    case 'control':
      return ENTRY_FIXED_BYTES_MAX + 2 * CONTROL_STRING_BYTES_MAX;
    default:
      return ENTRY_FIXED_BYTES_MAX;
  }
}

export interface FrameWriterOptions {
  /** seq of the first entry; default 0. */
  readonly firstSeq?: number;
  /** icount from which entries may be appended; default 0. */
  readonly at?: number;
  /** Told about every entry and frame. */
  readonly account?: LogAccount;
}

/** Collects entries and cuts them into frames. Appending allocates nothing; a flush allocates the frame. */
export class FrameWriter {
  readonly #encoder: EntryEncoder;
  readonly #head = new ByteWriter(HEAD_BYTES_MAX);
  readonly #account: LogAccount | null;
  #firstSeq: number;
  #nextSeq: number;
  /** Codec state before the first pending entry. */
  #before = INITIAL_CONTEXT;

  constructor(options: FrameWriterOptions = {}) {
    this.#firstSeq = this.#nextSeq = options.firstSeq ?? 0;
    this.#account = options.account ?? null;
    this.#encoder = new EntryEncoder({ ...INITIAL_CONTEXT, at: options.at ?? 0 });
    this.#encoder.writer.bytes(new Uint8Array(HEAD_BYTES_MAX));
    this.#cut();
  }

  /** seq of the next entry. */
  get nextSeq(): number {
    return this.#nextSeq;
  }

  /** Entries appended since the last flush. */
  get pendingEntries(): number {
    return this.#nextSeq - this.#firstSeq;
  }

  /** Bytes those entries take, without the frame's own. */
  get pendingBytes(): number {
    return this.#encoder.writer.length - HEAD_BYTES_MAX;
  }

  /** Whether `entry` still fits the open frame; when not, flush first. Any entry fits an empty frame. */
  hasRoom(entry: Entry): boolean {
    return (
      this.pendingEntries < FRAME_ENTRIES_MAX &&
      this.#encoder.writer.length + entryBytesMax(entry) <= FRAME_PAYLOAD_BYTES_MAX
    );
  }

  /**
   * Add an entry to the open frame and return its seq.
   * @throws InvariantError when the frame has no room or the entry breaks a limit or goes back in icount
   */
  append(entry: Entry): number {
    assert(this.hasRoom(entry), 'a frame has room for the entries of one instruction');
    const size = this.#encoder.append(entry);
    this.#account?.addEntry(entry.kind, size);
    return this.#nextSeq++;
  }

  /** Close the open frame and return its bytes, which the caller owns and may give back (byte-pool.ts); null when it has no entries. */
  flush(): Uint8Array | null {
    if (this.#nextSeq === this.#firstSeq) return null;
    const head = this.#head;
    head.reset();
    head.varint(this.#firstSeq);
    head.varint(this.#before.at);
    head.varint(this.#nextSeq - this.#firstSeq);
    head.u8(this.#before.vector);
    head.u8(this.#before.tickVector);
    // The head lies right before the entries, at the end of the room kept for it.
    const { writer } = this.#encoder;
    const start = HEAD_BYTES_MAX - head.length - FRAME_PREFIX_BYTES;
    writer.patchBytes(start + FRAME_PREFIX_BYTES, head.view());
    const frame = this.#takeOut(writer.view(start));
    const view = new DataView(frame.buffer, frame.byteOffset, FRAME_PREFIX_BYTES);
    view.setUint32(0, frame.length - FRAME_PREFIX_BYTES, true);
    view.setUint32(4, frameCrc(frame.subarray(FRAME_PREFIX_BYTES)), true);
    this.#account?.addWire(frame.length);
    this.#firstSeq = this.#nextSeq;
    this.#cut();
    return frame;
  }

  /** What was written, as the caller's own. */
  #takeOut(written: Uint8Array): Uint8Array {
    if (written.length > COPIED_BYTES_MAX) {
      this.#encoder.writer.moveTo(borrowedBytes(Math.max(WRITER_BYTES, written.length)), HEAD_BYTES_MAX);
      return written;
    }
    const frame = pooledOrBorrowedBytes(written.length);
    frame.set(written);
    return frame;
  }

  #cut(): void {
    this.#before = this.#encoder.context;
    this.#encoder.begin(HEAD_BYTES_MAX);
  }
}

export interface DecodedFrame {
  /** seq of entries[0]; the others follow without gaps. */
  readonly firstSeq: number;
  /** icount of the entry before entries[0]. */
  readonly baseAt: number;
  readonly entries: Entry[];
  /** Bytes each entry took; 0 for the interrupt of a timer tick, whose clock entry carries it. */
  readonly sizes: number[];
  /** Bytes of the whole frame. */
  readonly wireBytes: number;
}

/**
 * Return how many bytes the frame that starts with `prefix` (at least its first 4 bytes) has in all.
 * @throws DecodeError when the length is 0 or above the limit: nothing of that size is ever waited for
 */
export function frameBytes(prefix: Uint8Array, base = 0): number {
  const payload = new ByteReader(prefix, 0, base).u32();
  if (payload === 0) throw new DecodeError('empty-frame', base, 'a frame without payload');
  if (payload > FRAME_PAYLOAD_BYTES_MAX) {
    throw new DecodeError('too-large', base, `a frame of ${payload} bytes is above ${FRAME_PAYLOAD_BYTES_MAX}`);
  }
  return FRAME_PREFIX_BYTES + payload;
}

/** Where a log stands: what the next frame has to continue. */
export interface FramePosition {
  /** seq of the next entry. */
  readonly seq: number;
  /** icount of the newest entry; left out: not checked. */
  readonly at?: number;
}

/**
 * Decode exactly one frame. Packets and disk data are views of `bytes`, which must not change afterwards. `expected` is where the log stands (null: anywhere); `fileOffset`, where the
 * frame lies in its file, is added to the offsets in errors.
 * @throws DecodeError when a byte is damaged, missing or too many, or the frame does not continue the log
 */
export function decodeFrame(bytes: Uint8Array, expected: FramePosition | null, fileOffset = 0): DecodedFrame {
  const reader = new ByteReader(bytes, 0, fileOffset);
  const whole = frameBytes(bytes, fileOffset);
  if (whole > bytes.length) reader.fail('truncated', `a frame of ${whole} bytes, ${bytes.length} there`);
  if (whole < bytes.length) reader.fail('trailing-bytes', `a frame of ${whole} bytes, ${bytes.length} there`);
  reader.u32();
  const crc = reader.u32();
  if (frameCrc(bytes.subarray(FRAME_PREFIX_BYTES)) !== crc) reader.fail('bad-crc', 'the CRC of a frame does not match');
  const firstSeq = reader.varint();
  const baseAt = reader.varint();
  if (expected !== null && firstSeq !== expected.seq) {
    reader.fail('bad-seq', `a frame starts at log entry ${firstSeq}, ${expected.seq} is next`);
  }
  if (expected?.at !== undefined && baseAt !== expected.at) {
    reader.fail('bad-icount', `a frame continues from icount ${baseAt}, the log stands at ${expected.at}`);
  }
  const count = reader.limited(FRAME_ENTRIES_MAX, 'an entry count');
  if (count === 0) reader.fail('empty-frame', 'a frame without entries');
  const context = { at: baseAt, vector: reader.u8(), tickVector: reader.u8() };
  const { entries, sizes } = decodeEntries(reader, count, context);
  reader.end();
  return { firstSeq, baseAt, entries, sizes, wireBytes: bytes.length };
}
