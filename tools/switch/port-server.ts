/**
 * The switch's side of its ports: greets a connection, then carries frames between it and the bridge.
 *
 *   connection -> hello -> [version, role, pair] -> welcome -> bridge port
 *   packet -> epoch gate (replicas only) -> bridge          bridge -> queue -> connection
 *
 * Invariants: a message that does not belong closes its own connection only; a slow port fills its own
 * queue only; a port that says nothing for 15 s is unplugged.
 */
import { DecodeError } from '../../emulator/errors.js';
import type { FrameConnection } from '../../hypervisor/channel/frame-connection.js';
import { formatMac } from '../../hypervisor/network/ethernet.js';
import { EpochGate } from '../../hypervisor/network/epoch-gate.js';
import type { LearningBridge, PortId } from '../../hypervisor/network/learning-bridge.js';
import {
  PORT_PROTOCOL,
  decodePortMessage,
  encodePortMessage,
  packetHead,
  type PortCounters,
  type PortHello,
  type PortMessage,
  type PortRole,
} from '../../hypervisor/network/port-protocol.js';

export const GREETING_MS_MAX = 5000;
const CHECK_MS = 1000;
/** Checks without a sign of life after which a port is unplugged. */
const SILENT_CHECKS_MAX = 15;
/** Frames stay in the bridge's bounded queue while more than this waits for the socket. */
const HIGH_WATER_BYTES = 1 << 18;
/** Ports that are gone and still listed one by one. */
const GONE_MAX = 256;
const NO_COUNTERS: PortCounters = { received: 0, sent: 0, dropped: 0, stale: 0 };

export interface PortServerOptions {
  readonly bridge: LearningBridge;
  readonly nowMs: () => number;
  readonly log: (message: string) => void;
}

/** What one cable did, over all its connections. */
interface PortReport extends PortCounters {
  readonly role: PortRole;
  readonly pair: string;
  readonly replicaId: string;
  readonly nic: number;
  readonly pluggedIn: boolean;
}

/** What all ports together did, and how many are plugged in. */
export interface PortTotals extends PortCounters {
  readonly ports: number;
  /** Connections closed for breaking the protocol, or refused. */
  readonly refused: number;
  /** The ports one by one: all that are plugged in, and the last 256 that are not any more. */
  readonly each: readonly PortReport[];
}

export class PortServer {
  readonly #options: PortServerOptions;
  readonly #gate = new EpochGate();
  readonly #ports = new Set<Port>();
  /** By name, the one that left last at the end. */
  readonly #goneEach = new Map<string, PortReport>();
  #gone = NO_COUNTERS;
  #refused = 0;

  constructor(options: PortServerOptions) {
    this.#options = options;
  }

  get totals(): PortTotals {
    let sum = this.#gone;
    for (const port of this.#ports) sum = add(sum, port.counters);
    return { ports: this.#ports.size, refused: this.#refused, ...sum, each: this.#each() };
  }

  /** Take over a new connection. */
  accept(connection: FrameConnection): void {
    const { log } = this.#options;
    const timer = setTimeout(() => {
      connection.close('no hello');
    }, GREETING_MS_MAX);
    connection.onClose = (reason) => {
      clearTimeout(timer);
      this.#refused++;
      log(`${connection.peer}: not a port: ${reason}`);
    };
    connection.onFrame = (bytes) => {
      const hello = this.#greet(connection, bytes);
      if (hello === null) return;
      clearTimeout(timer);
      this.#plugIn(connection, hello);
    };
  }

  /** Null: refused. */
  #greet(connection: FrameConnection, bytes: Uint8Array): PortHello | null {
    const refuse = (reason: string): null => {
      connection.send(encodePortMessage({ type: 'refused', reason }));
      connection.close(reason);
      return null;
    };
    let message: PortMessage;
    try {
      message = decodePortMessage(bytes);
    } catch (error) {
      if (error instanceof DecodeError && error.code === 'bad-version') return refuse(error.message);
      throw error;
    }
    if (message.type !== 'hello') throw new DecodeError('unexpected', 0, `${message.type} before hello`);
    const { hello } = message;
    if (hello.role === 'replica' && !this.#gate.attach(hello.pair, hello.epoch)) {
      return refuse('this switch knows too many pairs');
    }
    return hello;
  }

  #plugIn(connection: FrameConnection, hello: PortHello): void {
    const { log } = this.#options;
    const port = new Port(connection, hello, this.#gate, this.#options);
    this.#ports.add(port);
    const name = `${hello.role} ${hello.pair}/${hello.replicaId}`;
    log(`${name}: plugged in at epoch ${hello.epoch}`);
    connection.onClose = (reason) => {
      this.#remember(port);
      this.#ports.delete(port);
      port.unplug();
      log(`${name}: unplugged: ${reason}`);
    };
    connection.send(encodePortMessage({ type: 'welcome', version: PORT_PROTOCOL }));
  }

  #remember(port: Port): void {
    this.#gone = add(this.#gone, port.counters);
    const before = this.#goneEach.get(port.name);
    this.#goneEach.delete(port.name);
    const oldest = this.#goneEach.keys().next();
    if (this.#goneEach.size >= GONE_MAX && oldest.done !== true) this.#goneEach.delete(oldest.value);
    this.#goneEach.set(port.name, { ...port.report, pluggedIn: false, ...add(port.counters, before ?? NO_COUNTERS) });
  }

  #each(): PortReport[] {
    const all = new Map(this.#goneEach);
    for (const port of this.#ports) {
      all.set(port.name, { ...port.report, ...add(port.counters, all.get(port.name) ?? NO_COUNTERS) });
    }
    return [...all.values()];
  }
}

/** One plugged-in port. */
class Port {
  readonly #connection: FrameConnection;
  readonly #hello: PortHello;
  readonly #gate: EpochGate;
  readonly #options: PortServerOptions;
  readonly #bridgePort: PortId | null;
  readonly #packetHead: Uint8Array;
  readonly #checkTimer: NodeJS.Timeout;
  #epoch: number;
  #silentChecks = 0;

  constructor(connection: FrameConnection, hello: PortHello, gate: EpochGate, options: PortServerOptions) {
    this.#connection = connection;
    this.#hello = hello;
    this.#gate = gate;
    this.#options = options;
    this.#epoch = hello.epoch;
    this.#packetHead = packetHead(hello.nic);
    this.#bridgePort =
      hello.role === 'collector'
        ? null
        : options.bridge.addPort(() => {
            // Not before everything that has arrived is read: datagrams come one by one, and one write takes them all.
            setImmediate(() => {
              this.#drain();
            });
          });
    connection.onFrame = (bytes) => {
      this.#silentChecks = 0;
      this.#receive(decodePortMessage(bytes));
    };
    connection.onDrain = () => {
      this.#drain();
    };
    this.#checkTimer = setInterval(() => {
      if (this.#silentChecks++ >= SILENT_CHECKS_MAX) connection.close('silent for too long');
    }, CHECK_MS);
    this.#checkTimer.unref();
  }

  get counters(): PortCounters {
    return this.#bridgePort === null ? NO_COUNTERS : this.#options.bridge.countersOf(this.#bridgePort);
  }

  get report(): PortReport {
    const { role, pair, replicaId, nic } = this.#hello;
    return { role, pair, replicaId, nic, pluggedIn: true, ...this.counters };
  }

  /** The same for the same cable after a reconnection. */
  get name(): string {
    const { role, pair, replicaId, nic } = this.#hello;
    return JSON.stringify([role, pair, replicaId, nic]);
  }

  unplug(): void {
    clearInterval(this.#checkTimer);
    if (this.#bridgePort !== null) this.#options.bridge.removePort(this.#bridgePort);
  }

  #receive(message: PortMessage): void {
    switch (message.type) {
      case 'packet':
        if (message.nic !== this.#hello.nic || this.#bridgePort === null) break;
        this.#forward(this.#bridgePort, message.frame);
        return;
      case 'announce':
        if (this.#hello.role !== 'replica' || this.#bridgePort === null) break;
        this.#announce(this.#bridgePort, message.epoch, message.mac);
        return;
      case 'ping':
        this.#connection.send(encodePortMessage({ type: 'pong', token: message.token }));
        return;
      case 'pong':
        return;
      case 'count':
        this.#connection.send(encodePortMessage({ type: 'counters', counters: this.counters }));
        return;
      default:
        break;
    }
    throw new DecodeError('unexpected', 0, `${message.type} from a port of role ${this.#hello.role}`);
  }

  #forward(port: PortId, frame: Uint8Array): void {
    const { role, pair, replicaId } = this.#hello;
    const { bridge, nowMs } = this.#options;
    if (role === 'replica' && !this.#gate.passes(pair, replicaId, this.#epoch)) bridge.refuseStale(port);
    else bridge.receive(port, frame, nowMs());
  }

  #announce(port: PortId, epoch: number, mac: Uint8Array): void {
    const { pair, replicaId } = this.#hello;
    const { bridge, nowMs, log } = this.#options;
    if (!this.#gate.announce(pair, replicaId, epoch)) {
      log(`${pair}/${replicaId}: refused to announce ${formatMac(mac)} in epoch ${epoch}: it is not the newest`);
      return;
    }
    this.#epoch = epoch;
    bridge.announce(port, mac, nowMs());
    log(`${pair}/${replicaId}: ${formatMac(mac)} is here in epoch ${epoch}`);
  }

  #drain(): void {
    const connection = this.#connection;
    if (this.#bridgePort === null) return;
    while (connection.open && connection.bufferedBytes <= HIGH_WATER_BYTES) {
      const frame = this.#options.bridge.take(this.#bridgePort);
      if (frame === null) return;
      connection.sendParts(this.#packetHead, frame);
    }
  }
}

function add(a: PortCounters, b: PortCounters): PortCounters {
  return {
    received: a.received + b.received,
    sent: a.sent + b.sent,
    dropped: a.dropped + b.dropped,
    stale: a.stale + b.stale,
  };
}
