/**
 * A drive in memory: what it holds is gone with the process. For simulations, tests and throw-away runs.
 * Requests finish in the order of submission.
 */
import { assert } from '../../emulator/errors.js';
import type { DiskCompletion, DiskRequest } from '../../devices/environment.js';
import { SECTOR_BYTES, type DiskBackend } from './backend.js';
import { assertRequest, RequestOrder } from './request-order.js';

const EMPTY = new Uint8Array(0);

export class MemoryDisk implements DiskBackend {
  readonly sectors: number;
  readonly readonly: boolean;
  /** The drive's content; whole sectors. Owned by the caller, who may look at it between requests. */
  readonly content: Uint8Array;
  readonly #order = new RequestOrder();
  #closed = false;

  constructor(content: Uint8Array, readonly = false) {
    assert(content.length > 0 && content.length % SECTOR_BYTES === 0, 'a disk holds whole sectors');
    this.content = content;
    this.readonly = readonly;
    this.sectors = content.length / SECTOR_BYTES;
  }

  submit(request: DiskRequest, done: (completion: DiskCompletion) => void): void {
    assert(!this.#closed, 'a request comes before the disk is closed');
    assertRequest(request);
    this.#order.run(request, async () => {
      done({ drive: request.drive, tag: request.tag, ...this.#perform(request) });
      await Promise.resolve();
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#order.idle();
  }

  #perform(request: DiskRequest): Pick<DiskCompletion, 'status' | 'data'> {
    const start = request.sector * SECTOR_BYTES;
    const fits = start + request.bytes <= this.content.length;
    if (!fits || (request.op === 'write' && this.readonly)) return { status: 'error', data: EMPTY };
    if (request.op === 'write') this.content.set(request.data, start);
    return { status: 'ok', data: request.op === 'read' ? this.content.slice(start, start + request.bytes) : EMPTY };
  }
}
