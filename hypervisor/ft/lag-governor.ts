/**
 * Slows a primary whose backup falls behind in execution, smoothly, and lets go when it catches up.
 *
 *   backlog (work sent, not executed) / speed of the backup = the lag that work done now will see
 *
 * That forecast is what is governed: the age of the oldest frame not executed answers to a rest only after the
 * lag itself has passed, and a loop over such a delay swings for ever. Up to half the limit nothing happens;
 * from there the share of time that the primary rests grows with the excess.
 * Sans-io: times are in ms and passed in.
 * Source: Scales et al. 2010, section 3.2.
 */
interface Sent {
  readonly seq: number;
  readonly atMs: number;
  /** The primary's work, in ms, before this frame was sent. */
  readonly workedMs: number;
}

/** Largest share of rest to work: the primary never stands still because of lag. */
const REST_SHARE_MAX = 32;
/** Shorter rests are saved up: no timer of the host can do them. */
const REST_MS_MIN = 1;
/** Time over which the backup's speed is measured. */
const MEASURE_MS = 50;
/** Share of its distance from full speed that a backup without lag regains in that time. */
const TRUST_SHARE = 1 / 8;

export class LagGovernor {
  readonly #lagMsMax: number;
  #sent: Sent[] = [];
  #head = 0;
  #workedMs = 0;
  #executedMs = 0;
  /** The backup's speed: ms of the primary's work executed in one ms. */
  #speed = 1;
  #measuredFrom: { readonly nowMs: number; readonly executedMs: number } | null = null;
  #owedMs = 0;

  /** @param lagMsMax execution lag to stay below */
  constructor(lagMsMax: number) {
    this.#lagMsMax = lagMsMax;
  }

  /** A frame ending with entry `seq` was sent. */
  sent(seq: number, nowMs: number): void {
    this.#sent.push({ seq, atMs: nowMs, workedMs: this.#workedMs });
  }

  /** The backup has executed every entry up to `seq`. */
  executed(seq: number): void {
    for (let next = this.#sent[this.#head]; next !== undefined && next.seq <= seq; next = this.#sent[this.#head]) {
      this.#executedMs = next.workedMs;
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

  /** How long to rest after `workedMs` of work. Call after every slice. */
  restMs(workedMs: number, nowMs: number): number {
    this.#workedMs += workedMs;
    this.#measure(nowMs);
    // A backup that has caught up needs no rest, whatever one long slice seemed to call for.
    this.#owedMs = this.#caughtUp ? 0 : this.#owedMs + workedMs * this.#restShare();
    if (this.#owedMs < REST_MS_MIN) return 0;
    const restMs = this.#owedMs;
    this.#owedMs = 0;
    return restMs;
  }

  /** The backup is close to running out of work: a rest that is still under way would make it wait. */
  get enough(): boolean {
    return this.#forecastMs < this.#lagMsMax / 4;
  }

  /** The backup is gone. */
  clear(): void {
    this.#sent = [];
    this.#head = 0;
    this.#executedMs = this.#workedMs;
    this.#speed = 1;
    this.#measuredFrom = null;
    this.#owedMs = 0;
  }

  /** Every frame that was sent has been executed. */
  get #caughtUp(): boolean {
    return this.#head === this.#sent.length;
  }

  /** The lag that work done now will see. */
  get #forecastMs(): number {
    return (this.#workedMs - this.#executedMs) / this.#speed;
  }

  /** Call only while the backup has something to do. */
  #restShare(): number {
    const excess = this.#forecastMs / this.#lagMsMax - 0.5;
    return excess <= 0 ? 0 : Math.min(REST_SHARE_MAX, 8 * excess * excess + 2 * excess);
  }

  /** Only while the backup has something to do does its progress show its speed. */
  #measure(nowMs: number): void {
    if (this.#caughtUp) {
      this.#measuredFrom = null;
      return;
    }
    const from = (this.#measuredFrom ??= { nowMs, executedMs: this.#executedMs });
    const elapsedMs = nowMs - from.nowMs;
    if (elapsedMs < MEASURE_MS) return;
    const speed = (this.#executedMs - from.executedMs) / elapsedMs;
    // A backup that is up to date goes only as fast as its primary lets it: no sign that it could not go faster. So it
    // is trusted again bit by bit, or a backup that was slow once would be waited for, and would wait, for ever.
    if (speed > this.#speed || this.lagMs(nowMs) > this.#lagMsMax / 4) this.#speed += (speed - this.#speed) / 2;
    else if (this.#speed < 1) this.#speed += (1 - this.#speed) * TRUST_SHARE;
    this.#measuredFrom = { nowMs, executedMs: this.#executedMs };
  }
}
