/**
 * What a backup knows of a shared disk on a server: the writes that are done and that no flush covers yet, by what the log or a
 * checkpoint says. A server that dies with its host has lost them, and the live replica, which would send them again, may be dead, too.
 *
 *   at a take-over  the new live replica's disk gets them, and sends them
 *   own reads       see them, whatever the server has at that moment
 *
 * Invariant: kept in the order in which they were done. No more than BYTES_MAX: a live replica flushes by itself long
 * before that.
 */
import type { DiskRequest } from '../../devices/environment.js';
import { SECTOR_BYTES } from '../backend/backend.js';
import { UnflushedWrites, type KeptWrite } from '../nbd/unflushed-writes.js';

const BYTES_MAX = 64 << 20;

export class KeptWrites {
  readonly #unflushed = new UnflushedWrites();
  /** For each flush under way, which writes it covers. */
  readonly #marks = new Map<number, number>();

  /** @param writes as a checkpoint has them */
  constructor(writes: readonly KeptWrite[] = []) {
    for (const write of writes) this.#unflushed.answered(write);
  }

  get writes(): readonly KeptWrite[] {
    return this.#unflushed.writes;
  }

  /** The guest asks something of the disk. */
  emitted({ op, tag }: DiskRequest): void {
    if (op === 'flush') this.#marks.set(tag, this.#unflushed.mark);
  }

  /** It was done. */
  answered(request: DiskRequest): void {
    const { op, tag } = request;
    if (op === 'write') {
      this.#unflushed.answered(keptWrite(request));
      this.#unflushed.trim(BYTES_MAX);
    }
    if (op !== 'flush') return;
    this.#unflushed.flushed(this.#marks.get(tag) ?? 0);
    this.#marks.delete(tag);
  }

  /** Now that a read begins: what makes of its data what it is on a disk that lost nothing. */
  patch({ sector, bytes }: DiskRequest): (data: Uint8Array) => void {
    const start = sector * SECTOR_BYTES;
    const writes = this.writes.filter(({ offset, data }) => offset < start + bytes && start < offset + data.length);
    return (read) => {
      for (const { offset, data } of writes) {
        const from = Math.max(0, start - offset);
        read.set(data.subarray(from, Math.min(data.length, start + bytes - offset)), offset + from - start);
      }
    };
  }
}

export function keptWrite({ tag, sector, data }: DiskRequest): KeptWrite {
  return { tag, offset: sector * SECTOR_BYTES, data };
}
