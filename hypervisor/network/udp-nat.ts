/**
 * Gives every client of a forwarded UDP port its own source port on the virtual network, so that a guest
 * sees distinct clients and an answer finds its way back. Owns no socket; the time is passed in.
 *
 *   (forward, client address, client port) <-> virtual port
 *
 * Invariants: bounded; a virtual port belongs to one client at a time and is handed out again as late as
 * possible; when the table is full the client heard least recently loses its entry.
 */
import { assert } from '../../emulator/errors.js';
import type { Ipv4Address } from './ipv4.js';

/** The dynamic ports (RFC 6335, section 6). */
const PORT_FIRST = 49152;
const PORT_LAST = 65535;

export interface NatClient {
  /** Number of the forward the client came through. */
  readonly forward: number;
  readonly address: Ipv4Address;
  readonly port: number;
}

interface Mapping {
  readonly client: NatClient;
  readonly virtualPort: number;
  usedMs: number;
}

export class UdpNat {
  readonly #clientsMax: number;
  readonly #ageMs: number;
  /** By address and port in one number; each one's entries differ in the forward. */
  readonly #byClient = new Map<number, Mapping[]>();
  /** By virtual port, in the order of last use. */
  readonly #byPort = new Map<number, Mapping>();
  /** The last of them. */
  #newest: Mapping | null = null;
  #nextPort = PORT_FIRST;

  constructor(options: { readonly clientsMax?: number; readonly ageMs?: number } = {}) {
    this.#clientsMax = options.clientsMax ?? 4096;
    this.#ageMs = options.ageMs ?? 300_000;
    assert(this.#clientsMax <= PORT_LAST - PORT_FIRST, 'there are more virtual ports than clients');
  }

  get clients(): number {
    return this.#byPort.size;
  }

  /** The virtual source port of a client, which was just heard. */
  portOf(forward: number, address: Ipv4Address, port: number, nowMs: number): number {
    // Most datagrams come in a burst of one client's, which is the last already.
    const newest = this.#newest;
    if (newest !== null && isClient(newest.client, forward, address, port)) {
      newest.usedMs = nowMs;
      return newest.virtualPort;
    }
    const mapping = this.#find(forward, address, port) ?? this.#add({ forward, address, port }, nowMs);
    mapping.usedMs = nowMs;
    this.#newest = mapping;
    this.#byPort.delete(mapping.virtualPort);
    this.#byPort.set(mapping.virtualPort, mapping);
    return mapping.virtualPort;
  }

  /** Whose virtual port that is; null: nobody's (any more). */
  clientOf(virtualPort: number): NatClient | null {
    return this.#byPort.get(virtualPort)?.client ?? null;
  }

  #find(forward: number, address: Ipv4Address, port: number): Mapping | undefined {
    return this.#byClient.get(keyOf(address, port))?.find(({ client }) => client.forward === forward);
  }

  #add(client: NatClient, nowMs: number): Mapping {
    this.#expire(nowMs);
    const mapping = { client, virtualPort: this.#freePort(), usedMs: nowMs };
    const key = keyOf(client.address, client.port);
    this.#byClient.set(key, [...(this.#byClient.get(key) ?? []), mapping]);
    return mapping;
  }

  /** Make room for one more: drop what is too old, and the oldest when that does not suffice. */
  #expire(nowMs: number): void {
    for (const [virtualPort, mapping] of this.#byPort) {
      if (nowMs - mapping.usedMs <= this.#ageMs && this.#byPort.size < this.#clientsMax) return;
      this.#byPort.delete(virtualPort);
      if (mapping === this.#newest) this.#newest = null;
      const key = keyOf(mapping.client.address, mapping.client.port);
      const others = (this.#byClient.get(key) ?? []).filter((each) => each !== mapping);
      if (others.length === 0) this.#byClient.delete(key);
      else this.#byClient.set(key, others);
    }
  }

  #freePort(): number {
    for (;;) {
      const port = this.#nextPort;
      this.#nextPort = port === PORT_LAST ? PORT_FIRST : port + 1;
      if (!this.#byPort.has(port)) return port;
    }
  }
}

function isClient(client: NatClient, forward: number, address: Ipv4Address, port: number): boolean {
  return client.port === port && client.address === address && client.forward === forward;
}

function keyOf(address: Ipv4Address, port: number): number {
  return address * 0x1_0000 + port;
}
