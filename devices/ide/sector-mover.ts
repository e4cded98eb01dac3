/**
 * Moves the sectors of one ATA command between the host and the machine's drive.
 *
 *   idle ──read──────► busy (BSY) ──answer──► data-in (DRQ) ──last word──► idle, or busy for the next chunk
 *    ├───write───────► data-out (DRQ) ──last word──► busy ──answer──► idle, or data-out again
 *    ├───DMA─────────► dma (DRQ) ──bus master ready──► busy ──answer──► idle, or dma again
 *    └───flush───────► busy ──answer──► idle
 *   any ──reset──► reset (BSY) ──released, and nothing on its way──► idle
 *
 * A command moves in chunks of at most 1 MiB, one disk request each, one at a time. Data of a PIO write is collected,
 * and data of a DMA write gathered, before its request leaves; data of a read arrives with its completion. A reset
 * cannot call a request back, so the drive stays busy until it has been answered: nothing after the reset overtakes
 * a write before it.
 *
 * Invariants: at most one disk request is pending, and only while busy or in reset; the phases are as in the table of
 * sector-mover-state.ts.
 * Source: ATA/ATAPI-6 (T13 1410D), sections 9.4 to 9.8 (protocols).
 */
import { assert } from '../../emulator/errors.js';
import type { DiskCompletion, DiskRequest, Environment } from '../environment.js';
import type { StateRecord } from '../state.js';
import { DiskRequestQueue, SECTOR_BYTES, type DiskOperation } from '../virtio/disk-request-queue.js';
import { ERROR_ABRT, ERROR_UNC, STATUS_BSY, STATUS_DRQ } from './ata-registers.js';
import type { BusMaster } from './bus-master.js';
import { DataPort } from './data-port.js';
import { chunkBytes, portDirection, type Phase, type SectorMoverState, type Transfer } from './sector-mover-state.js';

export interface SectorMoverOptions {
  readonly environment: Pick<Environment, 'emit'>;
  readonly busMaster: BusMaster;
  /** Index of the drive, as in DiskRequest. */
  readonly drive: number;
  /** Whether writes may end before they have been flushed. */
  readonly writeCache: () => boolean;
  /** A block that the host should be interrupted for is ready. */
  readonly blockReady: () => void;
  /** The command ended. `transfer` is how far it got, or null; `quiet`: without an interrupt. */
  readonly ended: (error: number, transfer: Transfer | null, quiet: boolean) => void;
  readonly resetEnded: () => void;
}

const NO_DATA = new Uint8Array(0);
const NO_REPLY = { head: 0, segments: [], bytes: 0 };
const FLUSH: DiskOperation = { op: 'flush', sector: 0, bytes: 0, data: NO_DATA };

export class SectorMover {
  readonly port = new DataPort((last) => this.#blockDone(last));
  readonly #options: SectorMoverOptions;
  #requests: DiskRequestQueue;
  #phase: Phase = 'idle';
  #transfer: Transfer | null = null;
  /** Kept in reset from outside. */
  #held = false;

  constructor(options: SectorMoverOptions) {
    this.#options = options;
    this.#requests = new DiskRequestQueue(options.drive);
  }

  get busy(): boolean {
    return this.#phase === 'busy' || this.#phase === 'reset';
  }
  /** BSY and DRQ of the status register. */
  get status(): number {
    if (this.busy) return STATUS_BSY;
    return this.#phase === 'idle' ? 0 : STATUS_DRQ;
  }

  /** Begin a transfer that lies wholly inside the drive. Call only while idle. */
  begin(transfer: Transfer): void {
    this.#transfer = transfer;
    this.#nextChunk();
  }

  /** Write back what the drive caches. Call only while idle. */
  flush(): void {
    this.#submit(FLUSH);
  }

  /** Let the host read one block that comes from no sector. Call only while idle. */
  offer(data: Uint8Array): void {
    this.#phase = 'data-in';
    this.port.offer(data, data.length);
    this.#options.blockReady();
  }

  /** Give up a data phase. Call only while not busy. */
  abandon(): void {
    this.port.close();
    this.#transfer = null;
    this.#phase = 'idle';
  }

  holdReset(): void {
    this.abandon();
    this.#held = true;
    this.#phase = 'reset';
    this.#requests.orphanAll();
  }

  releaseReset(): void {
    this.#held = false;
    if (this.#requests.count === 0) this.#endReset();
  }

  /** Let DMA data move, if both sides are ready. */
  serveDma(): void {
    if (this.#phase !== 'dma' || !this.#options.busMaster.ready) return;
    const { kind, sector, left } = this.#transfer!;
    const bytes = chunkBytes(left);
    if (kind === 'dma-in') {
      this.#submit({ op: 'read', sector, bytes, data: NO_DATA });
      return;
    }
    const data = this.#options.busMaster.fromMemory(bytes);
    if (data !== null) this.#submit({ op: 'write', sector, bytes, data });
  }

  pendingRequests(): DiskRequest[] {
    return this.#requests.inFlight();
  }

  /** @throws InvariantError when no such request is in flight or a read's data has another length. */
  complete({ drive, tag, status, data }: DiskCompletion): void {
    const pending = this.#requests.find(tag);
    assert(pending !== undefined, `drive ${drive}: no request with tag ${tag} is in flight`);
    const { request } = pending;
    const expected = request.op === 'read' && status === 'ok' ? request.bytes : 0;
    assert(data.length === expected, `drive ${drive} tag ${tag}: ${data.length} bytes of data instead of ${expected}`);
    this.#requests.remove(tag);
    if (this.#phase === 'busy') this.#answered(request, status === 'ok', data);
    else if (!this.#held) this.#endReset();
  }

  reset(): void {
    this.abandon();
    this.#held = false;
    this.#requests.reset();
  }

  save(): StateRecord {
    return {
      requests: this.#requests.save(),
      phase: this.#phase,
      transfer: this.#transfer === null ? [] : [{ ...this.#transfer }],
      port: this.port.save(),
    };
  }

  /** Take over state that checkSectorMover() passed. */
  take(state: SectorMoverState): void {
    this.#requests = state.requests;
    this.#phase = state.phase;
    this.#transfer = state.transfer;
    this.#held = state.held;
    const blockBytes = state.transfer === null ? SECTOR_BYTES : state.transfer.blockSectors * SECTOR_BYTES;
    this.port.take(state.port, portDirection(state.phase), blockBytes);
  }

  #nextChunk(): void {
    const { kind, sector, left, blockSectors } = this.#transfer!;
    switch (kind) {
      case 'pio-in':
      case 'verify':
        this.#submit({ op: 'read', sector, bytes: chunkBytes(left), data: NO_DATA });
        break;
      case 'pio-out':
        this.#phase = 'data-out';
        this.port.want(chunkBytes(left), blockSectors * SECTOR_BYTES);
        break;
      case 'dma-in':
      case 'dma-out':
        this.#phase = 'dma';
        this.serveDma();
        break;
    }
  }

  #submit(operation: DiskOperation): void {
    this.#phase = 'busy';
    const { request, inFlight } = this.#requests.add(operation, NO_REPLY);
    assert(inFlight, `drive ${request.drive} has a request on its way already`);
    this.#options.environment.emit({ kind: 'disk', request });
  }

  #answered(request: DiskRequest, ok: boolean, data: Uint8Array): void {
    const transfer = this.#transfer;
    if (!ok) {
      this.#end(request.op === 'read' ? ERROR_UNC : ERROR_ABRT);
    } else if (transfer === null || request.op === 'flush') {
      this.#end(0);
    } else if (transfer.kind === 'dma-in' && !this.#landed(data)) {
      // Stopped, or the table ended: the drive goes on offering what nobody took.
      this.#phase = 'dma';
    } else {
      const moved = request.bytes / SECTOR_BYTES;
      this.#transfer = { ...transfer, sector: transfer.sector + moved, left: transfer.left - moved };
      this.#chunkMoved(this.#transfer, data);
    }
  }

  #landed(data: Uint8Array): boolean {
    return this.#options.busMaster.ready && this.#options.busMaster.toMemory(data);
  }

  #chunkMoved({ kind, left, blockSectors }: Transfer, data: Uint8Array): void {
    if (kind === 'pio-in') {
      this.#phase = 'data-in';
      // A copy: Buffer.slice() would be a view of memory that its owner uses again.
      this.port.offer(new Uint8Array(data), blockSectors * SECTOR_BYTES);
      this.#options.blockReady();
    } else if (left > 0) {
      this.#nextChunk();
      if (kind === 'pio-out') this.#options.blockReady();
    } else if ((kind === 'pio-out' || kind === 'dma-out') && !this.#options.writeCache()) {
      this.flush();
    } else {
      this.#end(0);
    }
  }

  #blockDone(last: boolean): void {
    if (!last) {
      this.#options.blockReady();
    } else if (this.#phase === 'data-out') {
      const { data } = this.port;
      this.port.close();
      this.#submit({ op: 'write', sector: this.#transfer!.sector, bytes: data.length, data });
    } else if (this.#transfer !== null && this.#transfer.left > 0) {
      this.port.close();
      this.#nextChunk();
    } else {
      // The host knows that it has read all: the last block ends without an interrupt (9.5).
      this.#end(0, true);
    }
  }

  #end(error: number, quiet = false): void {
    const transfer = this.#transfer;
    this.abandon();
    this.#options.ended(error, transfer, quiet);
  }

  #endReset(): void {
    this.#phase = 'idle';
    this.#options.resetEnded();
  }
}
