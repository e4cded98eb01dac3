/**
 * The messages by which a live replica that cannot reach its disks hands over to a backup that can. None has a body.
 *
 *   live DISK-AWAY -> ; backup <- DISK-THERE, if it reaches disks and arbiter; both again; live YIELD: the backup goes live
 *
 * | type | |
 * |---|---|
 * | 23 disk-away | requests of the guest wait for a server; can the backup reach it? |
 * | 24 disk-there | it can |
 * | 25 yield | the live replica will not contend before it has heard nothing for the time-out |
 */
import { DecodeError } from '../../emulator/errors.js';

export const HAND_OVER_MESSAGES = ['disk-away', 'disk-there', 'yield'] as const;

export interface HandOverMessage {
  readonly type: (typeof HAND_OVER_MESSAGES)[number];
}

/** @throws DecodeError */
export function decodeHandOverMessage(type: HandOverMessage['type'], rest: Buffer): HandOverMessage {
  if (rest.length > 0) throw new DecodeError('bad-length', 1, `${rest.length} bytes where none belong`);
  return { type };
}
