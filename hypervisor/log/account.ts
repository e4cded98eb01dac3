/**
 * Counts the log's entries and bytes: the bandwidth record of the JSON results.
 *
 *   bytes       entries only: tag, distance, fields, data
 *   wireBytes   the same with frame headers: what a socket carries and a file holds
 *
 * bytesPerInterrupt = (bytes of clock and interrupt entries) / interrupts: what the delivery of one costs,
 * wherever its time comes from. Frame headers, marks and digests are not part of it.
 * A timer tick is one record for two entries: its bytes stand under `clock`.
 */
import { ENTRY_KINDS } from './entry.js';
import type { Entry, EntryKind } from './entry.js';

/** What is counted of a frame that was read. */
interface CountedFrame {
  readonly entries: readonly Entry[];
  readonly sizes: readonly number[];
  readonly wireBytes: number;
}

export interface KindTotals {
  readonly entries: number;
  readonly bytes: number;
}

/** Totals of a log, in the names of the JSON results. Rates are 0 where there is nothing to divide by. */
export interface LogTotals {
  readonly entries: number;
  readonly bytes: number;
  readonly wireBytes: number;
  readonly bytesPerKiloInstruction: number;
  readonly bytesPerInterrupt: number;
  /** Every kind, also those without entries. */
  readonly byKind: Readonly<Record<EntryKind, KindTotals>>;
}

export interface BandwidthRecord extends LogTotals {
  readonly icount: number;
  readonly seconds: number;
  /** Wire bits per host second. */
  readonly bitsPerSecond: number;
}

function ratio(part: number, whole: number): number {
  return whole > 0 ? part / whole : 0;
}

export class LogAccount {
  readonly #byKind: Record<EntryKind, { entries: number; bytes: number }>;
  #wireBytes = 0;

  constructor() {
    const byKind: Partial<Record<EntryKind, { entries: number; bytes: number }>> = {};
    for (const kind of ENTRY_KINDS) byKind[kind] = { entries: 0, bytes: 0 };
    this.#byKind = byKind as Record<EntryKind, { entries: number; bytes: number }>;
  }

  addEntry(kind: EntryKind, bytes: number): void {
    const totals = this.#byKind[kind];
    totals.entries++;
    totals.bytes += bytes;
  }

  /** Count bytes of whole frames (or of a file's header). */
  addWire(bytes: number): void {
    this.#wireBytes += bytes;
  }

  /** Count a frame that was read. */
  addFrame(frame: CountedFrame): void {
    frame.entries.forEach((entry, index) => this.addEntry(entry.kind, frame.sizes[index]!));
    this.addWire(frame.wireBytes);
  }

  /** Totals so far of a log that reaches from icount 0 to `icount` (or of that many instructions). */
  totals(icount: number): LogTotals {
    const byKind: Partial<Record<EntryKind, KindTotals>> = {};
    let entries = 0;
    let bytes = 0;
    for (const kind of ENTRY_KINDS) {
      const totals = this.#byKind[kind];
      byKind[kind] = { ...totals };
      entries += totals.entries;
      bytes += totals.bytes;
    }
    const { clock, interrupt } = this.#byKind;
    return {
      entries,
      bytes,
      wireBytes: this.#wireBytes,
      bytesPerKiloInstruction: ratio(bytes * 1000, icount),
      bytesPerInterrupt: ratio(clock.bytes + interrupt.bytes, interrupt.entries),
      byKind: byKind as Record<EntryKind, KindTotals>,
    };
  }

  /** The record of the `bandwidth` command; `seconds` is host time, which only the caller knows. */
  bandwidth(icount: number, seconds: number): BandwidthRecord {
    return { icount, seconds, bitsPerSecond: ratio(this.#wireBytes * 8, seconds), ...this.totals(icount) };
  }
}
