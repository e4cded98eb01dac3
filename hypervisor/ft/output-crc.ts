/** The checksum by which an output entry names a disk write: CRC-32 over where it goes and what it holds. */
import type { DiskRequest } from '../../devices/environment.js';
import { fastCrc32 } from '../log/fast-crc32.js';

export function diskRequestCrc(request: DiskRequest): number {
  const place = Buffer.alloc(16);
  place.writeUInt32LE(request.drive, 0);
  place.writeUInt32LE(request.tag >>> 0, 4);
  place.writeDoubleLE(request.sector, 8);
  return fastCrc32(request.data, fastCrc32(place));
}
