/**
 * A host on the virtual network that exists only inside the switch: it answers ARP and ping, and sends and
 * receives UDP for real programs behind it. Owns no socket and no timer.
 *
 *   frame -> receive -> ARP | IPv4 -> ICMP echo -> answer
 *                                  -> UDP -> onUdp
 *                    | IPv6 router solicitation -> "there is no router"
 *   sendUdp, ping -> ARP cache (request, wait) -> frame -> transmit
 *
 * Invariants: no frame from the network throws; anything damaged, truncated, fragmented or not for this
 * host is counted and ignored.
 * Source: RFC 826, 791, 792, 768; RFC 1122, sections 3.2.2.6 (echo) and 4.1.3 (UDP).
 */
import { ArpCache, decodeArp, encodeArp, type ArpPacket } from './arp.js';
import {
  BROADCAST_MAC,
  ETHERNET_HEADER_BYTES,
  ETHERTYPE_ARP,
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  MAC_BYTES,
  buildFrame,
  etherType,
  isGroup,
  macNumber,
  putMac,
} from './ethernet.js';
import {
  BROADCAST_IPV4,
  ECHO_DATA_BYTES_MAX,
  PROTOCOL_ICMP,
  PROTOCOL_UDP,
  UDP_PAYLOAD_BYTES_MAX,
  decodeIcmpEcho,
  decodeIpv4,
  decodeUdp,
  encodeIcmpEcho,
  encodeIpv4,
  encodeUdpFrame,
  payloadOf,
  type IcmpEcho,
  type Ipv4Address,
  type ReceivedIpv4,
} from './ipv4.js';
import { answerSolicitation } from './router-advertisement.js';

export interface VirtualHostOptions {
  readonly mac: Uint8Array;
  readonly ip: Ipv4Address;
  /** Leading bits of the network's addresses, 0 to 30. */
  readonly prefixBits: number;
  /** Puts a frame on the network. */
  readonly transmit: (frame: Uint8Array) => void;
  /** Gets every UDP datagram for this host; the payload is a view of the received frame. */
  readonly onUdp?: (from: Ipv4Address, fromPort: number, toPort: number, payload: Uint8Array) => void;
  readonly onEchoReply?: (from: Ipv4Address, echo: IcmpEcho) => void;
}

export interface UdpAddress {
  readonly ip: Ipv4Address;
  readonly port: number;
}

export interface HostCounters {
  received: number;
  transmitted: number;
  /** Frames that were damaged, not for this host or not understood. */
  ignored: number;
  /** Payloads too long for one frame. */
  oversize: number;
  /** Datagrams whose address nobody answered for. */
  unanswered: number;
}

export class VirtualHost {
  readonly #options: VirtualHostOptions;
  readonly #macNumber: number;
  readonly #netBroadcast: Ipv4Address;
  readonly #arp: ArpCache;
  readonly #counters = { received: 0, transmitted: 0, ignored: 0, oversize: 0 };
  #identification = 0;

  constructor(options: VirtualHostOptions) {
    this.#options = options;
    this.#macNumber = macNumber(options.mac);
    const hostPart = 2 ** (32 - options.prefixBits) - 1;
    this.#netBroadcast = (options.ip | hostPart) >>> 0;
    this.#arp = new ArpCache((ip) => {
      this.#sendArp('request', BROADCAST_MAC, new Uint8Array(MAC_BYTES), ip);
    });
  }

  get counters(): HostCounters {
    return { ...this.#counters, unanswered: this.#arp.unanswered };
  }

  /** Take a frame of at least 14 bytes from the network. */
  receive(frame: Uint8Array, nowMs: number): void {
    this.#counters.received++;
    if (!this.#accept(frame, nowMs)) this.#counters.ignored++;
  }

  /** Send one datagram; false when it does not fit one frame. */
  sendUdp(fromPort: number, to: UdpAddress, payload: Uint8Array, nowMs: number): boolean {
    const frame = this.#udpFrame(fromPort, to, payload);
    if (frame === null) return false;
    const datagram = frame.subarray(ETHERNET_HEADER_BYTES);
    const mac = this.#arp.resolve(to.ip, datagram, nowMs);
    if (mac !== null) this.#address(mac, frame);
    return true;
  }

  /** The same to a MAC that is known: the receiver may have no address yet, or all of them are meant. */
  sendUdpDirect(fromPort: number, to: UdpAddress, mac: Uint8Array, payload: Uint8Array): boolean {
    const frame = this.#udpFrame(fromPort, to, payload);
    if (frame === null) return false;
    this.#address(mac, frame);
    return true;
  }

  /** Send an echo request; the answer comes to onEchoReply. False when the data does not fit one frame. */
  ping(to: Ipv4Address, identifier: number, sequence: number, data: Uint8Array, nowMs: number): boolean {
    if (data.length > ECHO_DATA_BYTES_MAX) {
      this.#counters.oversize++;
      return false;
    }
    const echo: IcmpEcho = { kind: 'request', identifier, sequence, data };
    this.#sendIpv4(to, PROTOCOL_ICMP, encodeIcmpEcho(echo), nowMs);
    return true;
  }

  /** Let time pass: repeats ARP requests. To be called every 100 ms or so. */
  tick(nowMs: number): void {
    this.#arp.tick(nowMs);
  }

  /** False: ignored. */
  #accept(frame: Uint8Array, nowMs: number): boolean {
    if (frame.length < ETHERNET_HEADER_BYTES) return false;
    if (macNumber(frame) !== this.#macNumber && !isGroup(frame)) return false;
    switch (etherType(frame)) {
      case ETHERTYPE_ARP: {
        const packet = decodeArp(frame.subarray(ETHERNET_HEADER_BYTES));
        return packet !== null && this.#acceptArp(packet, nowMs);
      }
      case ETHERTYPE_IPV4: {
        const packet = decodeIpv4(frame, ETHERNET_HEADER_BYTES);
        return packet !== null && this.#acceptIpv4(packet, nowMs);
      }
      case ETHERTYPE_IPV6: {
        const payload = frame.subarray(ETHERNET_HEADER_BYTES);
        const answer = answerSolicitation(payload, frame.slice(MAC_BYTES, 2 * MAC_BYTES), this.#options.mac);
        if (answer !== null) this.#transmit(answer.mac, ETHERTYPE_IPV6, answer.packet);
        return answer !== null;
      }
      default:
        return false;
    }
  }

  #acceptArp(packet: ArpPacket, nowMs: number): boolean {
    const { ip } = this.#options;
    if (packet.senderIp === ip || isGroup(packet.senderMac)) return false;
    // RFC 826: a known sender is updated whoever the packet is for; 0.0.0.0 is a probe and teaches nothing (RFC 5227).
    if (packet.senderIp !== 0 && (packet.targetIp === ip || this.#arp.knows(packet.senderIp))) {
      for (const datagram of this.#arp.learn(packet.senderIp, packet.senderMac, nowMs)) {
        this.#transmit(packet.senderMac, ETHERTYPE_IPV4, datagram);
      }
    }
    if (packet.targetIp !== ip) return false;
    if (packet.operation === 'request') this.#sendArp('reply', packet.senderMac, packet.senderMac, packet.senderIp);
    return true;
  }

  #acceptIpv4(packet: ReceivedIpv4, nowMs: number): boolean {
    const toUs = packet.destination === this.#options.ip;
    const toAll = packet.destination === BROADCAST_IPV4 || packet.destination === this.#netBroadcast;
    if (!toUs && !toAll) return false;
    if (packet.protocol === PROTOCOL_UDP) {
      const datagram = decodeUdp(packet);
      if (datagram === null) return false;
      this.#options.onUdp?.(packet.source, datagram.sourcePort, datagram.destinationPort, datagram.payload);
      return true;
    }
    const echo = packet.protocol === PROTOCOL_ICMP && toUs ? decodeIcmpEcho(payloadOf(packet)) : null;
    if (echo === null) return false;
    if (echo.kind === 'reply') this.#options.onEchoReply?.(packet.source, echo);
    else this.#sendIpv4(packet.source, PROTOCOL_ICMP, encodeIcmpEcho({ ...echo, kind: 'reply' }), nowMs);
    return true;
  }

  #sendIpv4(to: Ipv4Address, protocol: number, payload: Uint8Array, nowMs: number): void {
    const packet = { source: this.#options.ip, destination: to, protocol, payload };
    const datagram = encodeIpv4(packet, this.#nextIdentification());
    const mac = this.#arp.resolve(to, datagram, nowMs);
    if (mac !== null) this.#transmit(mac, ETHERTYPE_IPV4, datagram);
  }

  /** Null: it does not fit. */
  #udpFrame(sourcePort: number, to: UdpAddress, payload: Uint8Array): Uint8Array | null {
    if (payload.length > UDP_PAYLOAD_BYTES_MAX) {
      this.#counters.oversize++;
      return null;
    }
    const datagram = { sourcePort, destinationPort: to.port, payload };
    return encodeUdpFrame(this.#options.ip, to.ip, datagram, this.#nextIdentification());
  }

  #nextIdentification(): number {
    return (this.#identification = (this.#identification + 1) & 0xffff);
  }

  #sendArp(operation: 'request' | 'reply', to: Uint8Array, targetMac: Uint8Array, targetIp: Ipv4Address): void {
    const { mac: senderMac, ip: senderIp } = this.#options;
    this.#transmit(to, ETHERTYPE_ARP, encodeArp({ operation, senderMac, senderIp, targetMac, targetIp }));
  }

  /** Write the addresses into a frame that has everything else, and put it on the network. */
  #address(to: Uint8Array, frame: Uint8Array): void {
    putMac(frame, 0, to);
    putMac(frame, MAC_BYTES, this.#options.mac);
    this.#counters.transmitted++;
    this.#options.transmit(frame);
  }

  #transmit(to: Uint8Array, type: number, payload: Uint8Array): void {
    this.#counters.transmitted++;
    this.#options.transmit(buildFrame(to, this.#options.mac, type, payload));
  }
}
