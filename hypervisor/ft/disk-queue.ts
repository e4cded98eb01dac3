/**
 * When disk completions reach the guest.
 *
 *   clock host    as soon as the host has finished them
 *   clock icount  a fixed guest time after the doorbell, in the order of the doorbells; the vcpu waits if
 *                 the host is late, so that the run does not depend on the host's speed
 */
import type { DiskCompletion, DiskRequest } from '../../devices/environment.js';
import { assert } from '../../emulator/errors.js';
import type { ClockMode } from './clock-policy.js';

/** Guest time that a request takes under the icount clock. */
export const DISK_LATENCY_NS = 100_000;

interface Waiting {
  readonly drive: number;
  readonly tag: number;
  readonly dueNs: number;
  completion: DiskCompletion | null;
}

export class DiskQueue {
  readonly #mode: ClockMode;
  #waiting: Waiting[] = [];

  constructor(mode: ClockMode) {
    this.#mode = mode;
  }

  /** A request was rung in at guest time `nowNs`. */
  submitted(request: DiskRequest, nowNs: number): void {
    if (this.#mode === 'host') return;
    this.#waiting.push({ drive: request.drive, tag: request.tag, dueNs: nowNs + DISK_LATENCY_NS, completion: null });
  }

  /** The host finished a request: what may reach the guest right now. */
  completed(completion: DiskCompletion): readonly DiskCompletion[] {
    if (this.#mode === 'host') return [completion];
    const waits = (w: Waiting): boolean =>
      w.completion === null && w.drive === completion.drive && w.tag === completion.tag;
    const waiting = this.#waiting.find(waits);
    assert(waiting !== undefined, `drive ${completion.drive} completed request ${completion.tag}, which does not wait`);
    waiting.completion = completion;
    return [];
  }

  /** Guest time of the next completion, or null. */
  nextDueNs(): number | null {
    return this.#waiting[0]?.dueNs ?? null;
  }

  /** A completion is due at `nowNs` but the host has not finished it. */
  hostIsLate(nowNs: number): boolean {
    const first = this.#waiting[0];
    return first !== undefined && first.dueNs <= nowNs && first.completion === null;
  }

  /** Take the completions due at `nowNs`, in order, up to the first that the host has not finished. */
  due(nowNs: number): DiskCompletion[] {
    const ready: DiskCompletion[] = [];
    for (;;) {
      const first = this.#waiting[0];
      if (first === undefined || first.dueNs > nowNs || first.completion === null) return ready;
      ready.push(first.completion);
      this.#waiting.shift();
    }
  }
}
