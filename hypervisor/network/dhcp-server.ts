/**
 * A DHCP server for one network, without a socket or a timer: a message and the time in, an answer out.
 *
 *                    discover                 request
 *   (nothing, past) ----------> offered 30 s ---------> bound 1 h --+-- release, time over --> past
 *                                    |                       ^      |
 *                                    +- another was chosen   +------+ request (renewal)
 *
 * The addresses are the upper half of the network, at most 1024: the lower half is for guests with fixed ones.
 * Leases live in memory. After a restart a client that renews gets its address again if it is still free.
 * Invariants: an address belongs to one client at a time, and a client has one; the table is bounded by the addresses; a client without
 * a lease gets the one it had before when nobody else has taken it; nothing a client sends throws.
 * Source: RFC 2131, sections 4.1 (where answers go) and 4.3 (the server); RFC 2132, section 9.
 */
import { BROADCAST_MAC, formatMac, isGroup } from './ethernet.js';
import { BROADCAST_IPV4, formatIpv4, type Ipv4Address } from './ipv4.js';
import {
  DHCP_CLIENT_PORT,
  OPTION,
  addressOption,
  decodeDhcp,
  encodeDhcp,
  fourBytes,
  type DhcpMessage,
  type DhcpType,
} from './dhcp.js';

export interface DhcpServerOptions {
  /** The server's own address, which is also the router and the next server. */
  readonly ip: Ipv4Address;
  /** Leading bits of the network's addresses, 0 to 30. */
  readonly prefixBits: number;
  /** What clients load and start from the next server, at most 127 characters; null: nothing. */
  readonly bootFile: string | null;
}

/** An answer, and where it goes. The client may not answer ARP yet, so the MAC is known here. */
export interface DhcpAnswer {
  readonly mac: Uint8Array;
  readonly ip: Ipv4Address;
  readonly port: number;
  readonly payload: Uint8Array;
}

export interface DhcpCounters {
  offers: number;
  acknowledgements: number;
  refusals: number;
  releases: number;
  /** Addresses that a client found in use. */
  declined: number;
  /** Messages not answered: no address was free. */
  exhausted: number;
  /** Messages that were damaged, through a relay, for another server or without meaning here. */
  ignored: number;
}

interface Lease {
  readonly ip: Ipv4Address;
  /** Null: nobody's, because the address was declined. */
  client: string | null;
  untilMs: number;
}

const ADDRESSES_MAX = 1024;
const LEASE_SECONDS = 3600;
const OFFER_MS = 30_000;
const DECLINED_MS = 600_000;
/** no-pxedhcp (176) = 1: iPXE need not wait for a second server that names the boot file (https://ipxe.org/cfg). */
const IPXE_NO_OTHER_SERVER = Uint8Array.of(176, 1, 1);

export class DhcpServer {
  readonly #options: DhcpServerOptions;
  readonly #netMask: number;
  readonly #first: Ipv4Address;
  readonly #last: Ipv4Address;
  /** By address; those whose time is over are kept until the address is needed. */
  readonly #leases = new Map<Ipv4Address, Lease>();
  readonly #counters: DhcpCounters = {
    offers: 0,
    acknowledgements: 0,
    refusals: 0,
    releases: 0,
    declined: 0,
    exhausted: 0,
    ignored: 0,
  };

  constructor(options: DhcpServerOptions) {
    this.#options = options;
    const hosts = 2 ** (32 - options.prefixBits);
    this.#netMask = (2 ** 32 - hosts) >>> 0;
    const network = (options.ip & this.#netMask) >>> 0;
    // Of two addresses one is the server's.
    this.#first = network + (hosts === 4 ? 1 : hosts / 2);
    this.#last = Math.min(network + hosts - 2, this.#first + ADDRESSES_MAX - 1);
  }

  get counters(): Readonly<DhcpCounters> {
    return { ...this.#counters };
  }

  /** Take one datagram to port 67. */
  receive(payload: Uint8Array, nowMs: number): DhcpAnswer | null {
    const message = decodeDhcp(payload);
    // Relays are for networks behind routers; there are none here.
    if (message?.op !== 'request' || message.relayIp !== 0 || isGroup(message.clientMac)) return this.#ignore();
    const client = clientKey(message);
    switch (message.type) {
      case 'discover':
        return this.#discover(message, client, nowMs);
      case 'request':
        return this.#request(message, client, nowMs);
      case 'inform':
        return message.clientIp === 0 ? this.#ignore() : this.#acknowledge(message, 0);
      case 'decline':
        return this.#decline(addressOption(message, OPTION.requestedAddress), client, nowMs);
      case 'release':
        return this.#release(message.clientIp, client, nowMs);
      default:
        return this.#ignore();
    }
  }

  #discover(message: DhcpMessage, client: string, nowMs: number): DhcpAnswer | null {
    const lease = this.#choose(addressOption(message, OPTION.requestedAddress), client, nowMs);
    if (lease === null) {
      this.#counters.exhausted++;
      return null;
    }
    lease.client = client;
    lease.untilMs = Math.max(lease.untilMs, nowMs + OFFER_MS);
    this.#counters.offers++;
    return this.#answer(message, 'offer', lease.ip);
  }

  /** RFC 2131, section 4.3.2: which fields are there tells which state the client is in. */
  #request(message: DhcpMessage, client: string, nowMs: number): DhcpAnswer | null {
    const server = addressOption(message, OPTION.serverIdentifier);
    const requested = addressOption(message, OPTION.requestedAddress);
    const held = this.#heldBy(client);
    if (server !== null && server !== this.#options.ip) {
      // It chose another server; our offer is free again.
      if (held !== null) held.untilMs = nowMs;
      return this.#ignore();
    }
    const renewing = server === null && requested === null;
    const ip = renewing ? message.clientIp : requested;
    if (ip === null || ip === 0) return this.#ignore();
    if (!this.#inNetwork(ip)) return this.#refuse(message);
    if (held?.ip === ip) return this.#bind(held, message, client, nowMs);
    // After a reboot a client unknown here may be another server's.
    if (held === null && server === null && !renewing) return this.#ignore();
    // One that renews has been given its address by this server, before a restart.
    if (held === null && renewing && this.#isFree(ip, client, nowMs))
      return this.#bind(this.#lease(ip), message, client, nowMs);
    return this.#refuse(message);
  }

  #bind(lease: Lease, message: DhcpMessage, client: string, nowMs: number): DhcpAnswer {
    lease.client = client;
    lease.untilMs = nowMs + LEASE_SECONDS * 1000;
    return this.#acknowledge(message, lease.ip);
  }

  #acknowledge(message: DhcpMessage, ip: Ipv4Address): DhcpAnswer {
    this.#counters.acknowledgements++;
    return this.#answer(message, 'ack', ip);
  }

  #refuse(message: DhcpMessage): DhcpAnswer {
    this.#counters.refusals++;
    return this.#answer(message, 'nak', 0);
  }

  #decline(ip: Ipv4Address | null, client: string, nowMs: number): null {
    const lease = this.#heldBy(client);
    if (lease === null || lease.ip !== ip) return this.#ignore();
    lease.client = null;
    lease.untilMs = nowMs + DECLINED_MS;
    this.#counters.declined++;
    return null;
  }

  #release(ip: Ipv4Address, client: string, nowMs: number): null {
    const lease = this.#heldBy(client);
    if (lease?.ip !== ip) return this.#ignore();
    lease.untilMs = nowMs;
    this.#counters.releases++;
    return null;
  }

  #ignore(): null {
    this.#counters.ignored++;
    return null;
  }

  /** RFC 2131, section 4.3.1: the client's own, what it asks for, one nobody had, the one free for longest. */
  #choose(requested: Ipv4Address | null, client: string, nowMs: number): Lease | null {
    const held = this.#heldBy(client);
    if (held !== null) return held;
    if (requested !== null && this.#isFree(requested, client, nowMs)) return this.#lease(requested);
    for (let ip = this.#first; ip <= this.#last; ip++) {
      if (!this.#leases.has(ip) && ip !== this.#options.ip) return this.#lease(ip);
    }
    let oldest: Lease | null = null;
    for (const lease of this.#leases.values()) {
      if (lease.untilMs <= nowMs && lease.untilMs < (oldest?.untilMs ?? Infinity)) oldest = lease;
    }
    return oldest;
  }

  /** The lease that a client has, or had and nobody else took. */
  #heldBy(client: string): Lease | null {
    for (const lease of this.#leases.values()) if (lease.client === client) return lease;
    return null;
  }

  #isFree(ip: Ipv4Address, client: string, nowMs: number): boolean {
    if (ip < this.#first || ip > this.#last || ip === this.#options.ip) return false;
    const lease = this.#leases.get(ip);
    return lease === undefined || lease.client === client || lease.untilMs <= nowMs;
  }

  #inNetwork(ip: Ipv4Address): boolean {
    return (ip & this.#netMask) >>> 0 === (this.#options.ip & this.#netMask) >>> 0;
  }

  #lease(ip: Ipv4Address): Lease {
    const lease = this.#leases.get(ip) ?? { ip, client: null, untilMs: -Infinity };
    this.#leases.set(ip, lease);
    return lease;
  }

  /** `ip` 0: none is given (an answer to inform, a refusal). */
  #answer(message: DhcpMessage, type: DhcpType, ip: Ipv4Address): DhcpAnswer {
    const bootFile = type === 'nak' ? null : this.#options.bootFile;
    const payload = encodeDhcp({
      ...message,
      op: 'reply',
      type,
      seconds: 0,
      clientIp: type === 'ack' ? message.clientIp : 0,
      yourIp: ip,
      nextServerIp: bootFile === null ? 0 : this.#options.ip,
      bootFile: bootFile ?? '',
      options: this.#answerOptions(message, type, ip),
    });
    // Section 4.1: to the address that the client has, or by its MAC to the one it is getting.
    const direct = type !== 'nak' && (message.clientIp !== 0 || !message.broadcast);
    return {
      mac: direct ? message.clientMac : BROADCAST_MAC,
      ip: direct ? message.clientIp || ip : BROADCAST_IPV4,
      port: DHCP_CLIENT_PORT,
      payload,
    };
  }

  #answerOptions(message: DhcpMessage, type: DhcpType, ip: Ipv4Address): Map<number, Uint8Array> {
    const { ip: own, bootFile } = this.#options;
    const options = new Map<number, Uint8Array>([[OPTION.serverIdentifier, fourBytes(own)]]);
    // RFC 6842: the client's identifier comes back.
    const identifier = message.options.get(OPTION.clientIdentifier);
    if (identifier !== undefined) options.set(OPTION.clientIdentifier, identifier);
    if (type === 'nak') return options;
    if (ip !== 0) {
      options.set(OPTION.leaseSeconds, fourBytes(LEASE_SECONDS));
      options.set(OPTION.renewalSeconds, fourBytes(LEASE_SECONDS / 2));
      options.set(OPTION.rebindingSeconds, fourBytes((LEASE_SECONDS * 7) / 8));
    }
    options.set(OPTION.subnetMask, fourBytes(this.#netMask));
    options.set(OPTION.router, fourBytes(own));
    options.set(OPTION.broadcastAddress, fourBytes((own | ~this.#netMask) >>> 0));
    if (message.options.has(OPTION.ipxe)) options.set(OPTION.ipxe, IPXE_NO_OTHER_SERVER);
    if (bootFile !== null) {
      options.set(OPTION.serverName, Buffer.from(formatIpv4(own)));
      options.set(OPTION.bootFile, Buffer.from(bootFile, 'latin1'));
    }
    return options;
  }
}

/** Who asks: the identifier that it gives itself, else its MAC (RFC 2131, section 4.2). */
function clientKey(message: DhcpMessage): string {
  const identifier = message.options.get(OPTION.clientIdentifier);
  if (identifier === undefined || identifier.length === 0) return formatMac(message.clientMac);
  return Buffer.from(identifier).toString('hex');
}
