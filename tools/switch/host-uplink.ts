/**
 * Uplink `host`: a virtual host on the bridge with real UDP sockets behind it (an edge).
 *
 *   program -> 127.0.0.1:HOSTPORT -> NAT -> virtual host -> bridge -> guest
 *   guest -> bridge -> virtual host -> NAT -> 127.0.0.1:HOSTPORT -> program
 *   guest -> bridge -> virtual host -> services (DHCP, TFTP) -> virtual host -> bridge -> guest
 *
 * Invariants: sockets are bound to loopback only; an answer reaches only the client that the guest answered,
 * and only from the address and port its forward names.
 */
import { formatIpv4, parseIpv4, type Ipv4Address } from '../../hypervisor/network/ipv4.js';
import type { LearningBridge, PortId } from '../../hypervisor/network/learning-bridge.js';
import { UdpNat } from '../../hypervisor/network/udp-nat.js';
import { VirtualHost, type HostCounters } from '../../hypervisor/network/virtual-host.js';
import { UdpSocket } from '../udp/udp-socket.js';
import { HostServices, type ServiceCounters } from './host-services.js';
import { TftpDirectory } from './tftp-directory.js';
import type { HostUplinkSpec, UdpForward } from './host-spec.js';
import { UPLINK_OPTION } from './uplink-parts.js';
import type { BoundForward, UplinkCounters, UplinkSurroundings } from './uplink.js';

const HOST_ADDRESS = '127.0.0.1';
const TICK_MS = 50;
/** Bursts of many clients wait here, not in the network. */
const RECEIVE_BUFFER_BYTES = 1 << 20;
/** Datagrams to clients that leave together. */
const BATCH = 64;

interface HostUplinkCounters extends UplinkCounters, HostCounters, ServiceCounters {
  readonly kind: 'host';
  readonly clients: number;
  /** Datagrams from the guest that belong to no client. */
  readonly unclaimed: number;
  /** Errors of the host's UDP sockets; each lost at most one datagram. */
  readonly socketErrors: number;
}

export class HostUplink {
  readonly forwards: readonly BoundForward[];
  readonly #spec: HostUplinkSpec;
  readonly #bridge: LearningBridge;
  readonly #nowMs: () => number;
  readonly #sockets: UdpSocket[] = [];
  readonly #host: VirtualHost;
  readonly #nat = new UdpNat();
  readonly #services: HostServices;
  readonly #port: PortId;
  readonly #timer: NodeJS.Timeout;
  #unclaimed = 0;
  #closed = false;

  /**
   * Bind the forwarded ports and join the bridge.
   * @throws ConfigError when the directory to serve is none
   * @throws ReplicaError naming the port that cannot be bound
   */
  constructor(spec: HostUplinkSpec, { bridge, nowMs }: UplinkSurroundings) {
    this.#spec = spec;
    this.#bridge = bridge;
    this.#nowMs = nowMs;
    const directory = spec.tftp === null ? null : new TftpDirectory('--uplink tftp=', spec.tftp);
    try {
      spec.forwards.forEach((forward, index) => this.#sockets.push(this.#bind(forward, index)));
    } catch (error) {
      for (const socket of this.#sockets) socket.close();
      throw error;
    }
    this.forwards = spec.forwards.map(({ guestIp, guestPort }, index) => ({
      protocol: 'udp',
      host: HOST_ADDRESS,
      port: this.#sockets[index]!.port,
      guestIp: formatIpv4(guestIp),
      guestPort,
    }));
    this.#port = bridge.addPort(() => {
      queueMicrotask(() => {
        this.#drain();
      });
    });
    this.#host = new VirtualHost({
      ...spec,
      transmit: (frame) => {
        bridge.receive(this.#port, frame, nowMs());
      },
      onUdp: (from, fromPort, toPort, payload) => {
        if (!this.#services.receive(from, fromPort, toPort, payload, nowMs())) {
          this.#toClient(from, fromPort, toPort, payload);
        }
      },
    });
    this.#services = new HostServices(spec, directory, this.#host, nowMs);
    this.#timer = setInterval(() => {
      this.#host.tick(nowMs());
      this.#services.tick(nowMs());
    }, TICK_MS);
  }

  get counters(): HostUplinkCounters {
    return {
      kind: 'host',
      clients: this.#nat.clients,
      unclaimed: this.#unclaimed,
      socketErrors: this.#sockets.reduce((sum, { errors }) => sum + errors, 0),
      ...this.#services.counters,
      ...this.#host.counters,
    };
  }

  close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#timer);
    this.#services.close();
    this.#bridge.removePort(this.#port);
    for (const socket of this.#sockets) socket.close();
    return Promise.resolve();
  }

  #bind({ hostPort, guestIp, guestPort }: UdpForward, index: number): UdpSocket {
    const guest = { ip: guestIp, port: guestPort };
    const options = { ip: parseIpv4(UPLINK_OPTION, HOST_ADDRESS), port: hostPort, option: UPLINK_OPTION };
    return new UdpSocket(
      { ...options, receiveBufferBytes: RECEIVE_BUFFER_BYTES, batch: BATCH },
      (payload, address, port) => {
        const now = this.#nowMs();
        this.#host.sendUdp(this.#nat.portOf(index, address, port, now), guest, payload, now);
      },
    );
  }

  #drain(): void {
    if (this.#closed) return;
    const now = this.#nowMs();
    for (let frame = this.#bridge.take(this.#port); frame !== null; frame = this.#bridge.take(this.#port)) {
      this.#host.receive(frame, now);
    }
    for (const socket of this.#sockets) socket.flush();
  }

  #toClient(from: Ipv4Address, fromPort: number, toPort: number, payload: Uint8Array): void {
    const client = this.#nat.clientOf(toPort);
    const forward = client === null ? undefined : this.#spec.forwards[client.forward];
    if (client === null || forward?.guestIp !== from || forward.guestPort !== fromPort) {
      this.#unclaimed++;
      return;
    }
    this.#sockets[client.forward]?.post(payload, client.address, client.port);
  }
}
