/**
 * The bytes of an `.ftsnap` file but its RAM pages.
 *
 *   offset  size
 *   0       8      magic "FT86SNP\0"
 *   8       4      version (all numbers little-endian)
 *   12      4      bytes of a page, 4096
 *   16      5 * 8  sections in order, each: bytes, CRC-32
 *   56      4      RAM pages stored
 *   60      4      CRC-32 of bytes 0 to 59
 *   64      -      sections: meta, registers, cpu state, devices, page map
 *           -      zeros up to a multiple of 4096
 *           -      the stored pages by ascending address; pages of zeros are left out
 *
 * meta, registers and devices are in the encoding of state-codec.ts, the cpu state is the engine's own. Page
 * map: one bit per page of RAM, least significant first, set when stored; then a CRC-32 per stored page.
 * Invariants: every byte is covered by a CRC or must be 0; lengths are checked before they are used.
 */
import { DecodeError, assert } from '../../emulator/errors.js';
import { ByteReader, ByteWriter } from '../log/bytes.js';
import { fastCrc32 } from '../log/fast-crc32.js';
import { decodeStateRecord, encodeState } from '../state-codec.js';
import type { SnapshotContent, SnapshotMeta, SnapshotRegisters } from './snapshot.js';
import { MEMORY_BYTES_MAX, PAGE_BYTES, isRegisters, isZeroPage, snapshotMetaSchema } from './snapshot.js';

const SNAPSHOT_VERSION = 1;
export const SNAPSHOT_MAGIC: Uint8Array = Buffer.from('FT86SNP\0', 'latin1');
export const SNAPSHOT_HEAD_BYTES = 64;
const HEAD_CRC_OFFSET = 60;
const CRC_BYTES = 4;
const PAGES_MAX = MEMORY_BYTES_MAX / PAGE_BYTES;
const ZERO_PAGE_CRC = 0xc71c0011;

/** Sections in file order with the most bytes each may have. */
const SECTIONS = [
  { name: 'meta', bytesMax: 1 << 20 },
  { name: 'registers', bytesMax: 1 << 18 },
  { name: 'cpu state', bytesMax: 16 << 20 },
  { name: 'devices', bytesMax: 64 << 20 },
  { name: 'page map', bytesMax: PAGES_MAX / 8 + PAGES_MAX * CRC_BYTES },
] as const;

interface SectionEntry {
  readonly bytes: number;
  readonly crc: number;
}

/** What the first 64 bytes say. */
export interface SnapshotHead {
  readonly sections: readonly SectionEntry[];
  readonly storedPages: number;
  /** Offset of the first page: the sections end before it, zeros fill up. */
  readonly pagesOffset: number;
  readonly fileBytes: number;
}

/** Which pages of RAM are stored and where. */
export interface PageMap {
  /** Per page of RAM: its place among the stored pages plus 1, or 0 when it is all zeros. */
  readonly places: Uint32Array;
  /** CRC-32 per stored page. */
  readonly crcs: Uint32Array;
}

/** Find the pages of `ram` (whole pages), or those of `written`, that are not all zeros and compute their CRCs. */
export function mapPages(ram: Uint8Array, written: ArrayLike<number> | null): PageMap {
  const places = new Uint32Array(ram.length / PAGE_BYTES);
  const crcs: number[] = [];
  const candidates = written ?? places;
  // A view of a plain array is made faster than a Buffer's.
  const bytes = new Uint8Array(ram.buffer, ram.byteOffset, ram.length);
  for (let i = 0; i < candidates.length; i++) {
    const index = written?.[i] ?? i;
    const page = bytes.subarray(index * PAGE_BYTES, (index + 1) * PAGE_BYTES);
    const crc = fastCrc32(page);
    if (crc !== ZERO_PAGE_CRC || !isZeroPage(page)) places[index] = crcs.push(crc);
  }
  return { places, crcs: Uint32Array.from(crcs) };
}

function encodePageMap({ places, crcs }: PageMap): Uint8Array {
  const bitmapBytes = Math.ceil(places.length / 8);
  const bytes = new Uint8Array(bitmapBytes + crcs.length * CRC_BYTES);
  const view = new DataView(bytes.buffer);
  places.forEach((place, index) => {
    if (place !== 0) bytes[index >> 3]! |= 1 << (index & 7);
  });
  crcs.forEach((crc, place) => {
    view.setUint32(bitmapBytes + place * CRC_BYTES, crc, true);
  });
  return bytes;
}

/** @throws DecodeError when the map is not one of `memoryBytes` of RAM with `storedPages` pages */
function decodePageMap(bytes: Uint8Array, memoryBytes: number, storedPages: number, base: number): PageMap {
  const places = new Uint32Array(memoryBytes / PAGE_BYTES);
  const bitmapBytes = Math.ceil(places.length / 8);
  if (bytes.length !== bitmapBytes + storedPages * CRC_BYTES) {
    throw new DecodeError('bad-page-map', base, 'the page map does not fit the memory and the stored pages');
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let stored = 0;
  for (let index = 0; index < bitmapBytes * 8; index++) {
    if (((bytes[index >> 3]! >> (index & 7)) & 1) === 0) continue;
    if (index >= places.length) throw new DecodeError('bad-page-map', base, 'a page beyond the memory is marked');
    places[index] = ++stored;
  }
  if (stored !== storedPages) {
    throw new DecodeError('bad-page-map', base, `${stored} pages are marked, ${storedPages} are stored`);
  }
  const crcs = Uint32Array.from({ length: stored }, (_, place) =>
    view.getUint32(bitmapBytes + place * CRC_BYTES, true),
  );
  return { places, crcs };
}

/** Encode everything in front of the pages, zeros to the page boundary included. */
export function encodeSnapshotFront(content: SnapshotContent, map: PageMap): Uint8Array {
  assert(snapshotMetaSchema.safeParse(content.meta).success, 'snapshot meta data has the fields of its format');
  assert(isRegisters(content.registers), 'snapshot registers are flat');
  const sections = [
    encodeState(content.meta),
    encodeState(content.registers),
    content.cpuState,
    encodeState(content.devices),
    encodePageMap(map),
  ];
  const writer = new ByteWriter(1 << 16);
  writer.bytes(SNAPSHOT_MAGIC);
  writer.u32(SNAPSHOT_VERSION);
  writer.u32(PAGE_BYTES);
  sections.forEach((section, index) => {
    const { name, bytesMax } = SECTIONS[index]!;
    assert(section.length <= bytesMax, `the ${name} of a snapshot is within its limit`);
    writer.u32(section.length);
    writer.u32(fastCrc32(section));
  });
  writer.u32(map.crcs.length);
  writer.u32(fastCrc32(writer.view()));
  for (const section of sections) writer.bytes(section);
  writer.bytes(new Uint8Array((PAGE_BYTES - (writer.length % PAGE_BYTES)) % PAGE_BYTES));
  return writer.copy();
}

/** Decode the first 64 bytes. @throws DecodeError when they are not a snapshot's of this version */
export function decodeSnapshotHead(bytes: Uint8Array): SnapshotHead {
  if (Buffer.compare(SNAPSHOT_MAGIC, bytes.subarray(0, SNAPSHOT_MAGIC.length)) !== 0) {
    throw new DecodeError('bad-magic', 0, 'not an ft86 snapshot');
  }
  const reader = new ByteReader(bytes, SNAPSHOT_MAGIC.length);
  const version = reader.u32();
  if (version !== SNAPSHOT_VERSION) {
    throw new DecodeError(
      'bad-version',
      SNAPSHOT_MAGIC.length,
      `snapshot format version ${version}; this ft86 reads version ${SNAPSHOT_VERSION}`,
    );
  }
  const pageBytes = reader.u32();
  const table = SECTIONS.map(() => ({ bytes: reader.u32(), crc: reader.u32() }));
  const storedPages = reader.u32();
  const crc = reader.u32();
  if (fastCrc32(bytes.subarray(0, HEAD_CRC_OFFSET)) !== crc) {
    reader.fail('bad-crc', 'the CRC of the snapshot header does not match');
  }
  if (pageBytes !== PAGE_BYTES) reader.fail('bad-header', `pages of ${pageBytes} bytes`);
  table.forEach((section, index) => {
    const { name, bytesMax } = SECTIONS[index]!;
    if (section.bytes > bytesMax) reader.fail('too-large', `the ${name} section has ${section.bytes} bytes`);
  });
  const front = table.reduce((sum, section) => sum + section.bytes, SNAPSHOT_HEAD_BYTES);
  const pagesOffset = Math.ceil(front / PAGE_BYTES) * PAGE_BYTES;
  return { sections: table, storedPages, pagesOffset, fileBytes: pagesOffset + storedPages * PAGE_BYTES };
}

/**
 * Decode everything in front of the pages: `bytes` are the file's first `head.pagesOffset` bytes.
 * @throws DecodeError
 */
export function decodeSnapshotFront(bytes: Uint8Array, head: SnapshotHead): SnapshotContent & { map: PageMap } {
  let offset = SNAPSHOT_HEAD_BYTES;
  const sections = head.sections.map((entry, index) => {
    const section = bytes.subarray(offset, offset + entry.bytes);
    if (fastCrc32(section) !== entry.crc) {
      throw new DecodeError('bad-crc', offset, `the CRC of the ${SECTIONS[index]!.name} section does not match`);
    }
    const start = offset;
    offset += entry.bytes;
    return { start, bytes: section };
  });
  if (bytes.subarray(offset).some((byte) => byte !== 0)) {
    throw new DecodeError('bad-padding', offset, 'the bytes before the pages are not 0');
  }
  const [metaSection, registerSection, cpuSection, deviceSection, mapSection] = sections;
  const meta = decodeMeta(metaSection!.bytes, metaSection!.start);
  const registers = decodeRegisters(registerSection!.bytes, registerSection!.start);
  return {
    meta,
    registers,
    cpuState: new Uint8Array(cpuSection!.bytes),
    devices: decodeStateRecord(deviceSection!.bytes, deviceSection!.start),
    map: decodePageMap(mapSection!.bytes, meta.memoryBytes, head.storedPages, mapSection!.start),
  };
}

function decodeMeta(bytes: Uint8Array, offset: number): SnapshotMeta {
  const parsed = snapshotMetaSchema.safeParse(decodeStateRecord(bytes, offset));
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new DecodeError('bad-meta', offset, `snapshot field ${issue?.path.join('.')}: ${issue?.message}`);
}

function decodeRegisters(bytes: Uint8Array, offset: number): SnapshotRegisters {
  const registers = decodeStateRecord(bytes, offset);
  if (isRegisters(registers)) return registers;
  throw new DecodeError('bad-registers', offset, 'the registers of a snapshot are flat');
}
