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
import { createSocket, type Socket } from 'node:dgram';
import { ReplicaError } from '../../emulator/errors.js';
import { describeSocketError } from '../../hypervisor/channel/socket-error.js';
import { formatIpv4, type Ipv4Address } from '../../hypervisor/network/ipv4.js';
import type { LearningBridge, PortId } from '../../hypervisor/network/learning-bridge.js';
import { UdpNat } from '../../hypervisor/network/udp-nat.js';
import { VirtualHost, type HostCounters } from '../../hypervisor/network/virtual-host.js';
import { HostServices, type ServiceCounters } from './host-services.js';
import { TftpDirectory } from './tftp-directory.js';
import type { HostUplinkSpec, UdpForward } from './host-spec.js';
import type { BoundForward, UplinkCounters, UplinkSurroundings } from './uplink.js';

const HOST_ADDRESS = '127.0.0.1';
const TICK_MS = 50;
/** Bursts of many clients wait here, not in the network. */
const RECEIVE_BUFFER_BYTES = 1 << 20;

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
  readonly #sockets: readonly Socket[];
  readonly #host: VirtualHost;
  readonly #nat = new UdpNat();
  readonly #services: HostServices;
  readonly #port: PortId;
  readonly #timer: NodeJS.Timeout;
  #unclaimed = 0;
  #socketErrors = 0;
  #closed = false;

  private constructor(
    spec: HostUplinkSpec,
    bridge: LearningBridge,
    nowMs: () => number,
    bound: readonly { socket: Socket; forward: UdpForward }[],
    directory: TftpDirectory | null,
  ) {
    this.#spec = spec;
    this.#bridge = bridge;
    this.#nowMs = nowMs;
    this.#sockets = bound.map(({ socket }) => socket);
    this.forwards = bound.map(({ socket, forward }) => ({
      protocol: 'udp',
      host: HOST_ADDRESS,
      port: socket.address().port,
      guestIp: formatIpv4(forward.guestIp),
      guestPort: forward.guestPort,
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
    bound.forEach(({ socket, forward }, index) => {
      socket.on('error', () => this.#socketErrors++);
      socket.on('message', (payload, { address, port }) => {
        this.#toGuest(index, forward, address, port, payload);
      });
    });
    this.#timer = setInterval(() => {
      this.#host.tick(nowMs());
      this.#services.tick(nowMs());
    }, TICK_MS);
  }

  /**
   * Bind the forwarded ports and join the bridge.
   * @throws ConfigError when the directory to serve is none
   * @throws ReplicaError naming the port that cannot be bound
   */
  static async open(spec: HostUplinkSpec, { bridge, nowMs }: UplinkSurroundings): Promise<HostUplink> {
    const directory = spec.tftp === null ? null : new TftpDirectory('--uplink tftp=', spec.tftp);
    const bound: { socket: Socket; forward: UdpForward }[] = [];
    try {
      for (const forward of spec.forwards) bound.push({ socket: await bindUdp(forward.hostPort), forward });
    } catch (error) {
      for (const { socket } of bound) socket.close();
      throw error;
    }
    return new HostUplink(spec, bridge, nowMs, bound, directory);
  }

  get counters(): HostUplinkCounters {
    return {
      kind: 'host',
      clients: this.#nat.clients,
      unclaimed: this.#unclaimed,
      socketErrors: this.#socketErrors,
      ...this.#services.counters,
      ...this.#host.counters,
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#timer);
    this.#services.close();
    this.#bridge.removePort(this.#port);
    await Promise.all(this.#sockets.map((socket) => new Promise<void>((resolve) => socket.close(resolve))));
  }

  #drain(): void {
    if (this.#closed) return;
    for (let frame = this.#bridge.take(this.#port); frame !== null; frame = this.#bridge.take(this.#port)) {
      this.#host.receive(frame, this.#nowMs());
    }
  }

  #toGuest(index: number, forward: UdpForward, address: string, port: number, payload: Uint8Array): void {
    const now = this.#nowMs();
    const virtualPort = this.#nat.portOf({ forward: index, address, port }, now);
    this.#host.sendUdp(virtualPort, { ip: forward.guestIp, port: forward.guestPort }, payload, now);
  }

  #toClient(from: Ipv4Address, fromPort: number, toPort: number, payload: Uint8Array): void {
    const client = this.#nat.clientOf(toPort);
    const forward = client === null ? undefined : this.#spec.forwards[client.forward];
    if (client === null || forward?.guestIp !== from || forward.guestPort !== fromPort) {
      this.#unclaimed++;
      return;
    }
    this.#sockets[client.forward]?.send(payload, client.port, client.address, (error) => {
      if (error !== null) this.#socketErrors++;
    });
  }
}

function bindUdp(port: number): Promise<Socket> {
  const socket = createSocket({ type: 'udp4', recvBufferSize: RECEIVE_BUFFER_BYTES });
  return new Promise((resolve, reject) => {
    socket.once('error', (cause) => {
      const reason = describeSocketError(cause);
      reject(new ReplicaError(`cannot listen on udp ${HOST_ADDRESS}:${port} (--uplink): ${reason}`, { cause }));
    });
    socket.bind({ address: HOST_ADDRESS, port, exclusive: true }, () => {
      socket.removeAllListeners('error');
      resolve(socket);
    });
  });
}
