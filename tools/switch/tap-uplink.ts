/**
 * Uplink `tap`: an interface of this machine's kernel on the bridge, for root (an edge).
 *
 *   bridge -> bounded queue -> tap NAME -> the kernel's network (addresses, routes, bridges)
 *   the kernel -> its queue of the interface -> at most `FRAMES_AT_ONCE` -> bridge
 *
 * An interface that is there already is used and stays; another is made, and goes with the switch.
 *
 * Invariants: reading a burst lets the event loop run in between; frames for an interface that is down are lost and
 * counted, as on a cable that is not plugged in; an interface that is deleted under us is told once.
 * Source: Linux Documentation/networking/tuntap.rst.
 */
import type { PortId } from '../../hypervisor/network/learning-bridge.js';
import { isFrameLength, type PortCounters } from '../../hypervisor/network/port-protocol.js';
import { TapDevice } from './tap-device.js';
import type { TapUplinkSpec } from './tap-spec.js';
import type { UplinkCounters, UplinkSurroundings } from './uplink.js';

const FRAMES_AT_ONCE = 64;

interface TapUplinkCounters extends UplinkCounters, PortCounters {
  readonly kind: 'tap';
  /** Frames of the kernel that are longer or shorter than Ethernet's. */
  readonly unfit: number;
  /** Frames that the kernel did not take, e.g. because the interface is down. */
  readonly refused: number;
}

export class TapUplink {
  readonly forwards = [];
  readonly #name: string;
  readonly #surroundings: UplinkSurroundings;
  readonly #device: TapDevice;
  readonly #port: PortId;
  #unfit = 0;
  #refused = 0;
  #gone = false;
  #closed = false;

  /** @throws ReplicaError when the interface cannot be had */
  constructor({ name }: TapUplinkSpec, surroundings: UplinkSurroundings) {
    this.#name = name;
    this.#surroundings = surroundings;
    this.#device = new TapDevice(name, () => {
      this.#receive();
    });
    this.#port = surroundings.bridge.addPort(() => {
      queueMicrotask(() => {
        this.#drain();
      });
    });
  }

  get counters(): TapUplinkCounters {
    const counters = this.#surroundings.bridge.countersOf(this.#port);
    return { kind: 'tap', unfit: this.#unfit, refused: this.#refused, ...counters };
  }

  close(): Promise<void> {
    this.#surroundings.bridge.removePort(this.#port);
    if (!this.#gone) this.#device.close();
    this.#gone = true;
    this.#closed = true;
    return Promise.resolve();
  }

  #receive(): void {
    const { bridge, nowMs, log } = this.#surroundings;
    for (let i = 0; i < FRAMES_AT_ONCE && !this.#gone; i++) {
      const frame = this.#device.read();
      if (frame === null) return;
      if (typeof frame === 'string') {
        this.#gone = true;
        this.#device.close();
        log(`tap ${this.#name}: the interface is gone (${frame}); start the switch again`);
      } else if (isFrameLength(frame.length)) bridge.receive(this.#port, frame, nowMs());
      else this.#unfit++;
    }
  }

  #drain(): void {
    if (this.#closed) return;
    for (;;) {
      const frame = this.#surroundings.bridge.take(this.#port);
      if (frame === null) return;
      if (this.#gone || !this.#device.write(frame)) this.#refused++;
    }
  }
}
