/**
 * Goal: what the guest `ledger` leaves is recognised; anything damaged, out of place or too old is told.
 * Method: a disk that the guest itself wrote, then changed by hand.
 */
import { beforeAll, describe, expect, test } from '@jest/globals';
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkLedger } from '../../../tools/soak/check-ledger.js';
import { ft86, withScratch } from '../../e2e/ft86.js';

const RECORDS = 100;
const SLOTS = 32;
let written: Buffer;

beforeAll(async () => {
  await withScratch(async (folder) => {
    const disk = join(folder, 'disk');
    writeFileSync(disk, '');
    truncateSync(disk, 1 << 20);
    const run = await ft86(['boot', 'ledger', '--append', `records=${RECORDS}`, '--drive', `file=${disk}`]);
    expect(run.status).toBe(0);
    written = readFileSync(disk);
  });
}, 60_000);

/** A slot with a record in it. */
function used(): number {
  for (let slot = 0; slot < SLOTS; slot++) if (written.readUInt32LE(slot * 8192 + 8) > 0) return slot;
  throw new Error('an empty ledger');
}

describe('a ledger', () => {
  test('that the guest wrote is in order', () => {
    expect(checkLedger(written, SLOTS, RECORDS)).toEqual([]);
    expect(checkLedger(written, SLOTS, 0)).toEqual([]);
    expect(checkLedger(Buffer.alloc(1 << 20), SLOTS, 0)).toEqual([]);
  });

  test('that lacks durable records is told, sector by sector', () => {
    expect(checkLedger(written, SLOTS, RECORDS + 1)).toHaveLength(16);
    expect(checkLedger(written, SLOTS, RECORDS + 1)[0]).toMatch(/record \d+, but 101 is durable|empty, record 101/);
    expect(checkLedger(Buffer.alloc(1 << 20), SLOTS, 1)).toHaveLength(16);
  });

  test('with a flipped bit is told', () => {
    const disk = Buffer.from(written);
    disk[used() * 8192 + 100]! ^= 4;
    expect(checkLedger(disk, SLOTS, RECORDS)).toEqual([`slot ${used()}, sector 0: damaged`]);
  });

  test('with a sector of another place is told', () => {
    const disk = Buffer.from(written);
    disk.copy(disk, used() * 8192, used() * 8192 + 512, used() * 8192 + 1024);
    expect(checkLedger(disk, SLOTS, RECORDS)).toEqual([
      `slot ${used()}, sector 0: belongs to slot ${used()}, sector 1`,
    ]);
  });
});
