/**
 * Writes wait for the backup's reads: where the backup reads the shared disk itself, a write must not reach a sector
 * that the backup has yet to read as it was.
 *
 *   read done here -> noted under its entry's seq ... backup executed it -> forgotten
 *   write that may leave -> overlaps a noted read? -> waits until that is executed -> release()
 *
 * Invariants: a write leaves when every noted read that it overlaps is executed, and not before; none leaves twice.
 * Overlapping requests are never under way together (the devices see to that), so the order of writes that wait does
 * not matter.
 * Source: Scales et al. 2010, section 4.2.
 */
import type { DiskRequest } from '../../devices/environment.js';
import { SECTOR_BYTES } from '../backend/backend.js';

type Place = Pick<DiskRequest, 'drive' | 'sector' | 'bytes'>;

interface Noted {
  readonly seq: number;
  readonly place: Place;
}

interface Waiting {
  /** Newest read that it waits for. */
  readonly seq: number;
  readonly release: () => void;
}

export class ReadFence {
  #noted: Noted[] = [];
  /** Those before it are executed. */
  #head = 0;
  #waiting: Waiting[] = [];
  #executedSeq = -1;

  /** Writes that wait. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** A read was completed here by entry `seq`; the backup will do it, too. */
  read(seq: number, place: Place): void {
    if (seq > this.#executedSeq) this.#noted.push({ seq, place });
  }

  /** Let a write leave, now or when the reads before it are done. */
  write(place: Place, release: () => void): void {
    const seq = this.#noted.findLast((noted) => overlap(noted.place, place))?.seq ?? -1;
    if (seq <= this.#executedSeq) release();
    else this.#waiting.push({ seq, release });
  }

  /** The backup has executed every entry up to `seq`. */
  executed(seq: number): void {
    if (seq <= this.#executedSeq) return;
    this.#executedSeq = seq;
    for (let next = this.#noted[this.#head]; next !== undefined && next.seq <= seq; next = this.#noted[this.#head]) {
      this.#head++;
    }
    // Not for each: many reads may be under way.
    if (this.#head >= 1024 || (this.#head > 0 && this.#head === this.#noted.length)) {
      this.#noted = this.#noted.slice(this.#head);
      this.#head = 0;
    }
    if (this.#waiting.length === 0) return;
    const ready = this.#waiting.filter((write) => write.seq <= seq);
    this.#waiting = this.#waiting.filter((write) => write.seq > seq);
    for (const { release } of ready) release();
  }

  /** Nobody reads after us any more. */
  open(): void {
    this.#noted = [];
    this.#head = 0;
    const ready = this.#waiting;
    this.#waiting = [];
    for (const { release } of ready) release();
  }
}

function overlap(a: Place, b: Place): boolean {
  const end = ({ sector, bytes }: Place): number => sector + bytes / SECTOR_BYTES;
  return a.drive === b.drive && a.sector < end(b) && b.sector < end(a);
}
