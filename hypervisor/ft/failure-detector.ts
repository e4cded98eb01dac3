/**
 * Suspects a silent peer. Owns no timer and no socket: the time, in ms, is passed in.
 *
 * Any frame counts as life: heartbeat, log entry or acknowledgement. A primary that sends but gets no
 * acknowledgement for the same time is silent too (a one-way network), even when heartbeats arrive.
 *
 * Who does not look hears nothing: of the time between two looks no more than half of the time-out counts. So replicas that
 * were stopped together, by Ctrl-Z or with the machine that both run on, go on together.
 * Source: Scales et al. 2010, section 2.3.
 */
export interface FailureDetectorOptions {
  /** Silence, in ms, after which the peer is suspected. */
  readonly timeoutMs: number;
}

export class FailureDetector {
  readonly #options: FailureDetectorOptions;
  #heardMs: number;
  #lookedMs: number;
  #unacknowledgedSinceMs: number | null = null;

  constructor(options: FailureDetectorOptions, nowMs: number) {
    this.#options = options;
    this.#heardMs = nowMs;
    this.#lookedMs = nowMs;
  }

  /** A frame of any kind arrived. */
  heard(nowMs: number): void {
    this.#heardMs = nowMs;
  }

  /** Something was sent that needs an acknowledgement. */
  expectsAck(nowMs: number): void {
    this.#unacknowledgedSinceMs ??= nowMs;
  }

  /** An acknowledgement arrived; `outstanding`: something sent is still not acknowledged. */
  acknowledged(nowMs: number, outstanding: boolean): void {
    this.heard(nowMs);
    this.#unacknowledgedSinceMs = outstanding ? nowMs : null;
  }

  /** A look at the peer: to be taken several times within the time-out. */
  suspects(nowMs: number): boolean {
    const uncountedMs = nowMs - this.#lookedMs - this.#options.timeoutMs / 2;
    this.#lookedMs = nowMs;
    if (uncountedMs > 0) {
      const later = (sinceMs: number): number => Math.min(nowMs, sinceMs + uncountedMs);
      this.#heardMs = later(this.#heardMs);
      if (this.#unacknowledgedSinceMs !== null) this.#unacknowledgedSinceMs = later(this.#unacknowledgedSinceMs);
    }
    return this.silentMs(nowMs) > this.#options.timeoutMs;
  }

  /** How long the peer has been silent, or has owed an acknowledgement. */
  silentMs(nowMs: number): number {
    const owedMs = this.#unacknowledgedSinceMs === null ? 0 : nowMs - this.#unacknowledgedSinceMs;
    return Math.max(nowMs - this.#heardMs, owedMs);
  }
}
