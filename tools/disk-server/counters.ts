/** What a disk server did, for its JSON result. */
import type { NbdRequest } from '../../hypervisor/nbd/server-session.js';

export interface DiskServerCounters {
  /** Connections accepted; those closed for breaking the protocol. */
  connections: number;
  malformed: number;
  /** Requests that were performed, and those of them that the host failed. */
  readonly requests: Record<NbdRequest['op'], number>;
  errors: number;
  /** Requests refused because their replica is no longer live. */
  fenced: number;
  bytesRead: number;
  bytesWritten: number;
}

export function noCounters(): DiskServerCounters {
  return {
    connections: 0,
    malformed: 0,
    requests: { read: 0, write: 0, flush: 0, trim: 0, 'write-zeroes': 0 },
    errors: 0,
    fenced: 0,
    bytesRead: 0,
    bytesWritten: 0,
  };
}
