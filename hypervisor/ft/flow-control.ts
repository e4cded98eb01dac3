/**
 * How much of a run may be under way between a live replica and its backup: log that was sent and is not executed, and
 * outputs that wait for acknowledgements. When it is too much the guest stands still; it goes on at half of that.
 *
 *   sent(seq, bytes) ... executed(seq)        full() -> stand still ... half done -> go on
 *
 * What is executed was received, so one bound holds both the live replica's unacknowledged frames and what the backup
 * keeps to be executed. An entry costs memory beyond its bytes on the wire; ENTRY_BYTES stands for that.
 * Sans-io. The backup counts by the same class (backup-replica.ts).
 * Source: Scales et al. 2010, section 3.2.
 */
interface Frame {
  readonly seq: number;
  readonly bytes: number;
}

/** What a log under way may come to, unless an option says less. */
export const LOG_WINDOW_BYTES = 32 << 20;
/** A backup that holds more than this has a live replica that keeps to no bound. A slice may overshoot. */
export const BACKUP_HELD_BYTES_MAX = 2 * LOG_WINDOW_BYTES;
/** Memory of an entry, or of an output that is held, without its bytes. */
export const ENTRY_BYTES = 64;

export class FlowControl {
  readonly #bytesMax: number;
  #frames: Frame[] = [];
  #head = 0;
  #lastSeq: number;
  #bytes = 0;
  #full = false;

  /** @param lastSeq the newest entry that both sides are done with */
  constructor(bytesMax: number, lastSeq: number) {
    this.#bytesMax = bytesMax;
    this.#lastSeq = lastSeq;
  }

  /** What is under way, with ENTRY_BYTES for each entry. */
  get bytes(): number {
    return this.#bytes;
  }

  /** A frame of `bytes` that ends with entry `seq` is on its way. */
  sent(seq: number, bytes: number): void {
    const cost = bytes + (seq - this.#lastSeq) * ENTRY_BYTES;
    this.#frames.push({ seq, bytes: cost });
    this.#bytes += cost;
    this.#lastSeq = seq;
  }

  /** Every entry up to `seq` is executed. A frame counts until its last entry is. */
  executed(seq: number): void {
    for (let next = this.#frames[this.#head]; next !== undefined && next.seq <= seq; next = this.#frames[this.#head]) {
      this.#bytes -= next.bytes;
      this.#head++;
    }
    if (this.#head < 1024 && this.#head < this.#frames.length) return;
    this.#frames = this.#frames.slice(this.#head);
    this.#head = 0;
  }

  /** Nothing is under way: a backup has all up to `seq`, or there is none. */
  restart(seq: number): void {
    this.#frames = [];
    this.#head = 0;
    this.#bytes = 0;
    this.#lastSeq = seq;
  }

  /** Whether the guest must stand still, with outputs of `heldBytes` waiting. */
  full(heldBytes: number): boolean {
    const bytes = this.#bytes + heldBytes;
    this.#full = bytes > (this.#full ? this.#bytesMax / 2 : this.#bytesMax);
    return this.#full;
  }
}
