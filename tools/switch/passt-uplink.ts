/**
 * Uplink `passt`: the guest's way to and from the host's own network without root. TCP and UDP ports of this machine
 * reach the guest, the guest's connections leave through ordinary sockets, addresses and name servers come by DHCP.
 *
 *   bridge -> bounded queue -> passt        passt -> bridge
 *   passt dies -> wait 100 ms, 200 ms ... 5 s -> start it again, on the same ports
 *
 * Invariants: frames wait in the bridge's queue while passt does not read; connections end with the passt that holds
 * them, the switch and its ports do not; IP packets go to passt without Ethernet's padding, with which it drops them.
 */
import { ReplicaError } from '../../emulator/errors.js';
import { MTU_BYTES } from '../../hypervisor/network/ethernet.js';
import { formatIpv4, unpadded } from '../../hypervisor/network/ipv4.js';
import type { PortId } from '../../hypervisor/network/learning-bridge.js';
import type { PortCounters } from '../../hypervisor/network/port-protocol.js';
import { findPorts } from './free-ports.js';
import { PasstProcess } from './passt-process.js';
import type { PasstUplinkSpec } from './passt-spec.js';
import type { BoundForward, UplinkCounters, UplinkSurroundings } from './uplink.js';

/** The gateway's: the same whatever machine the switch runs on. */
const GATEWAY_MAC = '02:86:00:00:00:01';
const HIGH_WATER_BYTES = 1 << 18;
const RETRY_MS_MIN = 100;
const RETRY_MS_MAX = 5000;

interface PasstUplinkCounters extends UplinkCounters, PortCounters {
  readonly kind: 'passt';
  readonly restarts: number;
  /** Frames of passt that are longer or shorter than Ethernet's. */
  readonly unfit: number;
}

export class PasstUplink {
  readonly forwards: readonly BoundForward[];
  readonly #spec: PasstUplinkSpec;
  readonly #surroundings: UplinkSurroundings;
  readonly #port: PortId;
  #process: PasstProcess | null = null;
  #timer: NodeJS.Timeout | null = null;
  #retryMs = RETRY_MS_MIN;
  #restarts = 0;
  #unfit = 0;
  #closed = false;

  private constructor(spec: PasstUplinkSpec, surroundings: UplinkSurroundings, ports: readonly number[]) {
    this.#spec = spec;
    this.#surroundings = surroundings;
    const guestIp = formatIpv4(spec.ip);
    this.forwards = spec.forwards.map(({ protocol, host, guestPort }, index) => ({
      ...{ protocol, host, port: ports[index]!, guestIp, guestPort },
    }));
    this.#port = surroundings.bridge.addPort(() => {
      queueMicrotask(() => {
        this.#drain();
      });
    });
  }

  /** @throws ReplicaError when a port is taken, or passt is missing or refuses */
  static async open(spec: PasstUplinkSpec, surroundings: UplinkSurroundings): Promise<PasstUplink> {
    const uplink = new PasstUplink(spec, surroundings, await findPorts(spec.forwards));
    try {
      await uplink.#start();
    } catch (error) {
      await uplink.close();
      throw error;
    }
    return uplink;
  }

  get counters(): PasstUplinkCounters {
    const unfit = this.#unfit + (this.#process?.unfit ?? 0);
    return { kind: 'passt', restarts: this.#restarts, unfit, ...this.#surroundings.bridge.countersOf(this.#port) };
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#surroundings.bridge.removePort(this.#port);
    await this.#process?.stop();
  }

  async #start(): Promise<void> {
    const { bridge, nowMs, log } = this.#surroundings;
    const process = await PasstProcess.start(this.#arguments(), this.#spec.gateway);
    if (this.#closed) {
      await process.stop();
      return;
    }
    this.#process = process;
    this.#retryMs = RETRY_MS_MIN;
    process.onFrame = (frame) => {
      if (!this.#closed) bridge.receive(this.#port, frame, nowMs());
    };
    process.onDrain = () => {
      this.#drain();
    };
    void process.exited.then((reason) => {
      this.#process = null;
      this.#unfit += process.unfit;
      if (this.#closed) return;
      log(`passt: ${reason}; starting it again`);
      this.#restartLater();
    });
    log(`passt: process ${process.pid}`);
    this.#drain();
  }

  #restartLater(): void {
    this.#timer = setTimeout(() => {
      this.#start().then(
        () => this.#restarts++,
        (error: unknown) => {
          if (!(error instanceof ReplicaError)) throw error;
          if (this.#closed) return;
          this.#surroundings.log(error.message);
          this.#restartLater();
        },
      );
    }, this.#retryMs);
    this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MS_MAX);
  }

  #drain(): void {
    const process = this.#process;
    if (process === null || this.#closed) return;
    while (process.bufferedBytes <= HIGH_WATER_BYTES) {
      const frame = this.#surroundings.bridge.take(this.#port);
      if (frame === null) return;
      process.send(unpadded(frame));
    }
  }

  #arguments(): string[] {
    const { ip, prefixBits, gateway } = this.#spec;
    const ports = (protocol: 'tcp' | 'udp'): string[] => {
      const option = `--${protocol}-ports`;
      const mine = this.forwards.filter((forward) => forward.protocol === protocol);
      if (mine.length === 0) return [option, 'none'];
      return mine.flatMap(({ host, port, guestPort }) => [option, `${host}/${port}:${guestPort}`]);
    };
    return [
      ...['--ipv4-only', '--mtu', String(MTU_BYTES), '--mac-addr', GATEWAY_MAC],
      ...['--address', formatIpv4(ip), '--netmask', String(prefixBits), '--gateway', formatIpv4(gateway)],
      ...ports('tcp'),
      ...ports('udp'),
    ];
  }
}
