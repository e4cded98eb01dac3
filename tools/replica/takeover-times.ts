/** When the steps of a take-over happened, in host ms; the parts add up to the whole. */
import { hostMs } from './host-time.js';
import type { Takeover } from './result.js';

export class TakeoverTimes {
  #heardMs = hostMs();
  #suspectedMs = 0;
  #drainedMs = 0;
  #wonMs = 0;
  #reason: Takeover['reason'] = 'silent';

  /** A sign of life from the primary. */
  heard(nowMs: number): void {
    this.#heardMs = nowMs;
  }

  /** Returns the ms since the last sign of life. */
  suspected(reason: Takeover['reason']): number {
    this.#reason = reason;
    this.#suspectedMs = hostMs();
    return round(this.#suspectedMs - this.#heardMs);
  }

  /** Returns the ms that draining took. */
  drained(): number {
    this.#drainedMs = hostMs();
    return round(this.#drainedMs - this.#suspectedMs);
  }

  /** Returns the ms that the test-and-set took. */
  won(): number {
    this.#wonMs = hostMs();
    return round(this.#wonMs - this.#drainedMs);
  }

  /** The outputs are open from now on. */
  live(icount: number): Takeover {
    return {
      reason: this.#reason,
      detectMs: round(this.#suspectedMs - this.#heardMs),
      drainMs: round(this.#drainedMs - this.#suspectedMs),
      arbiterMs: round(this.#wonMs - this.#drainedMs),
      totalMs: round(hostMs() - this.#heardMs),
      icount,
    };
  }
}

function round(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
