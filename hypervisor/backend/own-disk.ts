/**
 * A replica's own copy of a disk that is not shared: blocks of it are read and written beside the guest's requests, and
 * while a backup joins it notes which blocks the guest writes.
 *
 *   submit(write) -> under way -> done: written        takeWritten(): written or under way
 *
 * Invariants: while it tracks, a block that is written after it was taken is taken again; a block whose write is still
 * under way when it is taken stays written. Requests of both kinds keep the order of the disk beneath where they overlap.
 * Source: Scales et al. 2010, section 4.1.
 */
import type { DiskCompletion, DiskRequest } from '../../devices/environment.js';
import { assert } from '../../emulator/errors.js';
import { SECTOR_BYTES, type DiskBackend } from './backend.js';
import { internalRequest } from './internal-request.js';

/** Unit of comparing and copying; the last block of a disk may be shorter. */
export const BLOCK_BYTES = 64 << 10;
const BLOCK_SECTORS = BLOCK_BYTES / SECTOR_BYTES;
const NO_DATA = new Uint8Array(0);

export class OwnDisk implements DiskBackend {
  readonly sectors: number;
  readonly blocks: number;
  readonly #disk: DiskBackend;
  readonly #drive: number;
  readonly #underWay = new Set<DiskRequest>();
  /** One flag for each block; null: nobody wants to know. */
  #written: Uint8Array | null = null;

  constructor(disk: DiskBackend, drive: number) {
    this.#disk = disk;
    this.#drive = drive;
    this.sectors = disk.sectors;
    this.blocks = Math.ceil(disk.sectors / BLOCK_SECTORS);
  }

  submit(request: DiskRequest, done: (completion: DiskCompletion) => void): void {
    if (request.op === 'write') this.#underWay.add(request);
    this.#disk.submit(request, (completion) => {
      if (this.#underWay.delete(request)) this.#mark(request);
      done(completion);
    });
  }

  readAtOnce(request: DiskRequest): Uint8Array | null {
    return this.#disk.readAtOnce?.(request) ?? null;
  }

  close(): Promise<void> {
    return this.#disk.close();
  }

  /** Note from now on which blocks are written, or stop that. */
  track(on: boolean): void {
    this.#written = on ? new Uint8Array(this.blocks) : null;
  }

  /** The blocks written since this was last asked, in order. */
  takeWritten(): number[] {
    const written = this.#written;
    assert(written !== null, 'a disk that does not track cannot tell what was written');
    for (const request of this.#underWay) this.#mark(request);
    const blocks: number[] = [];
    for (let block = written.indexOf(1); block >= 0; block = written.indexOf(1, block + 1)) blocks.push(block);
    written.fill(0);
    return blocks;
  }

  /** @returns null when the disk cannot be read there */
  async readBlock(block: number): Promise<Uint8Array | null> {
    const { status, data } = await this.#ask('read', block, NO_DATA);
    return status === 'ok' ? data : null;
  }

  /** @returns false when the disk cannot be written there */
  async writeBlock(block: number, data: Uint8Array): Promise<boolean> {
    assert(data.length === this.bytesOf(block), 'a block is written whole');
    return (await this.#ask('write', block, data)).status === 'ok';
  }

  bytesOf(block: number): number {
    return Math.min(BLOCK_SECTORS, this.sectors - block * BLOCK_SECTORS) * SECTOR_BYTES;
  }

  #ask(op: 'read' | 'write', block: number, data: Uint8Array): Promise<DiskCompletion> {
    const place = { drive: this.#drive, sector: block * BLOCK_SECTORS, bytes: this.bytesOf(block) };
    return new Promise((resolve) => {
      this.#disk.submit(internalRequest({ op, ...place, data }), resolve);
    });
  }

  #mark({ sector, bytes }: DiskRequest): void {
    const last = sector + bytes / SECTOR_BYTES - 1;
    this.#written?.fill(1, Math.floor(sector / BLOCK_SECTORS), Math.floor(last / BLOCK_SECTORS) + 1);
  }
}
