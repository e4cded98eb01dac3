/** A running switch with guests on it that are virtual hosts instead of machines, for tests. */
import { VirtualHost } from '../../../hypervisor/network/virtual-host.js';
import { parseIpv4 } from '../../../hypervisor/network/ipv4.js';
import {
  runSwitch,
  type SwitchOptions,
  type SwitchReady,
  type SwitchResult,
} from '../../../tools/switch/switch-process.js';
import { SwitchPort } from '../../../tools/switch/switch-port.js';

export const GUEST_IP = '10.86.0.2';
export const GUEST_MAC = Uint8Array.of(0x52, 0x54, 0, 0, 0, 2);

export interface RunningSwitch {
  readonly ready: SwitchReady;
  /** Of the first listener. */
  readonly address: string;
  readonly lines: readonly string[];
  stop(): Promise<SwitchResult>;
}

export async function startSwitch(options: Partial<SwitchOptions> = {}): Promise<RunningSwitch> {
  const abort = new AbortController();
  const lines: string[] = [];
  const listening: { result?: Promise<SwitchResult> } = {};
  const ready = await new Promise<SwitchReady>((resolve, reject) => {
    listening.result = runSwitch(
      {
        listen: ['tcp://127.0.0.1:0'],
        key: null,
        uplinks: [],
        log: (line) => lines.push(line),
        ...options,
        onReady: resolve,
      },
      abort.signal,
    );
    listening.result.catch(reject);
  });
  return {
    ready,
    address: ready.listen[0]!,
    lines,
    stop: () => {
      abort.abort();
      return listening.result!;
    },
  };
}

export interface GuestOptions {
  readonly address: string;
  readonly key?: Uint8Array | null;
  readonly pair?: string;
  readonly replicaId?: string;
  readonly epoch?: number;
  readonly announce?: boolean;
  readonly mac?: Uint8Array;
  readonly ip?: string;
  /** The reply to a datagram, or null. */
  readonly answer?: (datagram: Uint8Array) => Uint8Array | null;
}

/** A replica's port with a network stack behind it. */
export class Guest {
  readonly port: SwitchPort;
  readonly host: VirtualHost;
  /** Source ports of the datagrams received. */
  readonly sourcePorts: number[] = [];
  echoes = 0;

  private constructor(port: SwitchPort, options: GuestOptions) {
    this.port = port;
    this.host = new VirtualHost({
      mac: options.mac ?? GUEST_MAC,
      ip: parseIpv4('ip', options.ip ?? GUEST_IP),
      prefixBits: 24,
      transmit: (frame) => port.send(frame),
      onUdp: (from, fromPort, toPort, payload) => {
        this.sourcePorts.push(fromPort);
        const reply = options.answer?.(payload) ?? null;
        if (reply !== null) this.host.sendUdp(toPort, { ip: from, port: fromPort }, reply, performance.now());
      },
      onEchoReply: () => this.echoes++,
    });
    port.onFrame = (frame) => {
      this.host.receive(frame, performance.now());
    };
  }

  static async plugIn(options: GuestOptions): Promise<Guest> {
    const port = await SwitchPort.connect({
      address: options.address,
      key: options.key ?? null,
      pair: options.pair ?? 'pair',
      replicaId: options.replicaId ?? 'a',
      epoch: options.epoch ?? 1,
      mac: options.mac ?? GUEST_MAC,
      announce: options.announce ?? true,
    });
    return new Guest(port, options);
  }
}

/** Wait until `condition` holds; at most 5 s. */
export async function until(what: string, condition: () => boolean): Promise<void> {
  const end = performance.now() + 5000;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`not within 5 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
