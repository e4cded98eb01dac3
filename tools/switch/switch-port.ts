/**
 * A NIC's cable to the switch (an edge: connection and timers).
 *
 *   send -> [connected and welcomed? else dropped] -> switch        switch -> onFrame
 *   connection lost -> wait 50 ms, 100 ms ... 1 s -> connect, hello, announce again if live
 *
 * Invariants: frames are never kept for a switch that is away, as on a real cable; after a reconnection the
 * switch knows the newest epoch that was announced; a closed port stays closed.
 */
import { DecodeError, ReplicaError, assert } from '../../emulator/errors.js';
import type { FrameConnection } from '../../hypervisor/channel/frame-connection.js';
import { connect } from '../../hypervisor/channel/transport.js';
import { MAC_BYTES, isGroup } from '../../hypervisor/network/ethernet.js';
import {
  PORT_PROTOCOL,
  decodePortMessage,
  encodePortMessage,
  isFrameLength,
  packetHead,
  type PortMessage,
} from '../../hypervisor/network/port-protocol.js';

const CONNECT_TIMEOUT_MS = 5000;
/** A take-over waits no longer than this for a switch. */
const PLUG_MS = 300;
const RETRY_MS_MIN = 50;
const RETRY_MS_MAX = 1000;
const PING_MS = 1000;
/** Pings without any sign of life after which the connection is given up. */
const SILENT_PINGS_MAX = 3;
/** Frames are dropped while more than this waits for the socket. */
const HIGH_WATER_BYTES = 1 << 20;

export interface SwitchPortOptions {
  /** Of the switch: `tcp://HOST:PORT` or `unix:PATH`. */
  readonly address: string;
  readonly key: Uint8Array | null;
  /** Name that both replicas of the pair give. */
  readonly pair: string;
  readonly replicaId: string;
  readonly epoch: number;
  /** Six bytes, not a multicast address. */
  readonly mac: Uint8Array;
  /** Number of the NIC in its machine; default 0. */
  readonly nic?: number;
  /** Announce the MAC as soon as connected: the replica is live (default). False: wait for announce(). */
  readonly announce?: boolean;
  /** One line when the cable is lost or back. */
  readonly log?: (message: string) => void;
}

export interface SwitchPortCounters {
  sent: number;
  received: number;
  /** Frames dropped because there was no connection or it was clogged. */
  dropped: number;
  reconnections: number;
}

export class SwitchPort {
  /** Gets each frame from the network; the buffer is not used again. */
  onFrame: ((frame: Uint8Array) => void) | null = null;
  readonly counters: SwitchPortCounters = { sent: 0, received: 0, dropped: 0, reconnections: 0 };
  readonly #options: SwitchPortOptions;
  readonly #nic: number;
  readonly #packetHead: Uint8Array;
  #epoch: number;
  #announced: boolean;
  #connection: FrameConnection | null = null;
  #silentPings = 0;
  #closed = false;
  #retryMs = RETRY_MS_MIN;
  #timer: NodeJS.Timeout | null = null;

  private constructor(options: SwitchPortOptions) {
    this.#options = options;
    assert(options.mac.length === MAC_BYTES && !isGroup(options.mac), 'a port has the MAC of one interface');
    this.#nic = options.nic ?? 0;
    this.#packetHead = packetHead(this.#nic);
    this.#epoch = options.epoch;
    this.#announced = options.announce ?? true;
  }

  /**
   * Connect for the first time; later interruptions are repaired without the caller.
   * @throws ConfigError when the address is malformed
   * @throws ReplicaError when the switch is not there, has another key or another protocol
   */
  static async connect(options: SwitchPortOptions): Promise<SwitchPort> {
    const port = new SwitchPort(options);
    await port.#open();
    return port;
  }

  /**
   * As connect(), for a replica that goes live whatever becomes of its network: a switch that is not there is
   * waited for a moment, then in the background.
   * @throws ConfigError when the address is malformed
   */
  static async plug(options: SwitchPortOptions): Promise<SwitchPort> {
    const port = new SwitchPort(options);
    let timer: NodeJS.Timeout | undefined;
    const moment = new Promise<void>((resolve) => (timer = setTimeout(resolve, PLUG_MS)));
    const opened = port.#open().catch((error: unknown) => {
      if (!(error instanceof ReplicaError)) throw error;
      options.log?.(`${error.message}; the guest’s network waits for it`);
      if (!port.#closed) port.#retryLater();
    });
    await Promise.race([opened, moment]);
    clearTimeout(timer);
    return port;
  }

  /** Whether the cable is plugged in right now. */
  get connected(): boolean {
    return this.#connection?.open ?? false;
  }

  /** Send a frame of 14 to 1518 bytes. False: dropped. */
  send(frame: Uint8Array): boolean {
    const connection = this.#connection;
    if (connection?.open !== true || connection.bufferedBytes > HIGH_WATER_BYTES) {
      this.counters.dropped++;
      return false;
    }
    assert(isFrameLength(frame.length), 'an Ethernet frame has 14 to 1518 bytes');
    connection.sendParts(this.#packetHead, frame);
    this.counters.sent++;
    return true;
  }

  /** Hand frames to the host now, for a caller about to compute for a while. */
  flush(): void {
    this.#connection?.flush();
  }

  /** This replica is live in `epoch` (default: the one given before) and its MAC is here from now on. */
  announce(epoch = this.#epoch): void {
    this.#epoch = epoch;
    this.#announced = true;
    this.#connection?.send(encodePortMessage({ type: 'announce', epoch, mac: this.#options.mac }));
    this.#connection?.flush();
  }

  close(): void {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#connection?.close();
    this.#connection = null;
  }

  async #open(): Promise<void> {
    const { address, key, pair, replicaId } = this.#options;
    const connection = await connect({
      address,
      key,
      timeoutMs: CONNECT_TIMEOUT_MS,
      option: '--net switch=',
      highWaterBytes: HIGH_WATER_BYTES,
    });
    const hello = {
      version: PORT_PROTOCOL,
      role: 'replica',
      nic: this.#nic,
      pair,
      replicaId,
      epoch: this.#epoch,
    } as const;
    connection.send(encodePortMessage({ type: 'hello', hello }));
    await this.#welcome(connection);
    if (this.#closed) {
      connection.close();
      return;
    }
    this.#connection = connection;
    this.#retryMs = RETRY_MS_MIN;
    connection.onClose = (reason) => {
      this.#lost(reason);
    };
    connection.onFrame = (bytes) => {
      this.#receive(decodePortMessage(bytes));
    };
    if (this.#announced) this.announce();
    this.#pingLater();
  }

  /** Wait for the switch's answer to our hello. */
  #welcome(connection: FrameConnection): Promise<void> {
    return new Promise((resolve, reject) => {
      const fail = (reason: string): void => {
        clearTimeout(timer);
        connection.onClose = null;
        connection.close();
        reject(new ReplicaError(`switch ${this.#options.address}: ${reason}`));
      };
      const timer = setTimeout(() => {
        fail(`no welcome within ${CONNECT_TIMEOUT_MS} ms`);
      }, CONNECT_TIMEOUT_MS);
      connection.onClose = fail;
      connection.onFrame = (bytes) => {
        const message = decodePortMessage(bytes);
        if (message.type === 'refused') fail(message.reason);
        else if (message.type === 'welcome') {
          clearTimeout(timer);
          // What follows in the same chunk waits until the caller has set its own handlers.
          connection.onFrame = null;
          connection.onClose = null;
          resolve();
        } else throw new DecodeError('unexpected', 0, `${message.type} instead of a welcome`);
      };
    });
  }

  #receive(message: PortMessage): void {
    this.#silentPings = 0;
    switch (message.type) {
      case 'packet':
        this.counters.received++;
        this.onFrame?.(message.frame);
        return;
      case 'ping':
        this.#connection?.send(encodePortMessage({ type: 'pong', token: message.token }));
        return;
      case 'pong':
      case 'counters':
        return;
      default:
        throw new DecodeError('unexpected', 0, `${message.type} from a switch`);
    }
  }

  #pingLater(): void {
    this.#silentPings = 0;
    const timer = setInterval(() => {
      if (this.#connection === null) return;
      // Counted in pings, not in time: after a pause of this process the answers get a chance to be read.
      if (this.#silentPings++ >= SILENT_PINGS_MAX) this.#connection.close('the switch is silent');
      else this.#connection.send(encodePortMessage({ type: 'ping', token: this.#silentPings }));
    }, PING_MS);
    timer.unref();
    this.#replaceTimer(timer);
  }

  #lost(reason: string): void {
    this.#connection = null;
    if (this.#closed) return;
    this.#options.log?.(`switch ${this.#options.address}: ${reason}; reconnecting`);
    this.#retryLater();
  }

  #retryLater(): void {
    const timer = setTimeout(() => {
      this.#open().then(
        () => {
          this.counters.reconnections++;
          this.#options.log?.(`switch ${this.#options.address}: connected again`);
        },
        (error: unknown) => {
          if (!(error instanceof ReplicaError)) throw error;
          if (!this.#closed) this.#retryLater();
        },
      );
    }, this.#retryMs);
    timer.unref();
    this.#replaceTimer(timer);
    this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MS_MAX);
  }

  #replaceTimer(timer: NodeJS.Timeout): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = timer;
  }
}
