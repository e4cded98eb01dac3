/**
 * The switch: a learning bridge with replicas as ports and uplinks to the outside. It outlives replicas.
 *
 *   replicas -> listener -> PortServer -+
 *                                       +- LearningBridge
 *   programs -> uplinks    -------------+        +-> PcapFile
 */
import { writeSync } from 'node:fs';
import { ConfigError } from '../../emulator/errors.js';
import { listen, type Listener } from '../../hypervisor/channel/transport.js';
import { LearningBridge, type BridgeCounters } from '../../hypervisor/network/learning-bridge.js';
import { PortServer, type PortTotals } from './port-server.js';
import { openUplink } from './open-uplink.js';
import { PcapFile, type PcapCounters } from './pcap-file.js';
import type { BoundForward, Uplink, UplinkCounters } from './uplink.js';
import { parseUplink } from './uplink-spec.js';

const PORT_HIGH_WATER_BYTES = 1 << 18;
const JSON_VERSION = 1;

export interface SwitchOptions {
  /** Addresses for ports: `tcp://HOST:PORT` (0: any free port) or `unix:PATH`; at least one. */
  readonly listen: readonly string[];
  readonly key: Uint8Array | null;
  /** Texts of `--uplink`. */
  readonly uplinks: readonly string[];
  /** A capture file for all frames; null or absent: none. */
  readonly pcap?: string | null;
  /** Told once, when everything is bound. */
  readonly onReady?: (ready: SwitchReady) => void;
  /** File descriptor that gets the same as one line of JSON. */
  readonly readyFd?: number;
  /** One line about a port that came or went. */
  readonly log?: (message: string) => void;
}

/** What the switch is bound to. */
export interface SwitchReady {
  readonly version: number;
  readonly listen: readonly string[];
  readonly forwards: readonly BoundForward[];
}

/** The JSON result. */
export interface SwitchResult {
  readonly version: number;
  readonly stop: 'stopped';
  readonly seconds: number;
  readonly ports: PortTotals;
  readonly bridge: BridgeCounters;
  readonly uplinks: readonly UplinkCounters[];
  /** Null: no capture. */
  readonly pcap: PcapCounters | null;
}

/**
 * Run a switch until `signal` is aborted (the command aborts it on SIGTERM and SIGINT).
 * @throws ConfigError when an option is malformed, or an address needs a key
 * @throws ReplicaError naming the address that cannot be bound
 */
export async function runSwitch(options: SwitchOptions, signal: AbortSignal): Promise<SwitchResult> {
  const nowMs = (): number => performance.now();
  const log = options.log ?? ((): void => undefined);
  const specs = options.uplinks.map(parseUplink);
  if (options.listen.length === 0) throw new ConfigError('--listen', '', 'at least one address is needed');
  const startMs = nowMs();
  const pcap = options.pcap == null ? null : new PcapFile(options.pcap, log);
  const bridge = new LearningBridge({ onFrame: (frame, seenMs) => pcap?.add(frame, seenMs) });
  const server = new PortServer({ bridge, nowMs, log });
  const uplinks: Uplink[] = [];
  const listeners: Listener[] = [];
  try {
    for (const spec of specs) uplinks.push(await openUplink(spec, { bridge, nowMs, log }));
    for (const address of options.listen) {
      listeners.push(
        await listen({
          address,
          key: options.key,
          option: '--listen',
          highWaterBytes: PORT_HIGH_WATER_BYTES,
          onRefused: log,
          onConnection: (connection) => {
            server.accept(connection);
          },
        }),
      );
    }
    tellReady(options, listeners, uplinks);
    await aborted(signal);
    pcap?.flush();
    return {
      version: JSON_VERSION,
      stop: 'stopped',
      seconds: (nowMs() - startMs) / 1000,
      ports: server.totals,
      bridge: { ...bridge.counters },
      uplinks: uplinks.map(({ counters }) => counters),
      pcap: pcap?.counters ?? null,
    };
  } finally {
    pcap?.close();
    await Promise.all([...listeners, ...uplinks].map((part) => part.close()));
  }
}

function tellReady(options: SwitchOptions, listeners: readonly Listener[], uplinks: readonly Uplink[]): void {
  const ready: SwitchReady = {
    version: JSON_VERSION,
    listen: listeners.map(({ address }) => address),
    forwards: uplinks.flatMap(({ forwards }) => forwards),
  };
  if (options.readyFd !== undefined) writeSync(options.readyFd, `${JSON.stringify(ready)}\n`);
  options.onReady?.(ready);
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else
      signal.addEventListener(
        'abort',
        () => {
          resolve();
        },
        { once: true },
      );
  });
}
