/**
 * The setup header of a Linux bzImage: found, checked, read. Nothing is placed here.
 *
 *   file:  boot sector and setup code, (setup_sects + 1) * 512 | protected-mode code, syssize * 16 | signature
 *   offset size  field                          offset size  field
 *   0x1f1  1     setup_sects (0 means 4)        0x234  1     relocatable_kernel          2.05
 *   0x1f4  4     syssize                        0x236  2     xloadflags                  2.12
 *   0x1fe  2     55 aa                          0x238  4     cmdline_size                2.06
 *   0x201  1     header ends at 0x202 + this    0x248  4     payload_offset              2.08
 *   0x202  4     'HdrS'                         0x24c  4     payload_length              2.08
 *   0x206  2     version, e.g. 0x20f            0x258  8     pref_address                2.10
 *   0x20e  2     kernel_version - 0x200         0x260  4     init_size                   2.10
 *   0x211  1     loadflags                      0x22c  4     initrd_addr_max             2.03
 *
 * Versions 2.08 and later end the protected-mode code with a CRC-32 over the whole file, which kernels before 6.16
 * carry; signing a kernel for EFI changes two fields behind the CRC's back, so these count as zero.
 * Source: Linux Documentation/arch/x86/boot.rst ("The Real-Mode Kernel Header", "The Image Checksum"); Microsoft PE
 * format, "Optional Header" (CheckSum, Certificate Table).
 */
import { crc32 } from 'node:zlib';
import { imageError } from './guest-memory.js';

/** What the loader needs of the setup header; absent fields have the values that older versions imply. */
export interface SetupHeader {
  /** Bytes before the protected-mode code. */
  readonly setupBytes: number;
  /** Bytes of protected-mode code. */
  readonly codeBytes: number;
  /** End of the header, as an offset in the file and in boot_params. */
  readonly headerEnd: number;
  /** Largest command line without the zero byte behind it. */
  readonly commandLineBytesMax: number;
  /** Highest address an initrd's last byte may have. */
  readonly initrdAddressMax: number;
  /** Where the kernel unpacks itself to, and how much memory it needs there; 0 when it does not say. */
  readonly runAddress: number;
  readonly runBytes: number;
  /** The packed kernel inside the protected-mode code, or null when the header does not tell. */
  readonly payload: { readonly offset: number; readonly bytes: number } | null;
}

export const SETUP_HEADER_START = 0x1f1;

const SECTOR_BYTES = 512;
const PARAGRAPH_BYTES = 16;
const SETUP_SECTORS = 0x1f1;
const CODE_PARAGRAPHS = 0x1f4;
const BOOT_FLAG = 0x1fe;
const HEADER_LENGTH = 0x201;
const MAGIC = 0x202;
const VERSION = 0x206;
const KERNEL_VERSION = 0x20e;
const LOAD_FLAGS = 0x211;
const INITRD_ADDRESS_MAX = 0x22c;
const EXTENDED_LOAD_FLAGS = 0x236;
const COMMAND_LINE_SIZE = 0x238;
const PAYLOAD_OFFSET = 0x248;
const PAYLOAD_LENGTH = 0x24c;
const PREFERRED_ADDRESS = 0x258;
const INIT_SIZE = 0x260;

const MAGIC_HDRS = 0x53726448;
const LOADED_HIGH = 1 << 0;
const KERNEL_64 = 1 << 0;
/** The first version with a 32-bit command line pointer. */
const VERSION_MIN = 0x202;
/** The header is wholly in the first two sectors, as boot_params ends it at 0x290. */
const HEADER_END_MAX = 0x290;
const OLD_INITRD_ADDRESS_MAX = 0x37ffffff;
const OLD_COMMAND_LINE_BYTES_MAX = 255;
/** What zlib's CRC gives over data followed by the complement-free CRC that kernels carry. */
const CRC_OF_INTACT_FILE = 0xffffffff;

/**
 * Read the setup header of a bzImage for a 32-bit kernel.
 * @throws ConfigError when it is something else, truncated or damaged
 */
export function readSetupHeader(bytes: Uint8Array, name: string): SetupHeader {
  if (bytes.length < 2 * SECTOR_BYTES) throw imageError(name, 'truncated: a Linux kernel has at least 1024 bytes');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const version = checkKind(view, name);
  const since = (first: number, value: () => number, before: number): number => (version >= first ? value() : before);
  const u32 = (offset: number): number => view.getUint32(offset, true);
  const header: SetupHeader = {
    setupBytes: ((view.getUint8(SETUP_SECTORS) || 4) + 1) * SECTOR_BYTES,
    codeBytes: since(0x204, () => u32(CODE_PARAGRAPHS), view.getUint16(CODE_PARAGRAPHS, true)) * PARAGRAPH_BYTES,
    headerEnd: MAGIC + view.getUint8(HEADER_LENGTH),
    commandLineBytesMax: since(0x206, () => u32(COMMAND_LINE_SIZE), OLD_COMMAND_LINE_BYTES_MAX),
    initrdAddressMax: since(0x203, () => u32(INITRD_ADDRESS_MAX), OLD_INITRD_ADDRESS_MAX),
    runAddress: since(0x20a, () => u32(PREFERRED_ADDRESS), 0),
    runBytes: since(0x20a, () => u32(INIT_SIZE), 0),
    payload: version >= 0x208 ? { offset: u32(PAYLOAD_OFFSET), bytes: u32(PAYLOAD_LENGTH) } : null,
  };
  const crc = version >= 0x208 && carriesCrc(bytes, view);
  checkSizes(header, bytes.length, crc, name);
  if (crc) checkCrc(bytes, view, header, name);
  return header;
}

/** Refuse kernels of other kinds; returns the protocol's version. */
function checkKind(view: DataView, name: string): number {
  if (view.getUint16(BOOT_FLAG, true) !== 0xaa55 || view.getUint32(MAGIC, true) !== MAGIC_HDRS) {
    throw imageError(name, 'must be a Linux bzImage ("HdrS" at byte 0x202)');
  }
  const version = view.getUint16(VERSION, true);
  if (version < VERSION_MIN)
    throw imageError(name, 'its boot protocol is older than 2.02 (Linux 2.4), which is needed');
  if ((view.getUint8(LOAD_FLAGS) & LOADED_HIGH) === 0) {
    throw imageError(name, 'must be a Linux kernel that is loaded at 1 MiB (bzImage), not below (zImage)');
  }
  if (version >= 0x20c && (view.getUint16(EXTENDED_LOAD_FLAGS, true) & KERNEL_64) !== 0) {
    throw imageError(name, 'must be a 32-bit Linux kernel (this machine is an i386), not a 64-bit one');
  }
  return version;
}

/** The code's length is rounded up to paragraphs; a file whose last bytes are a checksum has all of them. */
function checkSizes(header: SetupHeader, fileBytes: number, whole: boolean, name: string): void {
  const { setupBytes, codeBytes, headerEnd, payload } = header;
  if (headerEnd > HEADER_END_MAX || headerEnd > setupBytes)
    throw imageError(name, 'damaged: its setup header is too long');
  if (codeBytes === 0) throw imageError(name, 'damaged: it has no protected-mode code');
  const end = setupBytes + codeBytes;
  const missing = end - fileBytes;
  if (missing >= (whole ? 1 : PARAGRAPH_BYTES))
    throw imageError(name, `truncated: the kernel ends at byte ${end}, the file at ${fileBytes}`);
  if (payload !== null && payload.offset + payload.bytes > Math.min(codeBytes, fileBytes - setupBytes)) {
    throw imageError(name, 'damaged: its payload reaches beyond its code');
  }
}

/** Refuse a kernel whose bytes are not those that were built. */
function checkCrc(bytes: Uint8Array, view: DataView, header: SetupHeader, name: string): void {
  const end = header.setupBytes + header.codeBytes;
  let crc = 0;
  let from = 0;
  for (const [start, length] of signedFields(view, end)) {
    crc = crc32(new Uint8Array(length), crc32(bytes.subarray(from, start), crc));
    from = start + length;
  }
  if (crc32(bytes.subarray(from, end), crc) !== CRC_OF_INTACT_FILE) {
    throw imageError(name, 'damaged: the checksum of this Linux kernel is wrong');
  }
}

/** Kernels say their version in a string; from 6.16 on the last four bytes are no longer a CRC. */
function carriesCrc(bytes: Uint8Array, view: DataView): boolean {
  const start = view.getUint16(KERNEL_VERSION, true) + 0x200;
  const text = Buffer.from(bytes.subarray(start, start + 16)).toString('latin1');
  const match = /^([0-9]{1,2})\.([0-9]{1,3})\./.exec(text);
  if (match === null) return false;
  const [major, minor] = [Number(match[1]), Number(match[2])];
  return major < 6 || (major === 6 && minor < 16);
}

/** Ranges that an EFI signature changes: the PE header's checksum and its certificate table entry. */
function signedFields(view: DataView, end: number): (readonly [start: number, bytes: number])[] {
  const pe = view.getUint32(0x3c, true);
  const optional = pe + 24;
  if (optional + 136 > end || view.getUint32(pe, true) !== 0x00004550) return [];
  return [
    [optional + 64, 4],
    [optional + 128, 8],
  ];
}
