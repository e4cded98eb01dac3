/**
 * A learning Ethernet bridge. Owns no socket and no timer: frames and the time are passed in, frames for a
 * port wait in its queue until they are taken.
 *
 *   receive(port, frame) -> learn source -> known destination: its port | else: every other port -> queue -> take
 *
 * Invariants: a frame never goes back to the port it came from; a queue and the table are bounded, the
 * newest frame is the one dropped; a MAC is in the table at most once; frames are shared between queues and
 * never changed.
 * Source: IEEE 802.1D-2004, sections 7.7 to 7.9 (forwarding, learning, ageing), 7.12.6 (reserved addresses).
 */
import { assert } from '../../emulator/errors.js';
import { MAC_BYTES, gratuitousFrame, isGroup, macNumber } from './ethernet.js';
import { isFrameLength, type PortCounters } from './port-protocol.js';
import { FrameQueue } from './frame-queue.js';
import { RecentFrames } from './recent-frames.js';

export interface BridgeOptions {
  /** A MAC not heard for that long is forgotten. Default 300 s (table 7-5). */
  readonly ageMs?: number;
  /** Frames that may wait for one port. */
  readonly queueFramesMax?: number;
  readonly macsMax?: number;
  /** Sees each frame that is let in, once, whether it goes on or not. */
  readonly onFrame?: (frame: Uint8Array, nowMs: number) => void;
}

/** Number of a port, unique over the bridge's life. */
export type PortId = number;

interface Port {
  readonly ready: () => void;
  readonly queue: FrameQueue;
  received: number;
  sent: number;
  dropped: number;
  stale: number;
}

interface Station {
  readonly mac: number;
  port: PortId;
  heardMs: number;
}

/** What the bridge as a whole did. */
export interface BridgeCounters {
  /** Frames sent to the one port behind which their destination is. */
  forwarded: number;
  /** Frames sent to all other ports. */
  flooded: number;
  /** Frames that go nowhere: their destination is on their own port, or the address is reserved or bad. */
  filtered: number;
  announcements: number;
}

/** 01:80:c2:00:00:00 to :0f are for bridges themselves and never forwarded. */
const RESERVED_FIRST = 0x0180c2000000;
const RESERVED_LAST = RESERVED_FIRST + 15;

export class LearningBridge {
  readonly counters: BridgeCounters = { forwarded: 0, flooded: 0, filtered: 0, announcements: 0 };
  readonly #ageMs: number;
  readonly #queueFramesMax: number;
  readonly #macsMax: number;
  readonly #onFrame: BridgeOptions['onFrame'];
  readonly #ports = new Map<PortId, Port>();
  /** In the order in which they were last heard. */
  readonly #stations = new Map<number, Station>();
  /** The last of them, and the one that was last looked for: a burst is mostly one station's, for one other. */
  #newest: Station | null = null;
  #found: Station | null = null;
  readonly #recent = new RecentFrames();
  #nextId: PortId = 1;

  constructor(options: BridgeOptions = {}) {
    this.#ageMs = options.ageMs ?? 300_000;
    this.#queueFramesMax = options.queueFramesMax ?? 512;
    this.#macsMax = options.macsMax ?? 4096;
    this.#onFrame = options.onFrame;
  }

  /** Plug in a cable. `ready` is called whenever its empty queue gets a frame. */
  addPort(ready: () => void): PortId {
    const id = this.#nextId++;
    this.#ports.set(id, {
      ready,
      queue: new FrameQueue(this.#queueFramesMax),
      received: 0,
      sent: 0,
      dropped: 0,
      stale: 0,
    });
    return id;
  }

  /** Pull the cable: its queue and everything learned behind it are gone. */
  removePort(id: PortId): void {
    this.#ports.delete(id);
    for (const station of this.#stations.values()) if (station.port === id) this.#forget(station);
  }

  /** Forward one frame of 14 to 1518 bytes that came in at `from`; the bridge keeps it by reference. */
  receive(from: PortId, frame: Uint8Array, nowMs: number): void {
    assert(isFrameLength(frame.length), 'the bridge gets Ethernet frames');
    this.#port(from).received++;
    this.#onFrame?.(frame, nowMs);
    const destination = macNumber(frame);
    const toGroup = isGroup(frame);
    if (isGroup(frame, MAC_BYTES) || (destination >= RESERVED_FIRST && destination <= RESERVED_LAST)) {
      this.counters.filtered++;
      return;
    }
    this.#learn(macNumber(frame, MAC_BYTES), from, nowMs);
    const to = toGroup ? null : this.#lookUp(destination, nowMs);
    if (!toGroup) this.#recent.sent(destination, frame, nowMs);
    if (to === null) this.#flood(from, frame);
    else if (to === from) this.counters.filtered++;
    else {
      this.counters.forwarded++;
      this.#enqueue(this.#port(to), frame);
    }
  }

  /** Count a frame of `from` that was refused because of its epoch: it teaches nothing and goes nowhere. */
  refuseStale(from: PortId): void {
    const port = this.#port(from);
    port.received++;
    port.stale++;
  }

  /**
   * `mac` is behind `from` from now on: re-learn at once, tell all others with a gratuitous frame, repeat to it the TCP
   * segments that whoever had the MAC before may have lost.
   */
  announce(from: PortId, mac: Uint8Array, nowMs: number): void {
    assert(mac.length === MAC_BYTES && !isGroup(mac), 'one interface announces itself');
    this.counters.announcements++;
    this.#learn(macNumber(mac), from, nowMs);
    const frame = gratuitousFrame(mac);
    this.#onFrame?.(frame, nowMs);
    this.#flood(from, frame);
    for (const repeated of this.#recent.take(macNumber(mac), nowMs)) this.#enqueue(this.#port(from), repeated);
  }

  /** Take the oldest frame that waits for a port; null when there is none. */
  take(id: PortId): Uint8Array | null {
    const port = this.#port(id);
    const frame = port.queue.shift();
    if (frame !== null) port.sent++;
    return frame;
  }

  countersOf(id: PortId): PortCounters {
    const { received, sent, dropped, stale } = this.#port(id);
    return { received, sent, dropped, stale };
  }

  #flood(from: PortId, frame: Uint8Array): void {
    this.counters.flooded++;
    for (const [id, port] of this.#ports) if (id !== from) this.#enqueue(port, frame);
  }

  #enqueue(port: Port, frame: Uint8Array): void {
    if (!port.queue.push(frame)) port.dropped++;
    else if (port.queue.length === 1) port.ready();
  }

  #learn(mac: number, port: PortId, nowMs: number): void {
    const last = this.#newest?.mac === mac ? this.#newest : null;
    const station = last ?? this.#stations.get(mac) ?? { mac, port, heardMs: nowMs };
    station.port = port;
    station.heardMs = nowMs;
    if (last !== null) return;
    this.#newest = station;
    if (!this.#stations.delete(mac) && this.#stations.size >= this.#macsMax) {
      const oldest = this.#stations.values().next();
      if (oldest.done !== true) this.#forget(oldest.value);
    }
    this.#stations.set(mac, station);
  }

  #forget(station: Station): void {
    this.#stations.delete(station.mac);
    if (this.#newest === station) this.#newest = null;
    if (this.#found === station) this.#found = null;
  }

  #lookUp(mac: number, nowMs: number): PortId | null {
    const station = this.#found?.mac === mac ? this.#found : this.#stations.get(mac);
    if (station === undefined) return null;
    this.#found = station;
    if (nowMs - station.heardMs <= this.#ageMs) return station.port;
    this.#forget(station);
    return null;
  }

  #port(id: PortId): Port {
    const port = this.#ports.get(id);
    // Without its number in the text, which would be put together for each frame.
    assert(port !== undefined, 'a bridge port is plugged in');
    return port;
  }
}
