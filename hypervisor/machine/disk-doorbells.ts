/**
 * When the guest rang for each disk request that is not answered yet, in the order of the rings. Under the icount clock
 * a completion is due a fixed guest time after its doorbell, so the instants are state: without them a machine that was
 * saved with a request under way, or that goes live with one, would answer it at another instruction.
 */
import type { DiskRequest } from '../../devices/environment.js';
import type { StateValue } from '../../devices/state.js';
import { DecodeError } from '../../emulator/errors.js';

export interface PendingDiskRequest {
  readonly request: DiskRequest;
  /** Guest time of the doorbell. */
  readonly rangNs: number;
}

interface Doorbell {
  readonly drive: number;
  readonly tag: number;
  readonly ns: number;
}

export class DiskDoorbells {
  #doorbells: Doorbell[] = [];

  rang({ drive, tag }: DiskRequest, ns: number): void {
    this.#doorbells.push({ drive, tag, ns });
  }

  answered({ drive, tag }: { readonly drive: number; readonly tag: number }): void {
    const index = this.#doorbells.findIndex((bell) => bell.drive === drive && bell.tag === tag);
    // Mostly it is the first, which is cheaper to take than to cut out.
    if (index === 0) this.#doorbells.shift();
    else if (index > 0) this.#doorbells.splice(index, 1);
  }

  /** `requests` in the order of their doorbells. One that is not known here counts as rung last, at `nowNs`. */
  order(requests: readonly DiskRequest[], nowNs: number): PendingDiskRequest[] {
    const places = requests.map((request) => {
      const place = this.#doorbells.findIndex((bell) => bell.drive === request.drive && bell.tag === request.tag);
      return { request, place: place < 0 ? this.#doorbells.length : place };
    });
    return places
      .sort((a, b) => a.place - b.place)
      .map(({ request, place }) => ({ request, rangNs: this.#doorbells[place]?.ns ?? nowNs }));
  }

  /** Take over a saved list of drive, tag and ns. @throws DecodeError */
  restore(list: readonly StateValue[]): void {
    this.#doorbells = list.map((bell) => {
      const { drive, tag, ns } = Object(bell) as Partial<Record<string, StateValue>>;
      if (typeof drive !== 'number' || typeof tag !== 'number' || typeof ns !== 'number') {
        throw new DecodeError('bad-state', 0, 'a disk doorbell is not made of numbers');
      }
      return { drive, tag, ns };
    });
  }
}
