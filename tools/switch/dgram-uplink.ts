/**
 * Uplink `dgram`: an Ethernet cable whose frames are UDP datagrams, to whatever speaks the same, e.g. a QEMU guest (an edge).
 *
 *   bridge -> bounded queue -> LOCAL ══ one frame, one datagram ══ REMOTE (QEMU -netdev dgram)
 *
 * Invariants: datagrams of others than REMOTE, and those that are no Ethernet frame, are dropped and counted; a frame that
 * finds nobody at REMOTE is lost, as on a cable that is not plugged in; at most `FRAMES_IN_FLIGHT_MAX` are with the system.
 * Source: QEMU's documentation of -netdev dgram.
 */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { ReplicaError } from '../../emulator/errors.js';
import { describeSocketError } from '../../hypervisor/channel/socket-error.js';
import type { PortId } from '../../hypervisor/network/learning-bridge.js';
import { isFrameLength, type PortCounters } from '../../hypervisor/network/port-protocol.js';
import type { DgramUplinkSpec, UdpAddress } from './dgram-spec.js';
import type { UplinkCounters, UplinkSurroundings } from './uplink.js';

const FRAMES_IN_FLIGHT_MAX = 64;
/** Bursts wait here, not in the network. */
const BUFFER_BYTES = 1 << 20;

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
  readonly #spec: DgramUplinkSpec;
  readonly #surroundings: UplinkSurroundings;
  readonly #socket: Socket;
  readonly #port: PortId;
  #inFlight = 0;
  #strangers = 0;
  #unfit = 0;
  #socketErrors = 0;
  #closed = false;

  private constructor(spec: DgramUplinkSpec, surroundings: UplinkSurroundings, socket: Socket) {
    this.#spec = spec;
    this.#surroundings = surroundings;
    this.#socket = socket;
    this.#port = surroundings.bridge.addPort(() => {
      queueMicrotask(() => {
        this.#drain();
      });
    });
    socket.on('error', () => this.#socketErrors++);
    socket.on('message', (frame, from) => {
      this.#receive(frame, from);
    });
  }

  /** @throws ReplicaError naming the address that cannot be bound */
  static async open(spec: DgramUplinkSpec, surroundings: UplinkSurroundings): Promise<DgramUplink> {
    return new DgramUplink(spec, surroundings, await bindUdp(spec.local));
  }

  get counters(): DgramUplinkCounters {
    const counters = { strangers: this.#strangers, unfit: this.#unfit, socketErrors: this.#socketErrors };
    return { kind: 'dgram', ...counters, ...this.#surroundings.bridge.countersOf(this.#port) };
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#surroundings.bridge.removePort(this.#port);
    await new Promise<void>((resolve) => this.#socket.close(resolve));
  }

  #receive(frame: Uint8Array, { address, port }: RemoteInfo): void {
    const { remote } = this.#spec;
    if (address !== remote.host || port !== remote.port) this.#strangers++;
    else if (!isFrameLength(frame.length)) this.#unfit++;
    else this.#surroundings.bridge.receive(this.#port, frame, this.#surroundings.nowMs());
  }

  #drain(): void {
    const { remote } = this.#spec;
    while (!this.#closed && this.#inFlight < FRAMES_IN_FLIGHT_MAX) {
      const frame = this.#surroundings.bridge.take(this.#port);
      if (frame === null) return;
      this.#inFlight++;
      this.#socket.send(frame, remote.port, remote.host, (error) => {
        this.#inFlight--;
        if (error !== null) this.#socketErrors++;
        this.#drain();
      });
    }
  }
}

function bindUdp({ host, port }: UdpAddress): Promise<Socket> {
  const socket = createSocket({ type: 'udp4', recvBufferSize: BUFFER_BYTES, sendBufferSize: BUFFER_BYTES });
  return new Promise((resolve, reject) => {
    socket.once('error', (cause) => {
      const reason = describeSocketError(cause);
      reject(new ReplicaError(`cannot listen on udp ${host}:${port} (--uplink): ${reason}`, { cause }));
    });
    socket.bind({ address: host, port, exclusive: true }, () => {
      socket.removeAllListeners('error');
      resolve(socket);
    });
  });
}
