/** Goal: the bandwidth record counts what docs/formats.md says it counts.
 *  Method: a short log with known sizes, accounted while writing and again while reading. */
import { expect, test } from '@jest/globals';
import { LogAccount } from '../../../hypervisor/log/account.js';
import { ENTRY_KINDS } from '../../../hypervisor/log/entry.js';
import { FrameWriter, decodeFrame } from '../../../hypervisor/log/frame.js';
import { SAMPLE_ENTRIES } from './arbitrary-entries.js';

test('bytes per interrupt count clock and interrupt entries only', () => {
  const account = new LogAccount();
  account.addEntry('clock', 4);
  account.addEntry('interrupt', 0);
  account.addEntry('interrupt', 2);
  account.addEntry('mark', 100);
  account.addEntry('digest', 1000);
  account.addWire(1150);
  const record = account.bandwidth(2_000_000, 2);
  expect(record).toMatchObject({
    icount: 2_000_000,
    seconds: 2,
    entries: 5,
    bytes: 1106,
    wireBytes: 1150,
    bytesPerKiloInstruction: 1106 / 2000,
    bytesPerInterrupt: 3,
    bitsPerSecond: 4600,
  });
  expect(record.byKind.interrupt).toEqual({ entries: 2, bytes: 2 });
  expect(Object.keys(record.byKind)).toEqual([...ENTRY_KINDS]);
});

test('an empty log has rates of 0, not NaN', () => {
  const record = new LogAccount().bandwidth(0, 0);
  expect([record.bytesPerInterrupt, record.bytesPerKiloInstruction, record.bitsPerSecond]).toEqual([0, 0, 0]);
});

test('reading a log counts the same as writing it', () => {
  const written = new LogAccount();
  const read = new LogAccount();
  const writer = new FrameWriter({ account: written });
  let seq = 0;
  for (const entry of SAMPLE_ENTRIES) {
    writer.append(entry);
    if (writer.pendingEntries < 7 && entry !== SAMPLE_ENTRIES.at(-1)) continue;
    const frame = decodeFrame(writer.flush()!, { seq });
    seq += frame.entries.length;
    read.addFrame(frame);
  }
  expect(read.bandwidth(2_000_001, 1)).toEqual(written.bandwidth(2_000_001, 1));
});

test('totals taken earlier do not change', () => {
  const account = new LogAccount();
  const before = account.totals(1);
  account.addEntry('mark', 1);
  expect(before.byKind.mark.entries).toBe(0);
});
