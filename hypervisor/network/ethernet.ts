/**
 * Ethernet II frames as they travel through the switch: no preamble, no frame check sequence.
 *
 *   offset  size
 *   0       6     destination MAC
 *   6       6     source MAC
 *   12      2     EtherType, big-endian
 *   14      -     payload
 *
 * Source: IEEE 802.3, clause 3; RFC 903 (reverse ARP) and RFC 826 for the gratuitous frame's layout.
 */
import { ConfigError, assert } from '../../emulator/errors.js';

export const MAC_BYTES = 6;
export const ETHERNET_HEADER_BYTES = 14;
/** Header, 1500 bytes of payload and one VLAN tag. */
export const ETHERNET_FRAME_BYTES_MAX = 1518;
/** Shortest frame on a wire, without its check sequence; shorter ones are padded with zeros. */
export const ETHERNET_FRAME_BYTES_MIN = 60;
export const MTU_BYTES = 1500;

export const ETHERTYPE_IPV4 = 0x0800;
export const ETHERTYPE_ARP = 0x0806;
export const ETHERTYPE_IPV6 = 0x86dd;
export const ETHERTYPE_RARP = 0x8035;
export const BROADCAST_MAC: Uint8Array = new Uint8Array(MAC_BYTES).fill(0xff);

/** RARP "request reverse" (RFC 903). */
const RARP_REQUEST = 3;

/** Parse `52:54:00:12:34:56`. @throws ConfigError unless it is the address of one interface */
export function parseMac(option: string, text: string): Uint8Array {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text)) {
    throw new ConfigError(option, text, 'must be a MAC address such as 52:54:00:12:34:56');
  }
  const mac = Uint8Array.from(text.split(':'), (part) => parseInt(part, 16));
  if (isGroup(mac)) throw new ConfigError(option, text, 'must not be a multicast address');
  return mac;
}

/** Lower-case hexadecimal with colons. */
export function formatMac(mac: Uint8Array): string {
  return Array.from(mac, (byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/** Whether the address at `offset` is a multicast or broadcast one (its lowest transmitted bit is set). */
export function isGroup(bytes: Uint8Array, offset = 0): boolean {
  return ((bytes[offset] ?? 0) & 1) !== 0;
}

/** The MAC at `offset`, all of which is there, as one number, for use as a key. */
export function macNumber(bytes: Uint8Array, offset = 0): number {
  const high = (bytes[offset]! << 8) | bytes[offset + 1]!;
  const low = (bytes[offset + 2]! << 24) | (bytes[offset + 3]! << 16) | (bytes[offset + 4]! << 8) | bytes[offset + 5]!;
  return high * 0x1_0000_0000 + (low >>> 0);
}

/** Write a MAC at `offset`. So few bytes are there sooner than a call that copies any number. */
export function putMac(bytes: Uint8Array, offset: number, mac: Uint8Array): void {
  for (let i = 0; i < MAC_BYTES; i++) bytes[offset + i] = mac[i]!;
}

/** EtherType of a frame with a whole header. */
export function etherType(frame: Uint8Array): number {
  return ((frame[12] ?? 0) << 8) | (frame[13] ?? 0);
}

/** Build a frame, padded to the shortest length allowed. */
export function buildFrame(destination: Uint8Array, source: Uint8Array, type: number, payload: Uint8Array): Uint8Array {
  assert(payload.length <= MTU_BYTES, 'an Ethernet payload fits the MTU');
  const frame = new Uint8Array(Math.max(ETHERNET_FRAME_BYTES_MIN, ETHERNET_HEADER_BYTES + payload.length));
  frame.set(destination);
  frame.set(source, MAC_BYTES);
  frame[12] = type >> 8;
  frame[13] = type & 0xff;
  frame.set(payload, ETHERNET_HEADER_BYTES);
  return frame;
}

/**
 * The frame that tells every bridge where `mac` is from now on: a broadcast reverse-ARP request, because
 * whoever sends it need not know the guest's IP address.
 */
export function gratuitousFrame(mac: Uint8Array): Uint8Array {
  const body = new Uint8Array(28);
  // Hardware Ethernet, protocol IPv4, lengths 6 and 4, operation; both hardware addresses, no IP address.
  body.set([0, 1, 0x08, 0x00, MAC_BYTES, 4, 0, RARP_REQUEST]);
  body.set(mac, 8);
  body.set(mac, 18);
  return buildFrame(BROADCAST_MAC, mac, ETHERTYPE_RARP, body);
}
