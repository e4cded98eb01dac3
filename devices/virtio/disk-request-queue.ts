/**
 * The requests of one drive between the guest's doorbell and their completion, in the order of their tags.
 *
 *   add() -> waiting --startReady()--> in flight -> remove()
 *      \______ no conflict ______________/
 *
 * Two replicas must see the same disk contents, so requests that race are never in flight together: a request waits
 * for each earlier one that overlaps it when either of the two writes, and a flush waits for every earlier write.
 * All else may complete in any order (that order is in the log).
 *
 * Invariants: tags rise and are never used twice; no two requests in flight conflict; an orphan (the guest reset the
 * device meanwhile) keeps its place until it completes, because its write may still reach the disk.
 *
 * Source: Scales et al., "The Design of a Practical System for Fault-Tolerant Virtual Machines" (2010), section 3.4
 * (racing disk I/O); VIRTIO 1.2, section 5.2.6.2 (what a flush covers).
 */
import { assert } from '../../emulator/errors.js';
import type { DiskRequest } from '../environment.js';
import type { StateRecord } from '../state.js';
import type { Segment } from './descriptor-chain.js';
import type { SavedFields } from '../saved-fields.js';

export const SECTOR_BYTES = 512;
/** A chain has at most this many buffers: a queue's own descriptors and one indirect table. */
const SEGMENTS_MAX = 512;
const REQUESTS_MAX = 256;
const OPS = ['read', 'write', 'flush'] as const;

/** What the guest asked for; becomes a DiskRequest. */
export type DiskOperation = Omit<DiskRequest, 'drive' | 'tag'>;

/** Where the answer goes in guest memory. */
export interface ReplyTo {
  /** First descriptor of the chain. */
  readonly head: number;
  /** The device-writable buffers: data of a read, then one status byte. */
  readonly segments: readonly Segment[];
  readonly bytes: number;
}

export interface PendingRequest {
  readonly request: DiskRequest;
  readonly replyTo: ReplyTo;
  inFlight: boolean;
  orphan: boolean;
}

/** Whether `later` may not be in flight together with `earlier`. */
function conflicts(earlier: DiskRequest, later: DiskRequest): boolean {
  if (later.op === 'flush') return earlier.op === 'write';
  if (earlier.op === 'flush' || (earlier.op === 'read' && later.op === 'read')) return false;
  const earlierEnd = earlier.sector + earlier.bytes / SECTOR_BYTES;
  const laterEnd = later.sector + later.bytes / SECTOR_BYTES;
  return earlier.sector < laterEnd && later.sector < earlierEnd;
}

export class DiskRequestQueue {
  readonly #drive: number;
  #pending: PendingRequest[] = [];
  #nextTag = 0;
  #waitingCount = 0;

  constructor(drive: number) {
    this.#drive = drive;
  }

  /** Requests that are pending, orphans included. */
  get count(): number {
    return this.#pending.length;
  }
  /** The bytes that they transfer. */
  get bytes(): number {
    return this.#pending.reduce((sum, pending) => sum + pending.request.bytes, 0);
  }

  reset(): void {
    this.#pending = [];
    this.#nextTag = 0;
    this.#waitingCount = 0;
  }

  /** Admit an operation under the next tag. The caller emits it when `inFlight` is set. */
  add(operation: DiskOperation, replyTo: ReplyTo): PendingRequest {
    assert(this.#pending.length < REQUESTS_MAX, 'more pending disk requests than the device may take');
    const request: DiskRequest = {
      drive: this.#drive,
      tag: this.#nextTag++,
      op: operation.op,
      sector: operation.sector,
      bytes: operation.bytes,
      data: operation.data,
    };
    const blocked = this.#pending.some((earlier) => conflicts(earlier.request, request));
    const pending: PendingRequest = { request, replyTo, inFlight: !blocked, orphan: false };
    this.#pending.push(pending);
    if (blocked) this.#waitingCount++;
    return pending;
  }

  /** Take out the request in flight with this tag; undefined when there is none. */
  remove(tag: number): PendingRequest | undefined {
    const index = this.#pending.findIndex((pending) => pending.inFlight && pending.request.tag === tag);
    // Mostly it is the first, which is cheaper to take than to cut out.
    return index === 0 ? this.#pending.shift() : index < 0 ? undefined : this.#pending.splice(index, 1)[0];
  }

  /** The request in flight with this tag. */
  find(tag: number): PendingRequest | undefined {
    return this.#pending.find((pending) => pending.inFlight && pending.request.tag === tag);
  }

  /** Mark as in flight, and return in tag order, the waiting requests that nothing blocks any more. */
  startReady(): PendingRequest[] {
    if (this.#waitingCount === 0) return [];
    const ready = this.#pending.filter(
      (pending, index) =>
        !pending.inFlight &&
        !this.#pending.slice(0, index).some((earlier) => conflicts(earlier.request, pending.request)),
    );
    for (const pending of ready) pending.inFlight = true;
    this.#waitingCount -= ready.length;
    return ready;
  }

  /** The guest forgot its requests: drop those that wait, and keep those in flight as orphans. */
  orphanAll(): void {
    this.#pending = this.#pending.filter((pending) => pending.inFlight);
    for (const pending of this.#pending) pending.orphan = true;
    this.#waitingCount = 0;
  }

  /** Requests emitted and not completed, in tag order: what a replica that goes live re-issues. */
  inFlight(): DiskRequest[] {
    return this.#pending.filter((pending) => pending.inFlight).map((pending) => pending.request);
  }

  save(): StateRecord {
    const requests = this.#pending.map(({ request, replyTo, inFlight, orphan }) => ({
      tag: request.tag,
      op: request.op,
      sector: request.sector,
      bytes: request.bytes,
      data: new Uint8Array(request.data),
      head: replyTo.head,
      replyAddresses: replyTo.segments.map((segment) => segment.address),
      replyLengths: replyTo.segments.map((segment) => segment.bytes),
      inFlight,
      orphan,
    }));
    return { nextTag: this.#nextTag, requests };
  }

  /** `sectorCount`: capacity of the drive. @throws DecodeError */
  restore(fields: SavedFields, sectorCount: number): void {
    const nextTag = fields.integer('nextTag', 0, Number.MAX_SAFE_INTEGER);
    const pending: PendingRequest[] = [];
    let tagMin = 0;
    for (const item of fields.list('requests', REQUESTS_MAX)) {
      const restored = this.#restoreRequest(item, tagMin, nextTag - 1, sectorCount);
      pending.push(restored);
      tagMin = restored.request.tag + 1;
    }
    fields.finish();
    this.#pending = pending;
    this.#nextTag = nextTag;
    this.#waitingCount = pending.filter((item) => !item.inFlight).length;
  }

  #restoreRequest(fields: SavedFields, tagMin: number, tagMax: number, sectorCount: number): PendingRequest {
    const tag = fields.integer('tag', tagMin, tagMax);
    const op = fields.word('op', OPS);
    const sector = fields.integer('sector', 0, sectorCount);
    const bytes = fields.integer('bytes', 0, (sectorCount - sector) * SECTOR_BYTES);
    const data = fields.bytes('data', op === 'write' ? bytes : 0);
    const addresses = fields.integers('replyAddresses', SEGMENTS_MAX);
    const lengths = fields.integers('replyLengths', SEGMENTS_MAX);
    if (addresses.length !== lengths.length) throw fields.wrong('replyLengths', 'not as many as replyAddresses');
    const segments = addresses.map((address, index) => ({ address, bytes: lengths[index] ?? 0 }));
    const replyTo = {
      head: fields.integer('head', 0, 0xffff),
      segments,
      bytes: lengths.reduce((sum, length) => sum + length, 0),
    };
    const pending = {
      request: { drive: this.#drive, tag, op, sector, bytes, data },
      replyTo,
      inFlight: fields.boolean('inFlight'),
      orphan: fields.boolean('orphan'),
    };
    fields.finish();
    return pending;
  }
}
