/**
 * Suspects a silent peer. Owns no timer and no socket: the time, in ms, is passed in.
 *
 * Any frame counts as life: heartbeat, log entry or acknowledgement. A primary that sends but gets no
 * acknowledgement for the same time is silent too (a one-way network), even when heartbeats arrive.
 * Source: Scales et al. 2010, section 2.3.
 */
export interface FailureDetectorOptions {
  /** Silence, in ms, after which the peer is suspected. */
  readonly timeoutMs: number;
}

export class FailureDetector {
  readonly #options: FailureDetectorOptions;
  #heardMs: number;
  #unacknowledgedSinceMs: number | null = null;

  constructor(options: FailureDetectorOptions, nowMs: number) {
    this.#options = options;
    this.#heardMs = nowMs;
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

  suspects(nowMs: number): boolean {
    return this.silentMs(nowMs) > this.#options.timeoutMs;
  }

  /** How long the peer has been silent, or has owed an acknowledgement. */
  silentMs(nowMs: number): number {
    const owedMs = this.#unacknowledgedSinceMs === null ? 0 : nowMs - this.#unacknowledgedSinceMs;
    return Math.max(nowMs - this.#heardMs, owedMs);
  }
}
