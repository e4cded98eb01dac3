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
import { ConfigError, assert } from '../../emulator/errors.js';
import { finishChecksum, internetChecksum, sumWords } from './internet-checksum.js';
import { ETHERNET_HEADER_BYTES, ETHERTYPE_IPV4, MTU_BYTES, etherType } from './ethernet.js';

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

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** `identification` is the header's 16-bit field. */
export function encodeIpv4(packet: Ipv4Packet, identification: number): Uint8Array {
  const bytes = new Uint8Array(IPV4_HEADER_BYTES + packet.payload.length);
  assert(bytes.length <= MTU_BYTES, 'an IPv4 datagram fits the MTU');
  const view = viewOf(bytes);
  bytes[0] = 0x45;
  view.setUint16(2, bytes.length);
  view.setUint16(4, identification & 0xffff);
  view.setUint16(6, DONT_FRAGMENT);
  bytes[8] = TTL;
  bytes[9] = packet.protocol;
  view.setUint32(12, packet.source);
  view.setUint32(16, packet.destination);
  view.setUint16(10, internetChecksum(bytes.subarray(0, IPV4_HEADER_BYTES)));
  bytes.set(packet.payload, IPV4_HEADER_BYTES);
  return bytes;
}

/** Decode a datagram, with padding allowed after it; null: damaged, truncated or a fragment. */
export function decodeIpv4(bytes: Uint8Array): Ipv4Packet | null {
  if (bytes.length < IPV4_HEADER_BYTES) return null;
  const view = viewOf(bytes);
  const headerBytes = ((bytes[0] ?? 0) & 0x0f) * 4;
  const totalBytes = view.getUint16(2);
  if ((bytes[0] ?? 0) >> 4 !== 4 || headerBytes < IPV4_HEADER_BYTES) return null;
  if (totalBytes < headerBytes || totalBytes > bytes.length) return null;
  if ((view.getUint16(6) & FRAGMENT_MASK) !== 0) return null;
  if (internetChecksum(bytes.subarray(0, headerBytes)) !== 0) return null;
  return {
    source: view.getUint32(12),
    destination: view.getUint32(16),
    protocol: bytes[9] ?? 0,
    payload: bytes.subarray(headerBytes, totalBytes),
  };
}

export interface UdpDatagram {
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly payload: Uint8Array;
}

/** Sum of the pseudo header of RFC 768: both addresses, the protocol, the UDP length. */
function pseudoSum(source: Ipv4Address, destination: Ipv4Address, length: number): number {
  const words = (address: Ipv4Address): number => (address >>> 16) + (address & 0xffff);
  return words(source) + words(destination) + PROTOCOL_UDP + length;
}

export function encodeUdp(source: Ipv4Address, destination: Ipv4Address, datagram: UdpDatagram): Uint8Array {
  const bytes = new Uint8Array(UDP_HEADER_BYTES + datagram.payload.length);
  const view = viewOf(bytes);
  view.setUint16(0, datagram.sourcePort);
  view.setUint16(2, datagram.destinationPort);
  view.setUint16(4, bytes.length);
  bytes.set(datagram.payload, UDP_HEADER_BYTES);
  const checksum = finishChecksum(sumWords(bytes, pseudoSum(source, destination, bytes.length)));
  // A computed zero is sent as all ones; zero means "no checksum".
  view.setUint16(6, checksum === 0 ? 0xffff : checksum);
  return bytes;
}

/** Decode the UDP datagram in `packet`; null: damaged or truncated. */
export function decodeUdp(packet: Ipv4Packet): UdpDatagram | null {
  if (packet.payload.length < UDP_HEADER_BYTES) return null;
  const view = viewOf(packet.payload);
  const length = view.getUint16(4);
  if (length < UDP_HEADER_BYTES || length > packet.payload.length) return null;
  const bytes = packet.payload.subarray(0, length);
  const sum = pseudoSum(packet.source, packet.destination, length);
  if (view.getUint16(6) !== 0 && finishChecksum(sumWords(bytes, sum)) !== 0) return null;
  return {
    sourcePort: view.getUint16(0),
    destinationPort: view.getUint16(2),
    payload: bytes.subarray(UDP_HEADER_BYTES),
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
  const view = viewOf(bytes);
  bytes[0] = echo.kind === 'request' ? 8 : 0;
  view.setUint16(4, echo.identifier);
  view.setUint16(6, echo.sequence);
  bytes.set(echo.data, ICMP_ECHO_HEADER_BYTES);
  view.setUint16(2, internetChecksum(bytes));
  return bytes;
}

/** Decode an ICMP message; null: damaged, truncated or not an echo. */
export function decodeIcmpEcho(bytes: Uint8Array): IcmpEcho | null {
  if (bytes.length < ICMP_ECHO_HEADER_BYTES || bytes[1] !== 0) return null;
  if ((bytes[0] !== 8 && bytes[0] !== 0) || internetChecksum(bytes) !== 0) return null;
  const view = viewOf(bytes);
  return {
    kind: bytes[0] === 8 ? 'request' : 'reply',
    identifier: view.getUint16(4),
    sequence: view.getUint16(6),
    data: bytes.subarray(ICMP_ECHO_HEADER_BYTES),
  };
}

/** An IPv4 frame without what Ethernet added to reach its least length; any other frame as it is. */
export function unpadded(frame: Uint8Array): Uint8Array {
  if (frame.length < ETHERNET_HEADER_BYTES + IPV4_HEADER_BYTES || etherType(frame) !== ETHERTYPE_IPV4) return frame;
  const total = (frame[ETHERNET_HEADER_BYTES + 2]! << 8) | frame[ETHERNET_HEADER_BYTES + 3]!;
  return total < IPV4_HEADER_BYTES ? frame : frame.subarray(0, ETHERNET_HEADER_BYTES + total);
}
