/**
 * Uplink `dgram`: an Ethernet cable whose frames are UDP datagrams, to whatever speaks the same, e.g. a QEMU guest (an edge).
 *
 *   bridge -> bounded queue -> LOCAL ══ one frame, one datagram ══ REMOTE (QEMU -netdev dgram)
 *
 * Invariants: datagrams of others than REMOTE, and those that are no Ethernet frame, are dropped and counted; a frame that
 * finds nobody at REMOTE is lost, as on a cable that is not plugged in, and so is one that the system does not take.
 * Source: QEMU's documentation of -netdev dgram.
 */
import { parseIpv4, type Ipv4Address } from '../../hypervisor/network/ipv4.js';
import type { PortId } from '../../hypervisor/network/learning-bridge.js';
import { isFrameLength, type PortCounters } from '../../hypervisor/network/port-protocol.js';
import { UdpSocket } from '../udp/udp-socket.js';
import type { DgramUplinkSpec } from './dgram-spec.js';
import { UPLINK_OPTION } from './uplink-parts.js';
import type { UplinkCounters, UplinkSurroundings } from './uplink.js';

/** Frames that leave together. */
const BATCH = 64;
/** Bursts wait here, not in the network. */
const RECEIVE_BUFFER_BYTES = 1 << 20;

interface DgramUplinkCounters extends UplinkCounters, PortCounters {
  readonly kind: 'dgram';
  /** Datagrams that did not come from REMOTE. */
  readonly strangers: number;
  /** Datagrams of REMOTE that are longer or shorter than Ethernet's frames. */
  readonly unfit: number;
  /** Frames that the system did not take. */
  readonly socketErrors: number;
}

export class DgramUplink {
  readonly forwards = [];
  readonly #surroundings: UplinkSurroundings;
  readonly #ip: Ipv4Address;
  readonly #remotePort: number;
  readonly #socket: UdpSocket;
  readonly #port: PortId;
  #strangers = 0;
  #unfit = 0;
  #closed = false;

  /** @throws ReplicaError naming the address that cannot be bound */
  constructor({ local, remote }: DgramUplinkSpec, surroundings: UplinkSurroundings) {
    this.#surroundings = surroundings;
    this.#ip = parseIpv4(UPLINK_OPTION, remote.host);
    this.#remotePort = remote.port;
    const address = { ip: parseIpv4(UPLINK_OPTION, local.host), port: local.port, option: UPLINK_OPTION };
    this.#socket = new UdpSocket(
      { ...address, receiveBufferBytes: RECEIVE_BUFFER_BYTES, batch: BATCH },
      (frame, ip, port) => {
        this.#receive(frame, ip, port);
      },
    );
    this.#port = surroundings.bridge.addPort(() => {
      queueMicrotask(() => {
        this.#drain();
      });
    });
  }

  get counters(): DgramUplinkCounters {
    const counters = { strangers: this.#strangers, unfit: this.#unfit, socketErrors: this.#socket.errors };
    return { kind: 'dgram', ...counters, ...this.#surroundings.bridge.countersOf(this.#port) };
  }

  close(): Promise<void> {
    this.#closed = true;
    this.#surroundings.bridge.removePort(this.#port);
    this.#socket.close();
    return Promise.resolve();
  }

  #receive(frame: Uint8Array, ip: Ipv4Address, port: number): void {
    const { bridge, nowMs } = this.#surroundings;
    if (ip !== this.#ip || port !== this.#remotePort) this.#strangers++;
    else if (!isFrameLength(frame.length)) this.#unfit++;
    // A copy: the bridge keeps it.
    else bridge.receive(this.#port, Buffer.from(frame), nowMs());
  }

  #drain(): void {
    if (this.#closed) return;
    const { bridge } = this.#surroundings;
    for (let frame = bridge.take(this.#port); frame !== null; frame = bridge.take(this.#port)) {
      this.#socket.post(frame, this.#ip, this.#remotePort);
    }
    this.#socket.flush();
  }
}
