/** Edge: how long a guest has run here, and how fast. */
import { hostMs } from './host-time.js';

export class RunClock {
  #startMs = hostMs();
  #startIcount = 0;
  #endMs: number | null = null;

  start(icount: number): void {
    this.#startMs = hostMs();
    this.#startIcount = icount;
  }

  /** Only the first time counts. */
  end(): void {
    this.#endMs ??= hostMs();
  }

  get seconds(): number {
    return ((this.#endMs ?? hostMs()) - this.#startMs) / 1000;
  }

  /** Million instructions in a second, when the guest has come to `icount`. */
  mips(icount: number): number {
    return this.seconds > 0 ? (icount - this.#startIcount) / this.seconds / 1e6 : 0;
  }
}
