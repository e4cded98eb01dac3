/**
 * Disk requests of the monitors themselves, beside the guest's: reads of a backup, copies for a joining one. Their tags
 * are negative, so they never meet a guest's, and a backend leaves it to their submitter to tell of an error.
 */
import type { DiskRequest } from '../../devices/environment.js';

let newestTag = 0;

/** The request under a tag that no other has. */
export function internalRequest(request: Omit<DiskRequest, 'tag'>): DiskRequest {
  return { ...request, tag: --newestTag };
}

export function isInternal({ tag }: DiskRequest): boolean {
  return tag < 0;
}
