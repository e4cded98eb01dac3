/**
 * IPv4 datagrams without options of our own and without fragments, UDP and ICMP echo inside them.
 *
 *   IPv4, 20 bytes and more             UDP                     ICMP echo
 *   0  1  version 4, header words       0  2  source port       0  1  type: 8 request, 0 reply
 *   2  2  total length                  2  2  destination port  1  1  code 0
 *   6  2  flags, fragment offset        4  2  length            2  2  checksum
 *   8  1  TTL   9  1  protocol          6  2  checksum          4  2  identifier
 *   10 2  checksum                      8  -  payload           6  2  sequence
 *   12 4  source   16 4  destination                            8  -  data
 *
 * All fields big-endian. Addresses are unsigned 32-bit numbers. Decoders return null for anything they do
 * not take: what a guest sends never throws.
 * Source: RFC 791, section 3.1; RFC 768; RFC 792, "Echo or Echo Reply Message".
 */
import { isIPv4 } from 'node:net';
import { pooledBytes } from '../../emulator/byte-pool.js';
import { ConfigError, assert } from '../../emulator/errors.js';
import { finishChecksum, internetChecksum, sumWordsOf } from './internet-checksum.js';
import { ETHERNET_FRAME_BYTES_MIN, ETHERNET_HEADER_BYTES, ETHERTYPE_IPV4, MTU_BYTES, etherType } from './ethernet.js';

export const PROTOCOL_ICMP = 1;
export const PROTOCOL_UDP = 17;
const IPV4_HEADER_BYTES = 20;
const UDP_HEADER_BYTES = 8;
const ICMP_ECHO_HEADER_BYTES = 8;
/** Largest UDP payload that needs no fragments. */
export const UDP_PAYLOAD_BYTES_MAX = MTU_BYTES - IPV4_HEADER_BYTES - UDP_HEADER_BYTES;
export const ECHO_DATA_BYTES_MAX = MTU_BYTES - IPV4_HEADER_BYTES - ICMP_ECHO_HEADER_BYTES;
const TTL = 64;
const DONT_FRAGMENT = 0x4000;
/** "More fragments" and the offset: any of them set means a fragment. */
const FRAGMENT_MASK = 0x3fff;

/** An IPv4 address as an unsigned number, 10.86.0.1 being 0x0a560001. */
export type Ipv4Address = number;

export const BROADCAST_IPV4: Ipv4Address = 0xffffffff;

/** Parse dotted decimal. @throws ConfigError naming `option` */
export function parseIpv4(option: string, text: string): Ipv4Address {
  if (!isIPv4(text)) throw new ConfigError(option, text, 'must contain an IPv4 address such as 10.86.0.2');
  return text.split('.').reduce((value, part) => value * 256 + Number(part), 0);
}

export function formatIpv4(address: Ipv4Address): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 0xff).join('.');
}

export interface Ipv4Packet {
  readonly source: Ipv4Address;
  readonly destination: Ipv4Address;
  readonly protocol: number;
  readonly payload: Uint8Array;
}

/* Without views: headers are read and written for every packet. */

function get16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}

function get32(bytes: Uint8Array, at: number): number {
  return ((get16(bytes, at) << 16) | get16(bytes, at + 2)) >>> 0;
}

function put16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}

function put32(bytes: Uint8Array, at: number, value: number): void {
  put16(bytes, at, value >>> 16);
  put16(bytes, at + 2, value & 0xffff);
}

/** `identification` is the header's 16-bit field. */
export function encodeIpv4(packet: Ipv4Packet, identification: number): Uint8Array {
  const bytes = new Uint8Array(IPV4_HEADER_BYTES + packet.payload.length);
  putIpv4Header(bytes, 0, packet, packet.payload.length, identification);
  bytes.set(packet.payload, IPV4_HEADER_BYTES);
  return bytes;
}

/** Write the header of a datagram at `at`. */
function putIpv4Header(
  bytes: Uint8Array,
  at: number,
  { source, destination, protocol }: Omit<Ipv4Packet, 'payload'>,
  payloadBytes: number,
  identification: number,
): void {
  const totalBytes = IPV4_HEADER_BYTES + payloadBytes;
  assert(totalBytes <= MTU_BYTES, 'an IPv4 datagram fits the MTU');
  put16(bytes, at, 0x4500);
  put16(bytes, at + 2, totalBytes);
  put16(bytes, at + 4, identification & 0xffff);
  put16(bytes, at + 6, DONT_FRAGMENT);
  put16(bytes, at + 8, (TTL << 8) | protocol);
  put16(bytes, at + 10, 0);
  put32(bytes, at + 12, source);
  put32(bytes, at + 16, destination);
  put16(bytes, at + 10, finishChecksum(sumWordsOf(bytes, at, at + IPV4_HEADER_BYTES, 0)));
}

/** A datagram where it lies: its payload is what `bytes` has from `start` to `end`, which is not included. */
export interface ReceivedIpv4 extends Omit<Ipv4Packet, 'payload'> {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
}

export function payloadOf({ bytes, start, end }: ReceivedIpv4): Uint8Array {
  return bytes.subarray(start, end);
}

/** Decode the datagram at `at`, with padding allowed after it; null: damaged, truncated or a fragment. */
export function decodeIpv4(bytes: Uint8Array, at = 0): ReceivedIpv4 | null {
  if (bytes.length - at < IPV4_HEADER_BYTES) return null;
  const headerBytes = (bytes[at]! & 0x0f) * 4;
  const totalBytes = get16(bytes, at + 2);
  if (bytes[at]! >> 4 !== 4 || headerBytes < IPV4_HEADER_BYTES) return null;
  if (totalBytes < headerBytes || totalBytes > bytes.length - at) return null;
  if ((get16(bytes, at + 6) & FRAGMENT_MASK) !== 0) return null;
  const start = at + headerBytes;
  if (finishChecksum(sumWordsOf(bytes, at, start, 0)) !== 0) return null;
  return {
    source: get32(bytes, at + 12),
    destination: get32(bytes, at + 16),
    protocol: bytes[at + 9]!,
    bytes,
    start,
    end: at + totalBytes,
  };
}

export interface UdpDatagram {
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly payload: Uint8Array;
}

/** Sum of the pseudo header of RFC 768: both addresses, the protocol, the UDP length. */
function pseudoSum(source: Ipv4Address, destination: Ipv4Address, length: number): number {
  const words = (source >>> 16) + (source & 0xffff) + (destination >>> 16) + (destination & 0xffff);
  return words + PROTOCOL_UDP + length;
}

export function encodeUdp(source: Ipv4Address, destination: Ipv4Address, datagram: UdpDatagram): Uint8Array {
  const bytes = new Uint8Array(UDP_HEADER_BYTES + datagram.payload.length);
  putUdp(bytes, 0, source, destination, datagram);
  return bytes;
}

/** Write a whole UDP datagram at `at`. */
function putUdp(
  bytes: Uint8Array,
  at: number,
  source: Ipv4Address,
  destination: Ipv4Address,
  { sourcePort, destinationPort, payload }: UdpDatagram,
): void {
  const length = UDP_HEADER_BYTES + payload.length;
  put16(bytes, at, sourcePort);
  put16(bytes, at + 2, destinationPort);
  put16(bytes, at + 4, length);
  put16(bytes, at + 6, 0);
  bytes.set(payload, at + UDP_HEADER_BYTES);
  const checksum = finishChecksum(sumWordsOf(bytes, at, at + length, pseudoSum(source, destination, length)));
  // A computed zero is sent as all ones; zero means "no checksum".
  put16(bytes, at + 6, checksum === 0 ? 0xffff : checksum);
}

/**
 * A frame with a UDP datagram, put together in one pass; its MAC addresses are not set yet. The caller makes sure that the
 * payload fits.
 */
export function encodeUdpFrame(
  source: Ipv4Address,
  destination: Ipv4Address,
  datagram: UdpDatagram,
  identification: number,
): Uint8Array {
  const { payload } = datagram;
  const udpAt = ETHERNET_HEADER_BYTES + IPV4_HEADER_BYTES;
  const end = udpAt + UDP_HEADER_BYTES + payload.length;
  const frame = pooledBytes(Math.max(ETHERNET_FRAME_BYTES_MIN, end));
  put16(frame, 12, ETHERTYPE_IPV4);
  putUdp(frame, udpAt, source, destination, datagram);
  const packet = { source, destination, protocol: PROTOCOL_UDP };
  putIpv4Header(frame, ETHERNET_HEADER_BYTES, packet, end - udpAt, identification);
  if (end < frame.length) frame.fill(0, end);
  return frame;
}

/** Decode the UDP datagram in `packet`; null: damaged or truncated. */
export function decodeUdp({ source, destination, bytes, start, end }: ReceivedIpv4): UdpDatagram | null {
  if (end - start < UDP_HEADER_BYTES) return null;
  const length = get16(bytes, start + 4);
  if (length < UDP_HEADER_BYTES || length > end - start) return null;
  const sum = pseudoSum(source, destination, length);
  if (get16(bytes, start + 6) !== 0 && finishChecksum(sumWordsOf(bytes, start, start + length, sum)) !== 0) return null;
  return {
    sourcePort: get16(bytes, start),
    destinationPort: get16(bytes, start + 2),
    payload: bytes.subarray(start + UDP_HEADER_BYTES, start + length),
  };
}

export interface IcmpEcho {
  readonly kind: 'request' | 'reply';
  readonly identifier: number;
  readonly sequence: number;
  readonly data: Uint8Array;
}

export function encodeIcmpEcho(echo: IcmpEcho): Uint8Array {
  const bytes = new Uint8Array(ICMP_ECHO_HEADER_BYTES + echo.data.length);
  bytes[0] = echo.kind === 'request' ? 8 : 0;
  put16(bytes, 4, echo.identifier);
  put16(bytes, 6, echo.sequence);
  bytes.set(echo.data, ICMP_ECHO_HEADER_BYTES);
  put16(bytes, 2, internetChecksum(bytes));
  return bytes;
}

/** Decode an ICMP message; null: damaged, truncated or not an echo. */
export function decodeIcmpEcho(bytes: Uint8Array): IcmpEcho | null {
  if (bytes.length < ICMP_ECHO_HEADER_BYTES || bytes[1] !== 0) return null;
  if ((bytes[0] !== 8 && bytes[0] !== 0) || internetChecksum(bytes) !== 0) return null;
  return {
    kind: bytes[0] === 8 ? 'request' : 'reply',
    identifier: get16(bytes, 4),
    sequence: get16(bytes, 6),
    data: bytes.subarray(ICMP_ECHO_HEADER_BYTES),
  };
}

/** An IPv4 frame without what Ethernet added to reach its least length; any other frame as it is. */
export function unpadded(frame: Uint8Array): Uint8Array {
  if (frame.length < ETHERNET_HEADER_BYTES + IPV4_HEADER_BYTES || etherType(frame) !== ETHERTYPE_IPV4) return frame;
  const total = (frame[ETHERNET_HEADER_BYTES + 2]! << 8) | frame[ETHERNET_HEADER_BYTES + 3]!;
  return total < IPV4_HEADER_BYTES ? frame : frame.subarray(0, ETHERNET_HEADER_BYTES + total);
}
