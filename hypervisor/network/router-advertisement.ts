/**
 * The answer to an IPv6 guest that looks for a router: there is none here (lifetime 0), and no prefix. Without it such a
 * guest asks again and again before it goes on; network boot firmware takes 16 s.
 *
 *   IPv6, 40 bytes                        solicitation      advertisement
 *   0  4  version 6, class, flow          0  1  133         0  1  134        8  4  reachable time
 *   4  2  payload length                  1  1  0           1  1  0          12 4  retransmission time
 *   6  1  next header 58   7 1 hops 255   2  2  checksum    2  2  checksum   16 8  option 1: our MAC
 *   8  16 source   24 16 destination      4  4  -           4  4  hops 64, flags 0, lifetime 0
 *
 * All fields big-endian. What a guest sends never throws: anything but a whole solicitation is none.
 * Source: RFC 4861, sections 4.1, 4.2, 6.1.1 and 6.2.6; RFC 8200, sections 3 and 8.1; RFC 4291, section 2.5.6.
 */
import { MAC_BYTES } from './ethernet.js';
import { finishChecksum, sumWords } from './internet-checksum.js';

const HEADER_BYTES = 40;
const ADDRESS_BYTES = 16;
const SOURCE_AT = 8;
const DESTINATION_AT = 24;
const ICMPV6 = 58;
/** Proves that a message crossed no router (section 3.1). */
const HOPS = 255;
const SOLICITATION = 133;
const SOLICITATION_BYTES_MIN = 8;
const ADVERTISEMENT = 134;
const ADVERTISEMENT_BYTES = 24;
/** ff02::1, and the MAC that it has (RFC 2464, section 7). */
const ALL_NODES = Uint8Array.of(0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);
const ALL_NODES_MAC = Uint8Array.of(0x33, 0x33, 0, 0, 0, 1);

export interface AddressedPacket {
  /** Where on the network it goes. */
  readonly mac: Uint8Array;
  /** An IPv6 packet. */
  readonly packet: Uint8Array;
}

/**
 * The answer of the host with `ownMac` to an IPv6 packet that came from `fromMac`; null: it is no solicitation.
 * It goes to the guest that asked, or to all when that has no address yet.
 */
export function answerSolicitation(
  packet: Uint8Array,
  fromMac: Uint8Array,
  ownMac: Uint8Array,
): AddressedPacket | null {
  if (!isSolicitation(packet)) return null;
  const source = packet.subarray(SOURCE_AT, DESTINATION_AT);
  const toAll = source.every((byte) => byte === 0);
  return {
    mac: toAll ? ALL_NODES_MAC : fromMac,
    packet: encodeAdvertisement(ownMac, toAll ? ALL_NODES : source),
  };
}

function isSolicitation(packet: Uint8Array): boolean {
  if (packet.length < HEADER_BYTES || packet[0]! >> 4 !== 6) return false;
  const bytes = (packet[4]! << 8) | packet[5]!;
  if (packet[6] !== ICMPV6 || packet[7] !== HOPS) return false;
  if (bytes < SOLICITATION_BYTES_MIN || HEADER_BYTES + bytes > packet.length) return false;
  const whole = packet.subarray(0, HEADER_BYTES + bytes);
  return whole[HEADER_BYTES] === SOLICITATION && whole[HEADER_BYTES + 1] === 0 && checksum(whole) === 0;
}

function encodeAdvertisement(ownMac: Uint8Array, destination: Uint8Array): Uint8Array {
  const packet = new Uint8Array(HEADER_BYTES + ADVERTISEMENT_BYTES);
  packet.set([0x60, 0, 0, 0, 0, ADVERTISEMENT_BYTES, ICMPV6, HOPS]);
  packet.set(linkLocal(ownMac), SOURCE_AT);
  packet.set(destination, DESTINATION_AT);
  packet.set([ADVERTISEMENT, 0, 0, 0, 64], HEADER_BYTES);
  packet.set([1, 1, ...ownMac], HEADER_BYTES + ADVERTISEMENT_BYTES - 2 - MAC_BYTES);
  const sum = checksum(packet);
  packet.set([sum >> 8, sum & 0xff], HEADER_BYTES + 2);
  return packet;
}

/** Of the pseudo header (both addresses, the length, the protocol) and the message; 0 when it contains a right one. */
function checksum(packet: Uint8Array): number {
  const pseudo = packet.length - HEADER_BYTES + ICMPV6;
  return finishChecksum(sumWords(packet.subarray(SOURCE_AT), pseudo));
}

/** fe80:: and the MAC with ff:fe in its middle and the second lowest bit of its first byte turned over. */
function linkLocal(mac: Uint8Array): Uint8Array {
  const address = new Uint8Array(ADDRESS_BYTES);
  address.set([0xfe, 0x80]);
  address.set([mac[0]! ^ 2, mac[1]!, mac[2]!, 0xff, 0xfe, mac[3]!, mac[4]!, mac[5]!], 8);
  return address;
}
