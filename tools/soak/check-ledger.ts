/**
 * Reads what the guest `ledger` left on its disk and says what should not be there. Its format is that of
 * images/ledger.c: slots of 16 sectors, each { magic, slot, record, index, fill ..., CRC-32 }, little-endian; record n is
 * in the slot that a mixing function gives it.
 */
import { crc32 } from 'node:zlib';

const MAGIC = 0x7264676c;
const SECTOR_BYTES = 512;
const SLOT_SECTORS = 16;
const CRC_AT = SECTOR_BYTES - 4;

/**
 * One line for each sector that is damaged, or older than the newest record of its slot that was said to be durable.
 * @param durable every record up to this one was said to be durable
 */
export function checkLedger(disk: Buffer, slots: number, durable: number): string[] {
  const newest = newestOfSlots(slots, durable);
  const faults: string[] = [];
  for (let slot = 0; slot < slots; slot++) {
    for (let index = 0; index < SLOT_SECTORS; index++) {
      const at = (slot * SLOT_SECTORS + index) * SECTOR_BYTES;
      const fault = sectorFault(disk.subarray(at, at + SECTOR_BYTES), slot, index, slots, newest[slot] ?? 0);
      if (fault !== null) faults.push(`slot ${slot}, sector ${index}: ${fault}`);
    }
  }
  return faults;
}

/** The last record that is durable in each slot; 0: none. */
function newestOfSlots(slots: number, durable: number): number[] {
  const newest = new Array<number>(slots).fill(0);
  for (let record = 1; record <= durable; record++) newest[slotOf(record, slots)] = record;
  return newest;
}

function sectorFault(sector: Buffer, slot: number, index: number, slots: number, durable: number): string | null {
  if (sector.every((byte) => byte === 0)) return durable === 0 ? null : `empty, record ${durable} is durable`;
  const [magic, ofSlot, record, ofIndex] = [0, 4, 8, 12].map((at) => sector.readUInt32LE(at)) as [
    number,
    number,
    number,
    number,
  ];
  if (magic !== MAGIC || crc32(sector.subarray(0, CRC_AT)) !== sector.readUInt32LE(CRC_AT)) return 'damaged';
  if (ofSlot !== slot || ofIndex !== index) return `belongs to slot ${ofSlot}, sector ${ofIndex}`;
  if (slotOf(record, slots) !== slot) return `record ${record} does not belong here`;
  return record >= durable ? null : `record ${record}, but ${durable} is durable`;
}

function slotOf(record: number, slots: number): number {
  return mix(record) % slots;
}

/** memory_mix() of images/runtime/memory.h. */
function mix(n: number): number {
  let value = n ^ (n >>> 16);
  value = Math.imul(value, 0x7feb352d);
  value ^= value >>> 15;
  value = Math.imul(value, 0x846ca68b);
  return (value ^ (value >>> 16)) >>> 0;
}
