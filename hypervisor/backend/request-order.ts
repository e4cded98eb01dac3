/**
 * The order in which one drive's requests may run on a host that does many at once.
 *
 *   read  || read     any                         a flush waits for every earlier write;
 *   write || other    only on disjoint sectors    nothing waits for a flush
 *
 * Invariants: two requests that touch a common sector, one of them writing, run in the order of their
 * submission and never at the same time; every request runs once.
 */
import { assert } from '../../emulator/errors.js';
import type { DiskRequest } from '../../devices/environment.js';
import { SECTOR_BYTES } from './backend.js';

interface Pending {
  readonly request: DiskRequest;
  readonly finished: Promise<void>;
}

export class RequestOrder {
  readonly #pending = new Set<Pending>();

  /** Run `perform` as soon as no earlier request stands in its way. It must not fail: errors are its result. */
  run(request: DiskRequest, perform: () => Promise<void>): void {
    for (const { request: other } of this.#pending) {
      assert(other.tag !== request.tag, () => `drive ${request.drive}: tag ${request.tag} is already in use`);
    }
    const earlier = [...this.#pending].filter((other) => mustWait(request, other.request));
    const pending: Pending = {
      request,
      finished: Promise.all(earlier.map((other) => other.finished))
        .then(perform)
        .finally(() => this.#pending.delete(pending)),
    };
    this.#pending.add(pending);
  }

  /** Whether nothing that is under way stands in the way of `request`. */
  clear(request: DiskRequest): boolean {
    for (const other of this.#pending) if (mustWait(request, other.request)) return false;
    return true;
  }

  /** Resolves when everything submitted so far has finished. */
  async idle(): Promise<void> {
    await Promise.all([...this.#pending].map((pending) => pending.finished));
  }
}

function mustWait(later: DiskRequest, earlier: DiskRequest): boolean {
  if (later.op === 'flush') return earlier.op === 'write';
  if (earlier.op === 'flush') return false;
  if (later.op === 'read' && earlier.op === 'read') return false;
  const laterEnd = later.sector + later.bytes / SECTOR_BYTES;
  const earlierEnd = earlier.sector + earlier.bytes / SECTOR_BYTES;
  return later.sector < earlierEnd && earlier.sector < laterEnd;
}

/** Check what the devices promise about a request, before anything is done with it. */
export function assertRequest(request: DiskRequest): void {
  const { op, sector, bytes, data } = request;
  const whole = Number.isSafeInteger(sector) && sector >= 0 && bytes >= 0 && bytes % SECTOR_BYTES === 0;
  assert(whole, () => `disk ${op} of ${bytes} bytes at sector ${sector} is whole sectors`);
  assert(op === 'write' ? data.length === bytes : data.length === 0, () => `disk ${op} carries its data and no other`);
}
