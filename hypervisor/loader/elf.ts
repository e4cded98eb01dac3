/**
 * 32-bit ELF executables for the i386: parsed, checked and placed by physical address.
 *
 *   offset  size  field of the file header        offset  size  field of a program header
 *   0       4     7f 'E' 'L' 'F'                  0       4     p_type (1 = load)
 *   4       1     class (1 = 32-bit)              4       4     p_offset
 *   5       1     data (1 = little-endian)        8       4     p_vaddr
 *   16      2     e_type (2 = executable)         12      4     p_paddr
 *   18      2     e_machine (3 = i386)            16      4     p_filesz
 *   24      4     e_entry                         20      4     p_memsz
 *   28      4     e_phoff
 *   42, 44  2     e_phentsize, e_phnum
 *
 * Source: System V ABI, edition 4.1, chapters 4 and 5; Intel386 supplement, chapter 4.
 */
import { hex, imageError, type GuestMemory } from './guest-memory.js';

const HEADER_BYTES = 52;
const PROGRAM_HEADER_BYTES = 32;
const CLASS_32 = 1;
const DATA_LITTLE_ENDIAN = 1;
const TYPE_EXECUTABLE = 2;
const MACHINE_386 = 3;
const MACHINE_486 = 6;
const SEGMENT_LOAD = 1;
const SEGMENT_INTERPRETER = 3;
/** More loadable segments than any kernel has. */
const SEGMENTS_MAX = 256;

interface Segment {
  readonly index: number;
  readonly offset: number;
  readonly virtual: number;
  readonly physical: number;
  readonly fileBytes: number;
  readonly memoryBytes: number;
}

/** True for any ELF file, of whatever class and machine. */
export function isElf(bytes: Uint8Array): boolean {
  return bytes[0] === 0x7f && bytes[1] === 0x45 && bytes[2] === 0x4c && bytes[3] === 0x46;
}

/**
 * Place the loadable segments of an i386 ELF executable by their physical addresses.
 * @returns the physical address of its entry point
 * @throws ConfigError when it is not such a file, is damaged, or does not fit
 */
export function loadElf32(bytes: Uint8Array, name: string, memory: GuestMemory): number {
  checkHeader(bytes, name);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const segments = readSegments(view, name);
  const entry = entryAddress(view.getUint32(24, true), segments, name);
  for (const segment of segments) {
    const data = bytes.subarray(segment.offset, segment.offset + segment.fileBytes);
    memory.place(`segment ${segment.index}`, segment.physical, data, segment.memoryBytes);
  }
  return entry;
}

function checkHeader(bytes: Uint8Array, name: string): void {
  if (bytes[4] !== undefined && bytes[4] !== CLASS_32) {
    throw imageError(name, 'must be a 32-bit ELF file (this machine is an i386), not a 64-bit one');
  }
  if (bytes.length < HEADER_BYTES) throw imageError(name, `truncated: an ELF header needs ${HEADER_BYTES} bytes`);
  if (bytes[5] !== DATA_LITTLE_ENDIAN) throw imageError(name, 'must be a little-endian ELF file');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const machine = view.getUint16(18, true);
  if (machine !== MACHINE_386 && machine !== MACHINE_486) {
    throw imageError(name, `must be an ELF file for the i386 (machine 3), not for machine ${machine}`);
  }
  const type = view.getUint16(16, true);
  if (type !== TYPE_EXECUTABLE) {
    throw imageError(name, `must be an executable ELF file linked to fixed addresses (type 2), not type ${type}`);
  }
}

/** The segments that take part in memory, in the order of the file. */
function readSegments(view: DataView, name: string): Segment[] {
  const tableOffset = view.getUint32(28, true);
  const entryBytes = view.getUint16(42, true);
  const count = view.getUint16(44, true);
  if (entryBytes !== PROGRAM_HEADER_BYTES && count > 0) {
    throw imageError(name, `damaged: its program headers have ${entryBytes} bytes instead of ${PROGRAM_HEADER_BYTES}`);
  }
  if (tableOffset + count * PROGRAM_HEADER_BYTES > view.byteLength) {
    throw imageError(name, `truncated: its program headers end at ${hex(tableOffset + count * PROGRAM_HEADER_BYTES)}`);
  }
  const segments: Segment[] = [];
  for (let index = 0; index < count; index++) {
    const at = tableOffset + index * PROGRAM_HEADER_BYTES;
    const type = view.getUint32(at, true);
    if (type === SEGMENT_INTERPRETER) throw imageError(name, 'must be statically linked, without an interpreter');
    const segment = readSegment(view, at, index, name);
    if (type === SEGMENT_LOAD && segment.memoryBytes > 0) segments.push(segment);
  }
  if (segments.length === 0) throw imageError(name, 'must have at least one loadable segment');
  if (segments.length > SEGMENTS_MAX) throw imageError(name, `must have at most ${SEGMENTS_MAX} loadable segments`);
  return segments;
}

function readSegment(view: DataView, at: number, index: number, name: string): Segment {
  const segment = {
    index,
    offset: view.getUint32(at + 4, true),
    virtual: view.getUint32(at + 8, true),
    physical: view.getUint32(at + 12, true),
    fileBytes: view.getUint32(at + 16, true),
    memoryBytes: view.getUint32(at + 20, true),
  };
  if (view.getUint32(at, true) !== SEGMENT_LOAD) return segment;
  if (segment.fileBytes > segment.memoryBytes) {
    throw imageError(name, `damaged: segment ${index} is larger in the file than in memory`);
  }
  const end = segment.offset + segment.fileBytes;
  if (end > view.byteLength) {
    throw imageError(name, `truncated: segment ${index} ends at ${hex(end)} of ${hex(view.byteLength)} bytes`);
  }
  return segment;
}

/** Kernels name their entry by its virtual or, when linked high, by its physical address: both are understood. */
function entryAddress(entry: number, segments: readonly Segment[], name: string): number {
  const byVirtual = segments.find((s) => entry >= s.virtual && entry < s.virtual + s.memoryBytes);
  if (byVirtual !== undefined) return entry - byVirtual.virtual + byVirtual.physical;
  const byPhysical = segments.find((s) => entry >= s.physical && entry < s.physical + s.memoryBytes);
  if (byPhysical !== undefined) return entry;
  throw imageError(name, `its entry point ${hex(entry)} must lie in one of its segments`);
}
