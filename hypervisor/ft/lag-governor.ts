/**
 * Slows a primary whose backup falls behind in execution, smoothly, and lets go when it catches up.
 *
 * The lag is the age of the oldest frame that the backup has not executed yet. Up to half the limit nothing
 * happens; from there the share of time that the primary rests grows in proportion to the excess.
 * Sans-io: times are in ms and passed in.
 * Source: Scales et al. 2010, section 3.2.
 */
interface Sent {
  readonly seq: number;
  readonly atMs: number;
}

/** Largest share of rest to work: the primary never stands still because of lag. */
const REST_SHARE_MAX = 8;

export class LagGovernor {
  readonly #lagMsMax: number;
  #sent: Sent[] = [];
  #head = 0;

  /** @param lagMsMax execution lag to stay below */
  constructor(lagMsMax: number) {
    this.#lagMsMax = lagMsMax;
  }

  /** A frame ending with entry `seq` was sent. */
  sent(seq: number, nowMs: number): void {
    this.#sent.push({ seq, atMs: nowMs });
  }

  /** The backup has executed every entry up to `seq`. */
  executed(seq: number): void {
    for (let next = this.#sent[this.#head]; next !== undefined && next.seq <= seq; next = this.#sent[this.#head]) {
      this.#head++;
    }
    if (this.#head > 1024) {
      this.#sent = this.#sent.slice(this.#head);
      this.#head = 0;
    }
  }

  /** Age of the oldest frame not executed, 0 when there is none. */
  lagMs(nowMs: number): number {
    const oldest = this.#sent[this.#head];
    return oldest === undefined ? 0 : nowMs - oldest.atMs;
  }

  /** How long to rest after `workedMs` of work. */
  restMs(workedMs: number, nowMs: number): number {
    const excess = this.lagMs(nowMs) / this.#lagMsMax - 0.5;
    if (excess <= 0) return 0;
    return workedMs * Math.min(REST_SHARE_MAX, 4 * excess * excess + excess);
  }

  /** The backup is gone. */
  clear(): void {
    this.#sent = [];
    this.#head = 0;
  }
}
