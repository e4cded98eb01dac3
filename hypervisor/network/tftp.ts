/**
 * TFTP packets with options.
 *
 *   read, write  1, 2   name 0 mode 0 [option 0 value 0]...       at most 512 bytes
 *   data         3      block (2)  up to blksize bytes; fewer: the last
 *   ack          4      block (2)
 *   error        5      code (2)   text 0
 *   options      6      [option 0 value 0]...                     the ones that the server takes
 *
 * The first field is two bytes; numbers are big-endian; text is one byte a character. The decoder returns null for
 * anything it does not take: what a guest sends never throws. An option that comes twice is taken as it came first.
 * Source: RFC 1350, sections 4, 5 and the appendix; RFC 2347 (options).
 */

export const TFTP_PORT = 69;
/** Bytes before the data of a block. */
export const DATA_HEADER_BYTES = 4;

/** RFC 1350, appendix, and RFC 2347 for the last one. */
export const TFTP_ERROR = {
  other: 0,
  notFound: 1,
  accessViolation: 2,
  illegalOperation: 4,
  unknownTransfer: 5,
} as const;

export interface TftpRequest {
  readonly kind: 'read' | 'write';
  readonly name: string;
  /** In lower case; `octet` is the one for files as they are. */
  readonly mode: string;
  /** Names in lower case, in the order in which they came. */
  readonly options: ReadonlyMap<string, string>;
}

export type TftpPacket =
  | TftpRequest
  | { readonly kind: 'data'; readonly block: number; readonly data: Uint8Array }
  | { readonly kind: 'ack'; readonly block: number }
  | { readonly kind: 'error'; readonly code: number; readonly text: string }
  | { readonly kind: 'options'; readonly options: ReadonlyMap<string, string> };

const READ = 1;
const WRITE = 2;
const DATA = 3;
const ACK = 4;
const ERROR = 5;
const OPTIONS = 6;
const REQUEST_BYTES_MAX = 512;

/** Names, options and texts must not contain zeros. */
export function encodeTftp(packet: TftpPacket): Uint8Array {
  switch (packet.kind) {
    case 'read':
    case 'write':
      return withStrings(packet.kind === 'read' ? READ : WRITE, [packet.name, packet.mode, ...flat(packet.options)]);
    case 'data': {
      const bytes = new Uint8Array(DATA_HEADER_BYTES + packet.data.length);
      bytes.set([0, DATA, packet.block >> 8, packet.block]);
      bytes.set(packet.data, DATA_HEADER_BYTES);
      return bytes;
    }
    case 'ack':
      return Uint8Array.of(0, ACK, packet.block >> 8, packet.block);
    case 'error':
      return Uint8Array.of(0, ERROR, packet.code >> 8, packet.code, ...Buffer.from(packet.text, 'latin1'), 0);
    case 'options':
      return withStrings(OPTIONS, flat(packet.options));
  }
}

/** Null: damaged, truncated or unknown. The data of a block is a view of `bytes`. */
export function decodeTftp(bytes: Uint8Array): TftpPacket | null {
  if (bytes.length < 2 || bytes[0] !== 0) return null;
  switch (bytes[1]) {
    case READ:
    case WRITE:
      return decodeRequest(bytes);
    case DATA:
      if (bytes.length < DATA_HEADER_BYTES) return null;
      return { kind: 'data', block: secondField(bytes), data: bytes.subarray(DATA_HEADER_BYTES) };
    case ACK:
      return bytes.length === 4 ? { kind: 'ack', block: secondField(bytes) } : null;
    case ERROR: {
      const strings = bytes.length < 5 ? null : splitStrings(bytes.subarray(4));
      if (strings?.length !== 1) return null;
      return { kind: 'error', code: secondField(bytes), text: strings[0] ?? '' };
    }
    case OPTIONS: {
      const strings = splitStrings(bytes.subarray(2));
      const options = strings === null ? null : pairs(strings);
      return options === null ? null : { kind: 'options', options };
    }
    default:
      return null;
  }
}

function decodeRequest(bytes: Uint8Array): TftpRequest | null {
  if (bytes.length > REQUEST_BYTES_MAX) return null;
  const [name, mode, ...rest] = splitStrings(bytes.subarray(2)) ?? [];
  const options = pairs(rest);
  if (name === undefined || name === '' || mode === undefined || options === null) return null;
  return { kind: bytes[1] === READ ? 'read' : 'write', name, mode: mode.toLowerCase(), options };
}

function secondField(bytes: Uint8Array): number {
  return ((bytes[2] ?? 0) << 8) | (bytes[3] ?? 0);
}

function withStrings(code: number, strings: readonly string[]): Uint8Array {
  return Uint8Array.from([0, code, ...Buffer.from(strings.map((text) => `${text}\0`).join(''), 'latin1')]);
}

function flat(options: ReadonlyMap<string, string>): string[] {
  return [...options].flat();
}

/** Null: the last one does not end. */
function splitStrings(bytes: Uint8Array): string[] | null {
  if (bytes.length > 0 && bytes[bytes.length - 1] !== 0) return null;
  return Buffer.from(bytes).toString('latin1').split('\0').slice(0, -1);
}

/** Null: a name without a value, or without characters. */
function pairs(strings: readonly string[]): Map<string, string> | null {
  if (strings.length % 2 !== 0) return null;
  const options = new Map<string, string>();
  for (let i = 0; i < strings.length; i += 2) {
    const name = (strings[i] ?? '').toLowerCase();
    if (name === '') return null;
    if (!options.has(name)) options.set(name, strings[i + 1] ?? '');
  }
  return options;
}
