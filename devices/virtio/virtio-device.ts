/**
 * What all virtio devices have in common, whatever bus they sit on: status, features, queues, interrupt status.
 *
 *   driver -> features, status        -> usable / modern / accepted()
 *   driver -> doorbell -> serve()     -> the device's own code, chain by chain -> used ring
 *   device -> ISR status -> interrupt line, until the driver reads it
 *
 * A guest that breaks the rings (outside RAM, loops, impossible indices) stops its device: DEVICE_NEEDS_RESET, and
 * no more ring access until the driver resets it.
 *
 * Invariants: the interrupt level is a function of ISR status; a driver is modern once it accepted VERSION_1, and
 * only a modern one must set DRIVER_OK before we touch its rings (3.1.2).
 *
 * Source: VIRTIO 1.2, sections 2.1 (status), 2.2 (features), 3.1 (initialization), 4.1.4.5 (ISR status), 6 (reserved
 * feature bits).
 */
import { assert } from '../../emulator/errors.js';
import type { Dma } from '../dma.js';
import type { StateRecord } from '../state.js';
import {
  FEATURE_ANY_LAYOUT,
  FEATURE_EVENT_IDX,
  FEATURE_INDIRECT_DESC,
  FEATURE_VERSION_1,
  ISR_CONFIG,
  ISR_QUEUE,
  STATUS_DRIVER_BITS,
  STATUS_DRIVER_OK,
  STATUS_FEATURES_OK,
  STATUS_NEEDS_RESET,
} from './constants.js';
import type { Chain } from './descriptor-chain.js';
import type { SavedFields } from '../saved-fields.js';
import { Virtqueue, type RingFeatures } from './virtqueue.js';

export interface VirtioDeviceOptions {
  readonly dma: Dma;
  /** The device type's own feature bits; those of the rings are added. */
  readonly features: readonly number[];
  readonly queueCount: number;
  /** Level of the interrupt. */
  readonly interrupt: (level: boolean) => void;
  /** The driver rang a queue's doorbell, and may. */
  readonly doorbell: (queue: number) => void;
  /** The driver took its rings away: nothing that was taken from them may be answered any more. */
  readonly ringsGone?: () => void;
  /** The driver reset the device: configuration the driver may write goes back to its initial value. */
  readonly configReset?: () => void;
}

/** Feature bits as two words of 32. */
type FeatureWords = [low: number, high: number];

const RING_FEATURES = [FEATURE_ANY_LAYOUT, FEATURE_INDIRECT_DESC, FEATURE_EVENT_IDX, FEATURE_VERSION_1];

function featureWords(bits: readonly number[]): FeatureWords {
  const words: FeatureWords = [0, 0];
  for (const bit of bits) words[bit >> 5] = ((words[bit >> 5] ?? 0) | (1 << (bit & 31))) >>> 0;
  return words;
}

export class VirtioDevice {
  readonly #options: VirtioDeviceOptions;
  readonly #queues: readonly Virtqueue[];
  readonly #offered: Readonly<FeatureWords>;
  #driverFeatures: FeatureWords = [0, 0];
  #status = 0;
  #isr = 0;
  #ringFeatures: RingFeatures = { indirect: false, eventIndex: false };

  constructor(options: VirtioDeviceOptions) {
    this.#options = options;
    this.#queues = Array.from({ length: options.queueCount }, () => new Virtqueue(options.dma));
    this.#offered = featureWords([...options.features, ...RING_FEATURES]);
  }

  get queueCount(): number {
    return this.#queues.length;
  }
  get status(): number {
    return this.#status;
  }
  get isr(): number {
    return this.#isr;
  }
  /** The driver accepted VERSION_1. */
  get modern(): boolean {
    return this.accepted(FEATURE_VERSION_1);
  }
  /** Whether the rings may be used now. */
  get usable(): boolean {
    if ((this.#status & STATUS_NEEDS_RESET) !== 0) return false;
    return (this.#status & STATUS_DRIVER_OK) !== 0 || !this.modern;
  }

  /** The queue, or undefined when the device has no such one (the index may be the guest's). */
  queueAt(index: number): Virtqueue | undefined {
    return this.#queues[index];
  }

  /** One word of the features on offer. ANY_LAYOUT exists for legacy drivers only, VERSION_1 for modern ones. */
  offeredFeatures(word: number, legacy: boolean): number {
    const bits = this.#offered[word] ?? 0;
    return word === 0 && !legacy ? (bits & ~(1 << FEATURE_ANY_LAYOUT)) >>> 0 : bits;
  }

  driverFeatures(word: number): number {
    return this.#driverFeatures[word] ?? 0;
  }

  /** The driver accepts one word of features. Frozen once FEATURES_OK stands (2.2.1). */
  setDriverFeatures(word: number, bits: number): void {
    if (word > 1 || (this.#status & STATUS_FEATURES_OK) !== 0) return;
    this.#driverFeatures[word] = bits >>> 0;
    this.#computeRingFeatures();
  }

  /** Whether the driver accepted a feature that was on offer. */
  accepted(bit: number): boolean {
    const word = bit >> 5;
    return ((this.#driverFeatures[word] ?? 0) & (this.#offered[word] ?? 0) & (1 << (bit & 31))) !== 0;
  }

  /** Driver write of the status register; 0 resets the device (2.1.1, 4.1.4.3.1). */
  writeStatus(value: number): void {
    if (value === 0) {
      this.reset();
      this.#options.interrupt(false);
      this.#options.ringsGone?.();
      this.#options.configReset?.();
      return;
    }
    let status = (value & STATUS_DRIVER_BITS) | (this.#status & STATUS_NEEDS_RESET);
    // 2.2.2: FEATURES_OK does not stick when the driver accepted what was not offered.
    if ((this.#status & STATUS_FEATURES_OK) === 0 && !this.#featuresAcceptable()) status &= ~STATUS_FEATURES_OK;
    this.#status = status;
  }

  /** Driver read of ISR status: clears it and lowers the interrupt. */
  takeIsr(): number {
    const isr = this.#isr;
    this.#isr = 0;
    if (isr !== 0) this.#options.interrupt(false);
    return isr;
  }

  /** Legacy driver write of a queue's address register. */
  setLegacyPage(queue: number, page: number): void {
    if (queue >= this.#queues.length) return;
    this.#options.ringsGone?.();
    this.#queue(queue).setLegacyPage(page);
  }

  ringDoorbell(queue: number): void {
    if (queue < this.#queues.length && this.usable) this.#options.doorbell(queue);
  }

  /**
   * Take the chains that the driver has made available, as long as `room` says so, and publish what `handle` put.
   * `handle` returns false when the chain is malformed.
   */
  serve(index: number, handle: (chain: Chain) => boolean, room: () => boolean = () => true): void {
    const queue = this.#queue(index);
    if (!queue.enabled || !this.usable) return;
    // Read once: the vcpu stands still, and a ring that our own writes hit must not keep us here.
    const available = this.available(index);
    let broken = available === null;
    for (let left = available ?? 0; left > 0 && !broken && room(); left--) {
      const chain = this.take(index);
      broken = chain === null || !handle(chain);
    }
    if (!broken && this.#ringFeatures.eventIndex) broken = !queue.requestDoorbell();
    this.publish(index);
    if (broken) this.fail();
  }

  /** Number of chains the driver offers in a queue and that were not taken; null: the ring is unusable. */
  available(index: number): number | null {
    return this.#queue(index).available();
  }

  /** Take the next chain; available() must have promised one. Null: ring or chain are malformed. */
  take(index: number): Chain | null {
    return this.#queue(index).take(this.#ringFeatures);
  }

  /** Give back the last `count` chains taken. */
  untake(index: number, count: number): void {
    this.#queue(index).untake(count);
  }

  /** Fill the next used element, to be published. False: the ring is unusable. */
  put(index: number, head: number, bytes: number): boolean {
    return this.#queue(index).put(head, bytes);
  }

  /** Make what was put into a queue visible to the driver and interrupt it if it wants that. */
  publish(index: number): void {
    const wanted = this.#queue(index).publish(this.#ringFeatures);
    if (wanted === null) this.fail();
    if (wanted === true) this.#raise(ISR_QUEUE);
  }

  /** The guest broke its rings: stop until it resets the device (2.1.2). */
  fail(): void {
    if ((this.#status & STATUS_NEEDS_RESET) !== 0) return;
    const announce = this.modern && (this.#status & STATUS_DRIVER_OK) !== 0;
    this.#status |= STATUS_NEEDS_RESET;
    if (announce) this.#raise(ISR_CONFIG);
  }

  /** Power-on state. Moves no line: the board resets the interrupt controller too. */
  reset(): void {
    for (const queue of this.#queues) queue.reset();
    this.#driverFeatures = [0, 0];
    this.#computeRingFeatures();
    this.#status = 0;
    this.#isr = 0;
  }

  save(): StateRecord {
    return {
      status: this.#status,
      isr: this.#isr,
      driverFeaturesLow: this.#driverFeatures[0],
      driverFeaturesHigh: this.#driverFeatures[1],
      queues: this.#queues.map((queue) => queue.save()),
    };
  }

  /** @throws DecodeError; moves no line. */
  restore(fields: SavedFields): void {
    this.#status = fields.integer('status', 0, 0xff);
    this.#isr = fields.integer('isr', 0, ISR_QUEUE | ISR_CONFIG);
    this.#driverFeatures = [
      fields.integer('driverFeaturesLow', 0, 0xffff_ffff),
      fields.integer('driverFeaturesHigh', 0, 0xffff_ffff),
    ];
    this.#computeRingFeatures();
    const saved = fields.list('queues', this.#queues.length);
    if (saved.length !== this.#queues.length) throw fields.wrong('queues', `not ${this.#queues.length} queues`);
    saved.forEach((item, index) => this.#queues[index]?.restore(item));
    fields.finish();
  }

  /** One of the device's own queues. */
  #queue(index: number): Virtqueue {
    const queue = this.#queues[index];
    assert(queue !== undefined, () => `virtio device without queue ${index}`);
    return queue;
  }

  #raise(cause: number): void {
    this.#isr |= cause;
    this.#options.interrupt(true);
  }

  #featuresAcceptable(): boolean {
    return [0, 1].every((word) => (this.driverFeatures(word) & ~this.offeredFeatures(word, !this.modern)) === 0);
  }

  #computeRingFeatures(): void {
    this.#ringFeatures = {
      indirect: this.accepted(FEATURE_INDIRECT_DESC),
      eventIndex: this.accepted(FEATURE_EVENT_IDX),
    };
  }
}
