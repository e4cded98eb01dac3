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

/** The dynamic ports (RFC 6335, section 6). */
const PORT_FIRST = 49152;
const PORT_LAST = 65535;

export interface NatClient {
  /** Number of the forward the client came through. */
  readonly forward: number;
  readonly address: string;
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
  /** In the order of last use. */
  readonly #byClient = new Map<string, Mapping>();
  readonly #byPort = new Map<number, Mapping>();
  #nextPort = PORT_FIRST;

  constructor(options: { readonly clientsMax?: number; readonly ageMs?: number } = {}) {
    this.#clientsMax = options.clientsMax ?? 4096;
    this.#ageMs = options.ageMs ?? 300_000;
    assert(this.#clientsMax <= PORT_LAST - PORT_FIRST, 'there are more virtual ports than clients');
  }

  get clients(): number {
    return this.#byClient.size;
  }

  /** The virtual source port of a client, which was just heard. */
  portOf(client: NatClient, nowMs: number): number {
    const key = `${client.forward} ${client.port} ${client.address}`;
    let mapping = this.#byClient.get(key);
    this.#byClient.delete(key);
    if (mapping === undefined) {
      this.#expire(nowMs);
      mapping = { client, virtualPort: this.#freePort(), usedMs: nowMs };
      this.#byPort.set(mapping.virtualPort, mapping);
    }
    mapping.usedMs = nowMs;
    this.#byClient.set(key, mapping);
    return mapping.virtualPort;
  }

  /** Whose virtual port that is; null: nobody's (any more). */
  clientOf(virtualPort: number): NatClient | null {
    return this.#byPort.get(virtualPort)?.client ?? null;
  }

  /** Make room for one more: drop what is too old, and the oldest when that does not suffice. */
  #expire(nowMs: number): void {
    for (const [key, mapping] of this.#byClient) {
      if (nowMs - mapping.usedMs <= this.#ageMs && this.#byClient.size < this.#clientsMax) return;
      this.#byClient.delete(key);
      this.#byPort.delete(mapping.virtualPort);
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
