/**
 * ARP for IPv4 over Ethernet: the packet and a small cache with retries.
 *
 *   offset  size
 *   0       8     hardware 1, protocol 0800h, lengths 6 and 4, operation (1 request, 2 reply)
 *   8       6     sender MAC        14  4  sender IP
 *   18      6     target MAC        24  4  target IP
 *
 * Invariants: the cache and what waits in it are bounded; a request is repeated while something waits.
 * Source: RFC 826; RFC 1122, section 2.3.2 (time-outs; it advises one request a second, ours come faster
 * because they go no further than a switch on the same machine and a datagram waits for a second only).
 */
import { MAC_BYTES } from './ethernet.js';
import type { Ipv4Address } from './ipv4.js';

const ARP_BYTES = 28;
const PREFIX = [0, 1, 0x08, 0x00, MAC_BYTES, 4, 0] as const;

export interface ArpPacket {
  readonly operation: 'request' | 'reply';
  readonly senderMac: Uint8Array;
  readonly senderIp: Ipv4Address;
  readonly targetMac: Uint8Array;
  readonly targetIp: Ipv4Address;
}

export function encodeArp(packet: ArpPacket): Uint8Array {
  const bytes = new Uint8Array(ARP_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set(PREFIX);
  bytes[7] = packet.operation === 'request' ? 1 : 2;
  bytes.set(packet.senderMac, 8);
  view.setUint32(14, packet.senderIp);
  bytes.set(packet.targetMac, 18);
  view.setUint32(24, packet.targetIp);
  return bytes;
}

/** Null for anything but a whole IPv4 request or reply; padding after it is allowed. */
export function decodeArp(bytes: Uint8Array): ArpPacket | null {
  if (bytes.length < ARP_BYTES || PREFIX.some((byte, i) => bytes[i] !== byte)) return null;
  if (bytes[7] !== 1 && bytes[7] !== 2) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return {
    operation: bytes[7] === 1 ? 'request' : 'reply',
    senderMac: bytes.slice(8, 14),
    senderIp: view.getUint32(14),
    targetMac: bytes.slice(18, 24),
    targetIp: view.getUint32(24),
  };
}

const ENTRIES_MAX = 256;
/** Datagrams that wait for one address; the oldest goes first. */
const WAITING_MAX = 64;
const RETRY_MS = 100;
/** What waited that long is dropped. */
const WAIT_MS_MAX = 1000;
/** A known address is asked for again after that time, and forgotten after twice as long. */
const REFRESH_MS = 60_000;

interface Neighbour {
  mac: Uint8Array | null;
  /** When `mac` was last confirmed. */
  confirmedMs: number;
  askedMs: number;
  readonly waiting: { readonly datagram: Uint8Array; readonly sinceMs: number }[];
}

/** Which MAC has which IP address. The caller sends the requests and the datagrams. */
export class ArpCache {
  readonly #neighbours = new Map<Ipv4Address, Neighbour>();
  readonly #ask: (ip: Ipv4Address) => void;
  /** Datagrams dropped because nobody answered for their address. */
  unanswered = 0;

  constructor(ask: (ip: Ipv4Address) => void) {
    this.#ask = ask;
  }

  /** The MAC to send `datagram` to now; null: it waits, and comes out of learn() later or is dropped. */
  resolve(ip: Ipv4Address, datagram: Uint8Array, nowMs: number): Uint8Array | null {
    const neighbour = this.#neighbours.get(ip) ?? this.#add(ip);
    const age = nowMs - neighbour.confirmedMs;
    if (neighbour.mac !== null && age > 2 * REFRESH_MS) neighbour.mac = null;
    if (neighbour.mac === null || age > REFRESH_MS) this.#askAgain(ip, neighbour, nowMs);
    if (neighbour.mac !== null) return neighbour.mac;
    neighbour.waiting.push({ datagram, sinceMs: nowMs });
    if (neighbour.waiting.length > WAITING_MAX) {
      neighbour.waiting.shift();
      this.unanswered++;
    }
    return null;
  }

  /** Whether the address is in the cache or asked for. */
  knows(ip: Ipv4Address): boolean {
    return this.#neighbours.has(ip);
  }

  /** Note a sender's addresses. Returns the datagrams that waited for them. */
  learn(ip: Ipv4Address, mac: Uint8Array, nowMs: number): Uint8Array[] {
    const neighbour = this.#neighbours.get(ip) ?? this.#add(ip);
    neighbour.mac = mac;
    neighbour.confirmedMs = nowMs;
    return neighbour.waiting.splice(0).map(({ datagram }) => datagram);
  }

  /** Repeat requests and drop what waited for too long. To be called every 100 ms or so. */
  tick(nowMs: number): void {
    for (const [ip, neighbour] of this.#neighbours) {
      while ((neighbour.waiting[0]?.sinceMs ?? nowMs) < nowMs - WAIT_MS_MAX) {
        neighbour.waiting.shift();
        this.unanswered++;
      }
      if (neighbour.mac === null && neighbour.waiting.length > 0) this.#askAgain(ip, neighbour, nowMs);
    }
  }

  #askAgain(ip: Ipv4Address, neighbour: Neighbour, nowMs: number): void {
    if (nowMs - neighbour.askedMs < RETRY_MS) return;
    neighbour.askedMs = nowMs;
    this.#ask(ip);
  }

  #add(ip: Ipv4Address): Neighbour {
    if (this.#neighbours.size >= ENTRIES_MAX) {
      const oldest = this.#neighbours.keys().next();
      if (oldest.done !== true) {
        this.unanswered += this.#neighbours.get(oldest.value)?.waiting.length ?? 0;
        this.#neighbours.delete(oldest.value);
      }
    }
    const neighbour: Neighbour = { mac: null, confirmedMs: -Infinity, askedMs: -Infinity, waiting: [] };
    this.#neighbours.set(ip, neighbour);
    return neighbour;
  }
}
