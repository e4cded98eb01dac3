/**
 * virtio network card: queue 0 receives, queue 1 transmits, whole Ethernet frames without checksum.
 *
 *   doorbell -> chain -> header | frame -> Environment.emit (same icount), chain used at once
 *   log entry -> receive() -> header | frame into one chain, or several with MRG_RXBUF -> used ring -> interrupt
 *
 *   header     0 flags u8 | 1 gso_type u8 | 2 hdr_len u16 | 4 gso_size u16 | 6 csum_start u16 | 8 csum_offset u16
 *              | 10 num_buffers u16: only with VERSION_1 or MRG_RXBUF
 *
 * No offload is offered, so the header carries nothing but num_buffers. The link is always up, and frames are not
 * filtered by address: the switch does that. A frame that finds no room is dropped and counted, as on a real card.
 *
 * Source: VIRTIO 1.2, sections 5.1.3 to 5.1.6.
 */
import { borrowedBytes } from '../../emulator/byte-pool.js';
import { assert } from '../../emulator/errors.js';
import type { DeviceModel, IrqLine } from '../device.js';
import type { Dma } from '../dma.js';
import type { Environment } from '../environment.js';
import type { PciFunction } from '../pci-device.js';
import type { StateRecord } from '../state.js';
import { gatherInto, scatter, type Chain } from './descriptor-chain.js';
import { SavedFields } from '../saved-fields.js';
import type { VirtioDevice } from './virtio-device.js';
import { VirtioPci } from './virtio-pci.js';

export interface VirtioNetOptions {
  readonly environment: Environment;
  readonly dma: Dma;
  readonly irq: IrqLine;
  /** Index of the card, as in the packet output. */
  readonly nic: number;
  /** 6 bytes. */
  readonly mac: Uint8Array;
}

/** An Ethernet frame without checksum, with room for a VLAN tag. */
const FRAME_BYTES_MIN = 14;
const FRAME_BYTES_MAX = 1518;

/** Feature bits (5.1.3). */
const NET_F_MAC = 5;
const NET_F_MRG_RXBUF = 15;
const NET_F_STATUS = 16;

const QUEUE_RECEIVE = 0;
const QUEUE_TRANSMIT = 1;

/** Header sizes (5.1.6, and 5.1.6.1 for the legacy one). */
const HEADER_BYTES = 12;
const HEADER_BYTES_LEGACY = 10;
const NUM_BUFFERS_AT = 10;

/** Device configuration (5.1.4): 0 mac u8[6] | 6 status u16 | 8 max_virtqueue_pairs u16 | 10 mtu u16. */
const MAC_BYTES = 6;
const CONFIG_BYTES = 12;
const LINK_UP = 1;

/** What happened to frames, as the guest's world sees it: part of the state, equal on both replicas. */
export interface VirtioNetCounters {
  readonly transmitted: number;
  /** Transmit chains that do not hold a frame of 14 to 1518 bytes. */
  readonly transmitDropped: number;
  readonly received: number;
  /** Frames for which the driver had no buffers, or that no driver was there to take. */
  readonly receiveDropped: number;
}
const NO_COUNTS: VirtioNetCounters = { transmitted: 0, transmitDropped: 0, received: 0, receiveDropped: 0 };
type Counted = { -readonly [name in keyof VirtioNetCounters]: VirtioNetCounters[name] };

export class VirtioNet implements DeviceModel {
  readonly pci: PciFunction;
  readonly #options: VirtioNetOptions;
  readonly #transport: VirtioPci;
  readonly #virtio: VirtioDevice;
  readonly #config = new Uint8Array(CONFIG_BYTES);
  #counters: Counted = { ...NO_COUNTS };
  /** A frame that is delivered, behind its header. */
  readonly #delivery = new Uint8Array(HEADER_BYTES + FRAME_BYTES_MAX);

  constructor(options: VirtioNetOptions) {
    assert(options.mac.length === MAC_BYTES, 'a MAC address has 6 bytes');
    this.#options = options;
    this.#resetConfig();
    this.#transport = new VirtioPci({
      pciDeviceId: 0x1000,
      deviceType: 1,
      classCode: 0x020000,
      features: [NET_F_MAC, NET_F_MRG_RXBUF, NET_F_STATUS],
      queueCount: 2,
      config: { bytes: this.#config, write: (offset, value) => this.#writeConfig(offset, value) },
      dma: options.dma,
      irq: options.irq,
      doorbell: (queue) => {
        // Receive buffers are found when a frame arrives; their doorbell has nothing to do.
        if (queue === QUEUE_TRANSMIT) this.#virtio.serve(QUEUE_TRANSMIT, (chain) => this.#transmit(chain));
      },
      configReset: () => this.#resetConfig(),
    });
    this.pci = this.#transport.pci;
    this.#virtio = this.#transport.device;
  }

  get counters(): VirtioNetCounters {
    return { ...this.#counters };
  }

  /** Deliver a frame while applying a log entry. False: dropped, for want of a driver, of buffers or of a fit length. */
  receive(frame: Uint8Array): boolean {
    const fits = frame.length >= FRAME_BYTES_MIN && frame.length <= FRAME_BYTES_MAX;
    if (!fits || !this.#virtio.usable || !this.#deliver(frame)) {
      this.#counters.receiveDropped++;
      return false;
    }
    this.#counters.received++;
    return true;
  }

  reset(): void {
    this.#resetConfig();
    this.#counters = { ...NO_COUNTS };
    this.#transport.reset();
  }

  save(): StateRecord {
    return {
      transport: this.#transport.save(),
      mac: this.#config.slice(0, MAC_BYTES),
      counters: { ...this.#counters },
    };
  }

  restore(state: StateRecord): void {
    const fields = new SavedFields(state, 'virtio-net');
    const transport = fields.record('transport');
    const mac = fields.bytes('mac', MAC_BYTES);
    const counters = fields.record('counters');
    fields.finish();
    const count = (name: keyof VirtioNetCounters): number => counters.integer(name, 0, Number.MAX_SAFE_INTEGER);
    const restored = {
      transmitted: count('transmitted'),
      transmitDropped: count('transmitDropped'),
      received: count('received'),
      receiveDropped: count('receiveDropped'),
    };
    counters.finish();
    this.#transport.restore(transport);
    this.#counters = restored;
    this.#config.set(mac);
  }

  #resetConfig(): void {
    this.#config.set(this.#options.mac);
    this.#config[MAC_BYTES] = LINK_UP;
  }

  /** 5.1.4.2: only a legacy driver may change the address. */
  #writeConfig(offset: number, value: number): void {
    if (offset < MAC_BYTES && !this.#virtio.modern) this.#config[offset] = value;
  }

  get #mergeable(): boolean {
    return this.#virtio.accepted(NET_F_MRG_RXBUF);
  }

  get #headerBytes(): number {
    return this.#virtio.modern || this.#mergeable ? HEADER_BYTES : HEADER_BYTES_LEGACY;
  }

  /** Send what one chain holds. False when its buffers are not RAM. */
  #transmit(chain: Chain): boolean {
    const bytes = chain.readableBytes - this.#headerBytes;
    if (bytes < FRAME_BYTES_MIN || bytes > FRAME_BYTES_MAX) {
      this.#counters.transmitDropped++;
    } else {
      const data = borrowedBytes(bytes);
      if (!gatherInto(this.#options.dma, chain.readable, this.#headerBytes, data)) return false;
      this.#counters.transmitted++;
      this.#options.environment.emit({ kind: 'packet', nic: this.#options.nic, data });
    }
    return this.#virtio.put(QUEUE_TRANSMIT, chain.head, 0);
  }

  /** Put a frame into the driver's buffers, taking none of them when they do not suffice. */
  #deliver(frame: Uint8Array): boolean {
    const headerBytes = this.#headerBytes;
    const needed = headerBytes + frame.length;
    const chains = this.#takeBuffers(needed);
    if (chains === null) {
      this.#virtio.fail();
      return false;
    }
    if (chains.reduce((sum, chain) => sum + chain.writableBytes, 0) < needed) {
      this.#virtio.untake(QUEUE_RECEIVE, chains.length);
      return false;
    }
    // Nothing else of the header is ever set. A short one has no such field: the frame lies there.
    const bytes = this.#delivery.subarray(0, needed);
    bytes[NUM_BUFFERS_AT] = chains.length & 0xff;
    bytes[NUM_BUFFERS_AT + 1] = chains.length >> 8;
    bytes.set(frame, headerBytes);
    let done = 0;
    for (const chain of chains) {
      const part = bytes.subarray(done, done + chain.writableBytes);
      if (
        !scatter(this.#options.dma, chain.writable, 0, part) ||
        !this.#virtio.put(QUEUE_RECEIVE, chain.head, part.length)
      ) {
        this.#virtio.fail();
        return false;
      }
      done += part.length;
    }
    this.#virtio.publish(QUEUE_RECEIVE);
    return true;
  }

  /** Chains that together hold `needed` bytes, or fewer when there are no more; null when they are malformed. */
  #takeBuffers(needed: number): Chain[] | null {
    const available = this.#virtio.available(QUEUE_RECEIVE);
    if (available === null) return null;
    const countMax = this.#mergeable ? available : Math.min(available, 1);
    const chains: Chain[] = [];
    let bytes = 0;
    while (chains.length < countMax && bytes < needed) {
      const chain = this.#virtio.take(QUEUE_RECEIVE);
      if (chain === null) return null;
      chains.push(chain);
      bytes += chain.writableBytes;
    }
    return chains;
  }
}
