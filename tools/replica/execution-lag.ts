/** How far a backup's execution is behind what it has received, in ms of host time. */
import { hostMs } from './host-time.js';
import { Samples } from './result.js';

interface Pending {
  readonly seq: number;
  readonly receivedMs: number;
}

export class ExecutionLag {
  readonly samples = new Samples();
  #pending: Pending[] = [];
  #ms = 0;

  /** The lag now: of the newest frame executed, or the age of the oldest that is not. */
  get ms(): number {
    return this.#ms;
  }

  /** A frame ending with entry `seq` arrived. */
  received(seq: number): void {
    this.#pending.push({ seq, receivedMs: hostMs() });
  }

  /** Every entry up to `seq` is executed. */
  executed(seq: number): void {
    const now = hostMs();
    let done = 0;
    for (const pending of this.#pending) {
      if (pending.seq > seq) break;
      this.#ms = now - pending.receivedMs;
      this.samples.add(this.#ms);
      done++;
    }
    if (done > 0) this.#pending.splice(0, done);
    const oldest = this.#pending[0];
    if (oldest !== undefined) this.#ms = now - oldest.receivedMs;
  }
}
