/**
 * The bytes of log entries: a tag, the distance to the entry before, and what the kind needs.
 *
 *   tag bit  7 6 5              4        3 2 1 0
 *            bytes of distance  flag     code
 *
 *   code  entry             flag set means             after the distance (little-endian, trimmed to 0..7 bytes)
 *   0     mark              -
 *   1     clock 'deadline'  interrupt follows, here    (rate unchanged)
 *   2     clock             rate given                 varint skipNs + 1, or 0 for 'deadline'; varint rate
 *   3     interrupt         vector as predicted        u8 vector unless predicted
 *   4     packet            not NIC 0                  u8 NIC if flagged; varint length; data
 *   5     disk              with data                  varint drive * 2 + error; varint tag; varint length, data
 *   6     serial            -                          varint length; data
 *   7..9  output            -                          varint bytes; u32 CRC-32 (console, packet, disk)
 *   10    digest            -                          16 bytes
 *   11    control           -                          u8 op; its fields
 *
 * A timer tick (clock 'deadline' and the interrupt at the same icount) is the one record of code 1, so its
 * vector is predicted apart from that of other interrupts. Both predictions travel in the frame's header.
 * Invariants: one spelling per list of entries; whatever decodes encodes to the same bytes again.
 * Budgets (docs/formats.md): tick <= 4 bytes up to 2^24 instructions apart, packet <= length + 8, disk <= 8 + data.
 */
import { assert } from '../../emulator/errors.js';
import type { ByteReader } from './bytes.js';
import { ByteWriter } from './bytes.js';
import { decodeControl, encodeControl } from './control-codec.js';
import type { Entry, OutputChannel } from './entry.js';

export const PACKET_BYTES_MAX = 2048;
export const DISK_DATA_BYTES_MAX = 4 << 20;
export const SERIAL_BYTES_MAX = 64 << 10;
const DIGEST_BYTES = 16;
const UNIT_MAX = 255;

const CODE_MARK = 0;
const CODE_TICK = 1;
const CODE_CLOCK = 2;
const CODE_INTERRUPT = 3;
const CODE_PACKET = 4;
const CODE_DISK = 5;
const CODE_SERIAL = 6;
const CODE_OUTPUT = 7;
const CODE_DIGEST = 10;
const CODE_CONTROL = 11;
const CODE_MASK = 0x0f;
const FLAG = 0x10;
const DISTANCE_SHIFT = 5;
/** Codes whose flag means something. */
const FLAGGED = (1 << CODE_TICK) | (1 << CODE_CLOCK) | (1 << CODE_INTERRUPT) | (1 << CODE_PACKET) | (1 << CODE_DISK);

/** In the order of codes 7, 8, 9. */
const OUTPUT_CHANNELS = ['console', 'packet', 'disk'] as const satisfies readonly OutputChannel[];
const DIGEST_PATTERN = /^[0-9a-f]{32}$/;

/** What the encoding of an entry depends on besides the entry. */
export interface CodecContext {
  /** icount of the entry before. */
  readonly at: number;
  /** Vector of the last interrupt that was not part of a tick. */
  readonly vector: number;
  /** Vector of the last interrupt right after a clock 'deadline' entry at the same icount. */
  readonly tickVector: number;
}

export const INITIAL_CONTEXT: CodecContext = { at: 0, vector: 0, tickVector: 0 };

function isUnit(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= UNIT_MAX;
}

/** Appends entries to one growing buffer. The caller cuts frames out of it. */
export class EntryEncoder {
  readonly writer = new ByteWriter(64 << 10);
  #at: number;
  #vector: number;
  #tickVector: number;
  /** Offset of the tag of a clock 'deadline' record written just before; -1: none that may be extended. */
  #tickTag = -1;

  constructor(context: CodecContext = INITIAL_CONTEXT) {
    this.#at = context.at;
    this.#vector = context.vector;
    this.#tickVector = context.tickVector;
  }

  get context(): CodecContext {
    return { at: this.#at, vector: this.#vector, tickVector: this.#tickVector };
  }

  /** Start a new frame at byte `length` of the writer: what is before may not be changed any more. */
  begin(length: number): void {
    this.writer.reset(length);
    this.#tickTag = -1;
  }

  /**
   * Write one entry and return how many bytes it took (0 for an interrupt that completes a tick).
   * @throws InvariantError when the entry breaks a limit or goes back in icount
   */
  append(entry: Entry): number {
    const writer = this.writer;
    const start = writer.length;
    const distance = entry.at - this.#at;
    assert(Number.isSafeInteger(entry.at) && distance >= 0, 'the icount of log entries never decreases');
    const tickTag = this.#tickTag;
    this.#tickTag = -1;
    switch (entry.kind) {
      case 'clock':
        this.#clock(entry, distance);
        break;
      case 'interrupt':
        this.#interrupt(entry.vector, distance, distance === 0 ? tickTag : -1);
        break;
      case 'mark':
        this.#head(CODE_MARK, false, distance);
        break;
      case 'packet':
        assert(isUnit(entry.nic) && entry.data.length <= PACKET_BYTES_MAX, 'a packet entry is within its limits');
        this.#head(CODE_PACKET, entry.nic !== 0, distance);
        if (entry.nic !== 0) writer.u8(entry.nic);
        this.#data(entry.data);
        break;
      case 'disk':
        this.#disk(entry, distance);
        break;
      case 'serial':
        assert(entry.data.length <= SERIAL_BYTES_MAX, 'a serial entry is within its limits');
        this.#head(CODE_SERIAL, false, distance);
        this.#data(entry.data);
        break;
      case 'output':
        this.#head(CODE_OUTPUT + OUTPUT_CHANNELS.indexOf(entry.channel), false, distance);
        writer.varint(entry.bytes);
        writer.u32(entry.crc);
        break;
      case 'digest':
        assert(DIGEST_PATTERN.test(entry.digest), 'a digest is 16 bytes of lower-case hex');
        this.#head(CODE_DIGEST, false, distance);
        writer.bytes(Buffer.from(entry.digest, 'hex'));
        break;
      case 'control':
        this.#head(CODE_CONTROL, false, distance);
        encodeControl(writer, entry.control);
        break;
    }
    this.#at = entry.at;
    return writer.length - start;
  }

  #head(code: number, flag: boolean, distance: number): void {
    const writer = this.writer;
    const tag = writer.length;
    writer.u8(0);
    const count = writer.trimmed(distance);
    writer.patch(tag, code | (flag ? FLAG : 0) | (count << DISTANCE_SHIFT));
  }

  #data(data: Uint8Array): void {
    this.writer.varint(data.length);
    this.writer.bytes(data);
  }

  #clock(entry: Entry & { kind: 'clock' }, distance: number): void {
    const { skipNs, rate } = entry;
    if (skipNs === 'deadline' && rate === null) {
      this.#tickTag = this.writer.length;
      this.#head(CODE_TICK, false, distance);
      return;
    }
    assert(skipNs === 'deadline' || (Number.isInteger(skipNs) && skipNs >= 0), 'the clock skips whole ns, forward');
    this.#head(CODE_CLOCK, rate !== null, distance);
    this.writer.varint(skipNs === 'deadline' ? 0 : skipNs + 1);
    if (rate !== null) this.writer.varint(rate);
  }

  #interrupt(vector: number, distance: number, tickTag: number): void {
    assert(isUnit(vector), 'an interrupt vector is a byte');
    const writer = this.writer;
    if (tickTag >= 0 && vector === this.#tickVector) {
      writer.patch(tickTag, writer.at(tickTag) | FLAG);
      return;
    }
    const predicted = vector === this.#vector;
    this.#head(CODE_INTERRUPT, predicted, distance);
    if (!predicted) writer.u8(vector);
    if (tickTag >= 0) this.#tickVector = vector;
    else this.#vector = vector;
  }

  #disk(entry: Entry & { kind: 'disk' }, distance: number): void {
    const { drive, data } = entry;
    const error = entry.status === 'error';
    assert(isUnit(drive) && data.length <= DISK_DATA_BYTES_MAX, 'a disk entry is within its limits');
    assert(!error || data.length === 0, 'a failed disk request has no data');
    this.#head(CODE_DISK, data.length > 0, distance);
    this.writer.varint(drive * 2 + (error ? 1 : 0));
    this.writer.varint(entry.tag);
    if (data.length > 0) this.#data(data);
  }
}

/** What {@link decodeEntries} returns. */
export interface DecodedEntries {
  readonly entries: Entry[];
  /** Bytes each entry took, as {@link EntryEncoder.append} returned. */
  readonly sizes: number[];
  readonly context: CodecContext;
}

/**
 * Read exactly `count` entries, the twin of {@link EntryEncoder}; the caller checks what follows them.
 * @throws DecodeError on anything that the encoder does not write
 */
export function decodeEntries(reader: ByteReader, count: number, context: CodecContext): DecodedEntries {
  const entries: Entry[] = [];
  const sizes: number[] = [];
  let { at, vector, tickVector } = context;
  let afterTick = false;
  while (entries.length < count) {
    const start = reader.offset;
    const tag = reader.u8();
    const code = tag & CODE_MASK;
    const flag = (tag & FLAG) !== 0;
    if (flag && ((FLAGGED >> code) & 1) === 0) reader.fail('bad-tag', `tag ${tag} has a flag its kind does not know`);
    const distance = reader.trimmed(tag >> DISTANCE_SHIFT);
    at += distance;
    if (at > Number.MAX_SAFE_INTEGER) reader.fail('too-large', 'an icount is above 2^53 - 1');
    const tickInterrupt = afterTick && distance === 0 && code === CODE_INTERRUPT;
    afterTick = false;
    if (code === CODE_TICK) {
      entries.push({ kind: 'clock', at, skipNs: 'deadline', rate: null });
      sizes.push(reader.offset - start);
      afterTick = !flag;
      if (!flag) continue;
      if (entries.length === count) reader.fail('bad-count', 'the last entry belongs to the next frame');
      entries.push({ kind: 'interrupt', at, vector: tickVector });
      sizes.push(0);
      continue;
    }
    if (code === CODE_INTERRUPT) {
      const taken = flag ? vector : reader.u8();
      if (!flag && taken === vector) reader.fail('not-minimal', 'a predicted vector is spelt out');
      if (tickInterrupt && taken === tickVector) reader.fail('not-minimal', 'a timer tick is in two records');
      if (tickInterrupt) tickVector = taken;
      else vector = taken;
      entries.push({ kind: 'interrupt', at, vector: taken });
    } else {
      entries.push(decodeOther(reader, code, flag, at));
    }
    sizes.push(reader.offset - start);
  }
  return { entries, sizes, context: { at, vector, tickVector } };
}

/** Read the rest of an entry whose bytes depend on nothing before it. */
function decodeOther(reader: ByteReader, code: number, flag: boolean, at: number): Entry {
  switch (code) {
    case CODE_MARK:
      return { kind: 'mark', at };
    case CODE_CLOCK:
      return decodeClock(reader, flag, at);
    case CODE_PACKET: {
      const nic = flag ? reader.u8() : 0;
      if (flag && nic === 0) reader.fail('not-minimal', 'NIC 0 is spelt out');
      return { kind: 'packet', at, nic, data: reader.view(reader.limited(PACKET_BYTES_MAX, 'a packet length')) };
    }
    case CODE_DISK:
      return decodeDisk(reader, flag, at);
    case CODE_SERIAL:
      return { kind: 'serial', at, data: reader.bytes(reader.limited(SERIAL_BYTES_MAX, 'a serial length')) };
    case CODE_OUTPUT:
    case CODE_OUTPUT + 1:
    case CODE_OUTPUT + 2:
      return {
        kind: 'output',
        at,
        channel: OUTPUT_CHANNELS[code - CODE_OUTPUT]!,
        bytes: reader.varint(),
        crc: reader.u32(),
      };
    case CODE_DIGEST:
      return { kind: 'digest', at, digest: Buffer.from(reader.bytes(DIGEST_BYTES)).toString('hex') };
    case CODE_CONTROL:
      return { kind: 'control', at, control: decodeControl(reader) };
    default:
      return reader.fail('unknown-kind', `log entry code ${code} is unknown`);
  }
}

function decodeClock(reader: ByteReader, flag: boolean, at: number): Entry {
  const skip = reader.varint();
  if (skip === 0 && !flag) reader.fail('not-minimal', 'a plain clock deadline has a code of its own');
  return { kind: 'clock', at, skipNs: skip === 0 ? 'deadline' : skip - 1, rate: flag ? reader.varint() : null };
}

function decodeDisk(reader: ByteReader, flag: boolean, at: number): Entry {
  const unit = reader.limited(UNIT_MAX * 2 + 1, 'a drive number');
  const tag = reader.varint();
  const length = flag ? reader.limited(DISK_DATA_BYTES_MAX, 'a disk data length') : 0;
  if (flag && length === 0) reader.fail('not-minimal', 'empty disk data is flagged');
  if (flag && unit % 2 === 1) reader.fail('bad-entry', 'a failed disk request has data');
  return {
    kind: 'disk',
    at,
    drive: unit >> 1,
    tag,
    status: unit % 2 === 1 ? 'error' : 'ok',
    data: reader.view(length),
  };
}
