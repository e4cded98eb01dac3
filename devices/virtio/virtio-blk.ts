/**
 * virtio block device: one request queue in front of one drive of the machine.
 *
 *   doorbell -> chain -> { type, sector, data } -> DiskRequestQueue -> Environment.emit (same icount)
 *   log entry -> complete() -> data and status byte into guest buffers -> used ring -> interrupt
 *
 *   request    0 type u32 | 4 reserved u32 | 8 sector u64 | 16 data ...      device-readable
 *   reply      data of a read ... | status u8 (last byte)                    device-writable
 *
 * Data of a write is copied at the doorbell, data of a read lands when its completion applies. At most 256 requests
 * and about 8 MiB are pending, orphans included; further requests stay in the guest's ring until one completes.
 * When the driver does not use FLUSH, each write is followed by a flush of ours before the guest hears of it: the
 * guest then takes every completed write for durable.
 *
 * Source: VIRTIO 1.2, sections 5.2.3 to 5.2.6.
 */
import { assert } from '../../emulator/errors.js';
import type { DeviceModel, IrqLine } from '../device.js';
import type { Dma } from '../dma.js';
import type { DiskCompletion, DiskRequest, Environment } from '../environment.js';
import type { PciFunction } from '../pci-device.js';
import type { StateRecord } from '../state.js';
import { QUEUE_SIZE_MAX } from './constants.js';
import { gather, gatherInto, scatter, type Chain } from './descriptor-chain.js';
import {
  DiskRequestQueue,
  SECTOR_BYTES,
  type DiskOperation,
  type PendingRequest,
  type ReplyTo,
} from './disk-request-queue.js';
import { SavedFields } from '../saved-fields.js';
import type { VirtioDevice } from './virtio-device.js';
import { VirtioPci } from './virtio-pci.js';

export interface VirtioBlkOptions {
  readonly environment: Environment;
  readonly dma: Dma;
  readonly irq: IrqLine;
  /** Index of the drive, as in DiskRequest. */
  readonly drive: number;
  /** Size of the drive in sectors of 512 bytes. */
  readonly capacitySectors: number;
  readonly readOnly?: boolean;
  /** Answer to GET_ID, at most 20 ASCII characters. */
  readonly serial?: string;
}

/** Transfers of more bytes than this fail with an I/O error. */
const REQUEST_BYTES_MAX = 4 * 1024 * 1024;
/** No further request is taken from the ring while this many bytes are pending. */
const PENDING_BYTES_MAX = 8 * 1024 * 1024;
const PENDING_COUNT_MAX = QUEUE_SIZE_MAX;

/** Feature bits (5.2.3). */
const BLK_F_SIZE_MAX = 1;
const BLK_F_SEG_MAX = 2;
const BLK_F_RO = 5;
const BLK_F_BLK_SIZE = 6;
const BLK_F_FLUSH = 9;

/** Request types and status bytes (5.2.6). */
const TYPE_IN = 0;
const TYPE_OUT = 1;
const TYPE_FLUSH = 4;
const TYPE_GET_ID = 8;
const STATUS_OK = 0;
const STATUS_IOERR = 1;
const STATUS_UNSUPP = 2;

const HEADER_BYTES = 16;
const ID_BYTES = 20;
const NO_DATA = new Uint8Array(0);

/**
 * Device configuration (5.2.4): 0 capacity u64 | 8 size_max u32 | 12 seg_max u32 | 20 blk_size u32. The rest (geometry,
 * topology and what later versions added) is zero, as no feature announces it. A request of seg_max buffers of
 * size_max bytes stays below REQUEST_BYTES_MAX, and with header and status it fits the queue.
 */
const CONFIG_BYTES = 64;
const SEGMENT_BYTES_MAX = 32 * 1024;
const SEGMENT_COUNT_MAX = 126;

function configSpace(capacitySectors: number): Uint8Array {
  const config = new Uint8Array(CONFIG_BYTES);
  const view = new DataView(config.buffer);
  view.setUint32(0, capacitySectors >>> 0, true);
  view.setUint32(4, Math.floor(capacitySectors / 2 ** 32), true);
  view.setUint32(8, SEGMENT_BYTES_MAX, true);
  view.setUint32(12, SEGMENT_COUNT_MAX, true);
  view.setUint32(20, SECTOR_BYTES, true);
  return config;
}

export class VirtioBlk implements DeviceModel {
  readonly pci: PciFunction;
  readonly #options: VirtioBlkOptions;
  readonly #transport: VirtioPci;
  readonly #virtio: VirtioDevice;
  readonly #requests: DiskRequestQueue;
  readonly #id = new Uint8Array(ID_BYTES);
  /** Header of the request that is looked at. */
  readonly #header = new Uint8Array(HEADER_BYTES);
  readonly #headerView = new DataView(this.#header.buffer);

  constructor(options: VirtioBlkOptions) {
    assert(options.capacitySectors <= Number.MAX_SAFE_INTEGER / SECTOR_BYTES, 'drive too large');
    this.#options = options;
    this.#requests = new DiskRequestQueue(options.drive);
    this.#id.set(new TextEncoder().encode(options.serial ?? '').subarray(0, ID_BYTES));
    this.#transport = new VirtioPci({
      pciDeviceId: 0x1001,
      deviceType: 2,
      classCode: 0x010000,
      features: [BLK_F_SIZE_MAX, BLK_F_SEG_MAX, BLK_F_BLK_SIZE, BLK_F_FLUSH, ...(options.readOnly ? [BLK_F_RO] : [])],
      queueCount: 1,
      config: { bytes: configSpace(options.capacitySectors) },
      dma: options.dma,
      irq: options.irq,
      doorbell: () => this.#serve(),
      ringsGone: () => this.#requests.orphanAll(),
    });
    this.pci = this.#transport.pci;
    this.#virtio = this.#transport.device;
  }

  /** Requests emitted and not completed, in tag order; a replica that goes live issues them again. */
  pendingRequests(): DiskRequest[] {
    return this.#requests.inFlight();
  }

  pendingRequest(_drive: number, tag: number): DiskRequest | undefined {
    return this.#requests.find(tag)?.request;
  }

  /**
   * Apply the answer to a pending request. An orphan's answer changes nothing the guest sees.
   * @throws InvariantError when no such request is in flight or a read's data has another length.
   */
  complete(completion: DiskCompletion): void {
    const pending = this.#requests.find(completion.tag);
    assert(
      pending !== undefined,
      () => `drive ${completion.drive}: no request with tag ${completion.tag} is in flight`,
    );
    const { request } = pending;
    const expected = request.op === 'read' && completion.status === 'ok' ? request.bytes : 0;
    assert(
      completion.data.length === expected,
      () => `drive ${request.drive} tag ${request.tag}: ${completion.data.length} bytes of data instead of ${expected}`,
    );
    this.#requests.remove(completion.tag);
    if (!pending.orphan && this.#virtio.usable) this.#finish(pending, completion);
    for (const ready of this.#requests.startReady()) this.#emit(ready);
    // Chains that had to stay in the ring may now have room; this also publishes what #finish put.
    this.#serve();
  }

  reset(): void {
    this.#requests.reset();
    this.#transport.reset();
  }

  save(): StateRecord {
    return { transport: this.#transport.save(), disk: this.#requests.save() };
  }

  restore(state: StateRecord): void {
    const fields = new SavedFields(state, 'virtio-blk');
    const transport = fields.record('transport');
    const disk = fields.record('disk');
    fields.finish();
    this.#requests.restore(disk, this.#options.capacitySectors);
    this.#transport.restore(transport);
  }

  #serve(): void {
    this.#virtio.serve(
      0,
      (chain) => this.#start(chain),
      () => this.#requests.count < PENDING_COUNT_MAX && this.#requests.bytes < PENDING_BYTES_MAX,
    );
  }

  /** Begin one request. False when it is malformed beyond a status byte. */
  #start(chain: Chain): boolean {
    if (chain.readableBytes < HEADER_BYTES || chain.writableBytes < 1) return false;
    if (!gatherInto(this.#options.dma, chain.readable, 0, this.#header)) return false;
    const view = this.#headerView;
    const type = view.getUint32(0, true);
    // Sectors from 2^53 on lose precision here, which is far outside any drive anyway.
    const sector = view.getUint32(8, true) + view.getUint32(12, true) * 2 ** 32;
    const replyTo: ReplyTo = { head: chain.head, segments: chain.writable, bytes: chain.writableBytes };
    switch (type) {
      case TYPE_IN:
        return this.#transfer({ op: 'read', sector, bytes: chain.writableBytes - 1, data: NO_DATA }, replyTo);
      case TYPE_OUT:
        return this.#startWrite(chain, sector, replyTo);
      case TYPE_FLUSH:
        this.#submit({ op: 'flush', sector: 0, bytes: 0, data: NO_DATA }, replyTo);
        return true;
      case TYPE_GET_ID:
        return this.#reply(replyTo, STATUS_OK, this.#id.subarray(0, Math.min(ID_BYTES, replyTo.bytes - 1)));
      default:
        return this.#reply(replyTo, STATUS_UNSUPP, NO_DATA);
    }
  }

  #startWrite(chain: Chain, sector: number, replyTo: ReplyTo): boolean {
    const bytes = chain.readableBytes - HEADER_BYTES;
    if (this.#options.readOnly || !this.#transferable(sector, bytes))
      return this.#reply(replyTo, STATUS_IOERR, NO_DATA);
    const data = gather(this.#options.dma, chain.readable, HEADER_BYTES, bytes);
    return data !== null && this.#transfer({ op: 'write', sector, bytes, data }, replyTo);
  }

  #transfer(operation: DiskOperation, replyTo: ReplyTo): boolean {
    if (!this.#transferable(operation.sector, operation.bytes)) return this.#reply(replyTo, STATUS_IOERR, NO_DATA);
    if (operation.bytes === 0) return this.#reply(replyTo, STATUS_OK, NO_DATA);
    this.#submit(operation, replyTo);
    return true;
  }

  /** Whether a transfer is whole sectors, inside the drive and not too large. */
  #transferable(sector: number, bytes: number): boolean {
    if (bytes % SECTOR_BYTES !== 0 || bytes > REQUEST_BYTES_MAX) return false;
    return sector + bytes / SECTOR_BYTES <= this.#options.capacitySectors;
  }

  #submit(operation: DiskOperation, replyTo: ReplyTo): void {
    const pending = this.#requests.add(operation, replyTo);
    if (pending.inFlight) this.#emit(pending);
  }

  #emit(pending: PendingRequest): void {
    this.#options.environment.emit({ kind: 'disk', request: pending.request });
  }

  #finish(pending: PendingRequest, completion: DiskCompletion): void {
    const { request, replyTo } = pending;
    if (completion.status === 'ok' && request.op === 'write' && !this.#virtio.accepted(BLK_F_FLUSH)) {
      this.#submit({ op: 'flush', sector: 0, bytes: 0, data: NO_DATA }, replyTo);
      return;
    }
    const status = completion.status === 'ok' ? STATUS_OK : STATUS_IOERR;
    if (!this.#reply(replyTo, status, completion.data)) this.#virtio.fail();
  }

  /** Write data and status byte and put the chain into the used ring. False when that is not all RAM. */
  #reply(replyTo: ReplyTo, status: number, data: Uint8Array): boolean {
    const { dma } = this.#options;
    const statusAt = replyTo.bytes - 1;
    if (!scatter(dma, replyTo.segments, 0, data)) return false;
    if (!scatter(dma, replyTo.segments, statusAt, Uint8Array.of(status))) return false;
    // 2.7.8.2: only bytes written without a gap from the start count.
    const written = data.length === statusAt ? data.length + 1 : data.length;
    return this.#virtio.put(0, replyTo.head, written);
  }
}
