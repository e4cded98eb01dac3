/**
 * What the virtual host does for guests besides forwarding: addresses by DHCP, and the files of a directory by TFTP
 * for those that boot from the network.
 *
 *   datagram to port 67, 69 or a transfer's -> receive -> DhcpServer | TftpServer -> send -> virtual host
 */
import { DHCP_SERVER_PORT } from '../../hypervisor/network/dhcp.js';
import { DhcpServer, type DhcpCounters } from '../../hypervisor/network/dhcp-server.js';
import type { Ipv4Address } from '../../hypervisor/network/ipv4.js';
import { TftpServer, type TftpCounters } from '../../hypervisor/network/tftp-server.js';
import type { VirtualHost } from '../../hypervisor/network/virtual-host.js';
import type { TftpDirectory } from './tftp-directory.js';
import type { HostUplinkSpec } from './host-spec.js';

export interface ServiceCounters {
  /** Null: DHCP is off. */
  readonly dhcp: Readonly<DhcpCounters> | null;
  /** Null: no directory is served. */
  readonly tftp: Readonly<TftpCounters> | null;
}

export class HostServices {
  readonly #host: VirtualHost;
  readonly #dhcp: DhcpServer | null;
  readonly #tftp: TftpServer | null;

  /** @param directory what TFTP serves, or null */
  constructor(spec: HostUplinkSpec, directory: TftpDirectory | null, host: VirtualHost, nowMs: () => number) {
    this.#host = host;
    this.#dhcp = spec.dhcp ? new DhcpServer(spec) : null;
    this.#tftp =
      directory &&
      new TftpServer({
        open: (name) => directory.open(name),
        send: (fromPort, to, payload) => {
          host.sendUdp(fromPort, to, payload, nowMs());
        },
      });
  }

  get counters(): ServiceCounters {
    return { dhcp: this.#dhcp?.counters ?? null, tftp: this.#tftp?.counters ?? null };
  }

  /** Take a datagram for the virtual host; false: it is for no service. */
  receive(from: Ipv4Address, fromPort: number, toPort: number, payload: Uint8Array, nowMs: number): boolean {
    if (toPort !== DHCP_SERVER_PORT || this.#dhcp === null) {
      return this.#tftp?.receive(from, fromPort, toPort, payload, nowMs) ?? false;
    }
    const answer = this.#dhcp.receive(payload, nowMs);
    if (answer !== null) this.#host.sendUdpDirect(DHCP_SERVER_PORT, answer, answer.mac, answer.payload);
    return true;
  }

  tick(nowMs: number): void {
    this.#tftp?.tick(nowMs);
  }

  close(): void {
    this.#tftp?.close();
  }
}
