/**
 * One split virtqueue, seen from the device.
 *
 *   driver: writes descriptors, then avail.ring[], then avail.idx, then rings the doorbell
 *   device: available() -> take() ... put() -> publish() -> used.ring[], used.idx, perhaps an interrupt
 *
 * Layout of the two rings (little-endian, n = queue size):
 *
 *   avail   0 flags u16 | 2 idx u16 | 4 ring u16[n]          | 4+2n used_event u16
 *   used    0 flags u16 | 2 idx u16 | 4 ring {u32 id,len}[n] | 4+8n avail_event u16
 *
 * Invariants: both indices are modulo 65536; the device never takes more than n chains it has not given back;
 * between two guest instructions every element that was put is published. Whatever the guest wrote, no method
 * throws and each takes bounded time; `null` means that the rings are unusable and the device must say so.
 *
 * Source: VIRTIO 1.2, sections 2.7.6 to 2.7.8, 2.7.10 (notification suppression) and 2.7.2 (legacy layout).
 */
import type { Dma } from '../dma.js';
import type { StateRecord } from '../state.js';
import { AVAIL_NO_INTERRUPT, DESC_BYTES, LEGACY_QUEUE_ALIGN, QUEUE_SIZE_MAX } from './constants.js';
import { physicalAddress, walkChain, type Chain } from './descriptor-chain.js';
import type { SavedFields } from '../saved-fields.js';

/** The 32-bit halves of the three ring addresses, in the order of the registers (4.1.4.3). */
export const RING_ADDRESSES = ['descLow', 'descHigh', 'driverLow', 'driverHigh', 'deviceLow', 'deviceHigh'] as const;
export type RingAddress = (typeof RING_ADDRESSES)[number];

/** The ring features that the driver accepted. */
export interface RingFeatures {
  readonly indirect: boolean;
  readonly eventIndex: boolean;
}

export class Virtqueue {
  readonly #dma: Dma;
  #size = QUEUE_SIZE_MAX;
  #enabled = false;
  readonly #halves = new Map<RingAddress, number>();
  /** The rings' addresses, computed from the halves. */
  #desc = 0;
  #avail = 0;
  #used = 0;
  /** avail.idx up to which chains were taken. */
  #availIndex = 0;
  /** used.idx as the driver sees it, and elements put after it. */
  #usedIndex = 0;
  #unpublished = 0;
  /** An element of the used ring, on its way there. */
  readonly #element = new Uint8Array(8);
  readonly #elementView = new DataView(this.#element.buffer);

  constructor(dma: Dma) {
    this.#dma = dma;
    this.reset();
  }

  get size(): number {
    return this.#size;
  }
  get enabled(): boolean {
    return this.#enabled;
  }
  /** Chains taken so far, modulo 65536. */
  get availIndex(): number {
    return this.#availIndex;
  }

  reset(): void {
    this.#size = QUEUE_SIZE_MAX;
    this.#enabled = false;
    for (const field of RING_ADDRESSES) this.#halves.set(field, 0);
    this.#computeAddresses();
    this.#availIndex = 0;
    this.#usedIndex = 0;
    this.#unpublished = 0;
  }

  /** Driver write of queue_size. A size that is not a power of two up to the maximum is ignored. */
  setSize(size: number): void {
    const valid = size >= 1 && size <= QUEUE_SIZE_MAX && (size & (size - 1)) === 0;
    if (valid && !this.#enabled) this.#size = size;
  }

  ringAddress(field: RingAddress): number {
    return this.#halves.get(field) ?? 0;
  }

  setRingAddress(field: RingAddress, value: number): void {
    if (this.#enabled) return;
    this.#halves.set(field, value >>> 0);
    this.#computeAddresses();
  }

  /** Driver write of queue_enable: the addresses hold from now on. */
  enable(): void {
    this.#enabled = true;
  }

  /** The legacy queue address register: the page number of the descriptor table. */
  get legacyPage(): number {
    if (!this.#enabled) return 0;
    const address = this.ringAddress('descLow') + this.ringAddress('descHigh') * 2 ** 32;
    return Math.floor(address / LEGACY_QUEUE_ALIGN) >>> 0;
  }

  /** Driver write of the legacy queue address register; 0 stops the queue (2.7.2, 4.1.4.8). */
  setLegacyPage(page: number): void {
    this.reset();
    if (page === 0) return;
    const desc = page * LEGACY_QUEUE_ALIGN;
    const driver = desc + DESC_BYTES * this.#size;
    // flags, idx, ring and used_event are 2 bytes each; the used ring begins on the next page.
    const availEnd = driver + 2 * (3 + this.#size);
    const device = Math.ceil(availEnd / LEGACY_QUEUE_ALIGN) * LEGACY_QUEUE_ALIGN;
    this.#setPair('descLow', 'descHigh', desc);
    this.#setPair('driverLow', 'driverHigh', driver);
    this.#setPair('deviceLow', 'deviceHigh', device);
    this.#computeAddresses();
    this.#enabled = true;
  }

  /** Number of chains the driver offers that were not taken, or null when the ring is unusable. */
  available(): number | null {
    if (!this.#enabled) return 0;
    const index = this.#dma.readU16(this.#avail + 2);
    if (index === null) return null;
    const count = (index - this.#availIndex) & 0xffff;
    return count <= this.#size ? count : null;
  }

  /** Take the next chain; available() must have promised one. Null when ring or chain are malformed. */
  take(features: RingFeatures): Chain | null {
    const slot = this.#availIndex & (this.#size - 1);
    const head = this.#dma.readU16(this.#avail + 4 + 2 * slot);
    if (head === null) return null;
    const chain = walkChain(this.#dma, this.#desc, this.#size, head, features.indirect);
    if (chain !== null) this.#availIndex = (this.#availIndex + 1) & 0xffff;
    return chain;
  }

  /** Give back the last `count` chains, as if they had never been taken. */
  untake(count: number): void {
    this.#availIndex = (this.#availIndex - count) & 0xffff;
  }

  /** Tell the driver at which avail.idx to ring next: at once. False when the ring is unusable. */
  requestDoorbell(): boolean {
    return this.#dma.writeU16(this.#used + 4 + 8 * this.#size, this.#availIndex);
  }

  /** Fill the next used element; `bytes` were written from the chain's first writable byte on. */
  put(head: number, bytes: number): boolean {
    const slot = (this.#usedIndex + this.#unpublished) & (this.#size - 1);
    const at = this.#used + 4 + 8 * slot;
    this.#unpublished++;
    this.#elementView.setUint32(0, head, true);
    this.#elementView.setUint32(4, bytes, true);
    return this.#dma.write(at, this.#element);
  }

  /**
   * Make the elements that were put visible to the driver. True when it wants an interrupt for them, null when the
   * ring is unusable.
   */
  publish(features: RingFeatures): boolean | null {
    if (this.#unpublished === 0) return false;
    const before = this.#usedIndex;
    const after = (before + this.#unpublished) & 0xffff;
    this.#usedIndex = after;
    this.#unpublished = 0;
    if (!this.#dma.writeU16(this.#used + 2, after)) return null;
    if (!features.eventIndex) {
      const flags = this.#dma.readU16(this.#avail);
      return flags === null ? null : (flags & AVAIL_NO_INTERRUPT) === 0;
    }
    const event = this.#dma.readU16(this.#avail + 4 + 2 * this.#size);
    if (event === null) return null;
    // 2.7.10.1: interrupt when the index moved past the one the driver asked for.
    return ((after - event - 1) & 0xffff) < ((after - before) & 0xffff);
  }

  save(): StateRecord {
    const addresses = Object.fromEntries(RING_ADDRESSES.map((field) => [field, this.ringAddress(field)]));
    return {
      size: this.#size,
      enabled: this.#enabled,
      ...addresses,
      availIndex: this.#availIndex,
      usedIndex: this.#usedIndex,
    };
  }

  restore(fields: SavedFields): void {
    this.reset();
    const size = fields.integer('size', 1, QUEUE_SIZE_MAX);
    this.setSize(size);
    if (this.#size !== size) throw fields.wrong('size', 'not a power of two');
    for (const field of RING_ADDRESSES) this.#halves.set(field, fields.integer(field, 0, 0xffff_ffff));
    this.#computeAddresses();
    this.#availIndex = fields.integer('availIndex', 0, 0xffff);
    this.#usedIndex = fields.integer('usedIndex', 0, 0xffff);
    this.#enabled = fields.boolean('enabled');
    fields.finish();
  }

  #setPair(low: RingAddress, high: RingAddress, address: number): void {
    this.#halves.set(low, address >>> 0);
    this.#halves.set(high, Math.floor(address / 2 ** 32));
  }

  #computeAddresses(): void {
    this.#desc = physicalAddress(this.ringAddress('descLow'), this.ringAddress('descHigh'));
    this.#avail = physicalAddress(this.ringAddress('driverLow'), this.ringAddress('driverHigh'));
    this.#used = physicalAddress(this.ringAddress('deviceLow'), this.ringAddress('deviceHigh'));
  }
}
