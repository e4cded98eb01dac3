/**
 * DHCP messages for IPv4 over Ethernet.
 *
 *   offset  size                                      offset  size
 *   0       4     op (1 request, 2 reply), 1, 6, hops 24      4     relay agent (giaddr)
 *   4       4     transaction                         28      16    client's MAC, zeros after it (chaddr)
 *   8       2     seconds since the client began      44      64    server's name, ended by zero
 *   10      2     flags: 8000h answer by broadcast    108     128   boot file, ended by zero
 *   12      4     client's address (ciaddr)           236     4     63825363h
 *   16      4     its address to be (yiaddr)          240     -     options: code, length, value; 0 pads, 255 ends
 *   20      4     next server (siaddr)
 *
 * All fields big-endian. The decoder returns null for anything it does not take: what a guest sends never throws.
 * An option that comes more than once is one value in parts (RFC 3396); option 52 continues the options in the
 * boot file and the server's name, which then are no names.
 * Source: RFC 2131, section 2 and table 1; RFC 2132, sections 3, 8 and 9; RFC 3396, section 7.
 */
import { assert } from '../../emulator/errors.js';
import { MAC_BYTES } from './ethernet.js';
import type { Ipv4Address } from './ipv4.js';

export const DHCP_SERVER_PORT = 67;
export const DHCP_CLIENT_PORT = 68;

/** Codes of RFC 2132. */
export const OPTION = {
  subnetMask: 1,
  router: 3,
  broadcastAddress: 28,
  requestedAddress: 50,
  leaseSeconds: 51,
  overload: 52,
  messageType: 53,
  serverIdentifier: 54,
  renewalSeconds: 58,
  rebindingSeconds: 59,
  clientIdentifier: 61,
  serverName: 66,
  bootFile: 67,
  /** Options of iPXE in one, as its network boot firmware sends and takes them. */
  ipxe: 175,
} as const;

/** Values of option 53, in the order of RFC 2132, section 9.6, from 1 on. */
const TYPES = ['discover', 'offer', 'request', 'decline', 'ack', 'nak', 'release', 'inform'] as const;
export type DhcpType = (typeof TYPES)[number];

const FIXED_BYTES = 240;
/** A BOOTP message has that many bytes at least (RFC 951); some clients insist. */
const MESSAGE_BYTES_MIN = 300;
const NAME_AT = 44;
const NAME_BYTES = 64;
const FILE_AT = 108;
const FILE_BYTES = 128;
const MAGIC = 0x63825363;
const BROADCAST_FLAG = 0x8000;
const PAD = 0;
const END = 255;
/** Longest boot file: it ends with a zero in its field. */
export const BOOT_FILE_BYTES_MAX = FILE_BYTES - 1;
const VALUE_BYTES_MAX = 255;

export interface DhcpMessage {
  readonly op: 'request' | 'reply';
  readonly type: DhcpType;
  readonly transaction: number;
  readonly seconds: number;
  /** The client cannot take an answer to its address yet. */
  readonly broadcast: boolean;
  readonly clientIp: Ipv4Address;
  readonly yourIp: Ipv4Address;
  readonly nextServerIp: Ipv4Address;
  readonly relayIp: Ipv4Address;
  readonly clientMac: Uint8Array;
  readonly bootFile: string;
  /** Without option 53. */
  readonly options: ReadonlyMap<number, Uint8Array>;
}

export function encodeDhcp(message: DhcpMessage): Uint8Array {
  const options: number[] = [OPTION.messageType, 1, TYPES.indexOf(message.type) + 1];
  for (const [code, value] of message.options) options.push(...encodeOption(code, value));
  options.push(END);
  const bytes = new Uint8Array(Math.max(MESSAGE_BYTES_MIN, FIXED_BYTES + options.length));
  const view = new DataView(bytes.buffer);
  bytes.set([message.op === 'request' ? 1 : 2, 1, MAC_BYTES]);
  view.setUint32(4, message.transaction);
  view.setUint16(8, message.seconds);
  view.setUint16(10, message.broadcast ? BROADCAST_FLAG : 0);
  view.setUint32(12, message.clientIp);
  view.setUint32(16, message.yourIp);
  view.setUint32(20, message.nextServerIp);
  view.setUint32(24, message.relayIp);
  bytes.set(message.clientMac, 28);
  const file = Buffer.from(message.bootFile, 'latin1');
  assert(file.length <= BOOT_FILE_BYTES_MAX, 'the boot file fits its field');
  bytes.set(file, FILE_AT);
  view.setUint32(236, MAGIC);
  bytes.set(options, FIXED_BYTES);
  return bytes;
}

/** One option, in parts when it is long; one without a value still comes once. */
function encodeOption(code: number, value: Uint8Array): number[] {
  assert(code > PAD && code < END && code !== OPTION.messageType, 'the code is that of an option with a value');
  const bytes: number[] = [];
  let at = 0;
  do {
    const part = value.subarray(at, at + VALUE_BYTES_MAX);
    bytes.push(code, part.length, ...part);
    at += VALUE_BYTES_MAX;
  } while (at < value.length);
  return bytes;
}

/** Null: damaged, truncated, BOOTP without DHCP, or for another kind of hardware. */
export function decodeDhcp(bytes: Uint8Array): DhcpMessage | null {
  if (bytes.length < FIXED_BYTES || bytes[1] !== 1 || bytes[2] !== MAC_BYTES) return null;
  if (bytes[0] !== 1 && bytes[0] !== 2) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.getUint32(236) !== MAGIC) return null;
  const options = new Map<number, Uint8Array>();
  if (!collectOptions(bytes.subarray(FIXED_BYTES), options)) return null;
  const overload = number(options.get(OPTION.overload), 1) ?? 0;
  options.delete(OPTION.overload);
  if ((overload & 1) !== 0 && !collectOptions(bytes.subarray(FILE_AT, FILE_AT + FILE_BYTES), options)) return null;
  if ((overload & 2) !== 0 && !collectOptions(bytes.subarray(NAME_AT, NAME_AT + NAME_BYTES), options)) return null;
  const type = TYPES[(number(options.get(OPTION.messageType), 1) ?? 0) - 1];
  if (type === undefined) return null;
  options.delete(OPTION.messageType);
  return {
    op: bytes[0] === 1 ? 'request' : 'reply',
    type,
    transaction: view.getUint32(4),
    seconds: view.getUint16(8),
    broadcast: (view.getUint16(10) & BROADCAST_FLAG) !== 0,
    clientIp: view.getUint32(12),
    yourIp: view.getUint32(16),
    nextServerIp: view.getUint32(20),
    relayIp: view.getUint32(24),
    clientMac: bytes.slice(28, 28 + MAC_BYTES),
    bootFile: (overload & 1) === 0 ? zeroEnded(bytes.subarray(FILE_AT, FILE_AT + FILE_BYTES)) : '',
    options,
  };
}

/** The address in an option; null: not there, or not four bytes. */
export function addressOption(message: DhcpMessage, code: number): Ipv4Address | null {
  return number(message.options.get(code), 4);
}

/** A value of four bytes for an option. */
export function fourBytes(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
}

/** False: an option reaches over the end. A field without an end mark is allowed, as most servers do. */
function collectOptions(bytes: Uint8Array, options: Map<number, Uint8Array>): boolean {
  let at = 0;
  while (at < bytes.length) {
    const code = bytes[at++];
    if (code === END) return true;
    if (code === undefined || code === PAD) continue;
    const length = bytes[at++];
    if (length === undefined || at + length > bytes.length) return false;
    const part = bytes.slice(at, at + length);
    at += length;
    const before = options.get(code);
    options.set(code, before === undefined ? part : Uint8Array.from([...before, ...part]));
  }
  return true;
}

/** A big-endian number of exactly that many bytes; null: something else is there. */
function number(value: Uint8Array | undefined, bytes: number): number | null {
  return value?.length === bytes ? value.reduce((sum, byte) => sum * 256 + byte, 0) : null;
}

function zeroEnded(field: Uint8Array): string {
  const end = field.indexOf(0);
  return Buffer.from(end < 0 ? field : field.subarray(0, end)).toString('latin1');
}
