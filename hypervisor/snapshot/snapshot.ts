/**
 * A machine's whole state at one icount, in memory or in a file.
 *
 * `registers` names what a person compares; `cpuState` is the engine's own opaque state, from which a vcpu is
 * restored; `devices` is what the device models saved. RAM is handed out page by page, so that a file's
 * need not be in memory.
 */
import * as z from 'zod';
import { assert } from '../../emulator/errors.js';
import type { StateRecord } from '../../devices/state.js';

export const PAGE_BYTES = 4096;
/** Physical memory of 32-bit addresses. */
export const MEMORY_BYTES_MAX = 2 ** 32;

const TEXT_CHARACTERS_MAX = 4096;
const count = z.int().min(0);

export const snapshotMetaSchema = z.strictObject({
  icount: count,
  /** Guest time since power-on. */
  guestNs: count,
  /** The name or path the image was given by. */
  image: z.string().max(TEXT_CHARACTERS_MAX),
  /** Size of RAM: whole pages. */
  memoryBytes: z.int().min(PAGE_BYTES).max(MEMORY_BYTES_MAX).multipleOf(PAGE_BYTES),
  /** What the guest can see of its machine, the same on both replicas; plain state. */
  configuration: z.custom<StateRecord>(isRecord, 'a record'),
  /** Digest of the machine's state, as in digest entries; not compared by diff. */
  digest: z.string().regex(/^[0-9a-f]{32}$/),
  /** What the replica was, e.g. `primary`; not compared by diff. */
  role: z.string().max(TEXT_CHARACTERS_MAX),
});

export type SnapshotMeta = Readonly<z.infer<typeof snapshotMetaSchema>>;

/** Flat names such as `eax` or `cs.base`; what does not fit a safe integer is a hex string or bytes. */
export type SnapshotRegisters = Readonly<Record<string, number | boolean | string | Uint8Array>>;

/** Everything but RAM. */
export interface SnapshotContent {
  readonly meta: SnapshotMeta;
  readonly registers: SnapshotRegisters;
  readonly cpuState: Uint8Array;
  readonly devices: StateRecord;
}

export interface Snapshot extends SnapshotContent {
  /**
   * The bytes of RAM page `index` (address index * 4096), or null when all are 0.
   * A view: valid until the next call.
   */
  page(index: number): Uint8Array | null;
  /**
   * Whether all pages are those of `other`, compared byte by byte faster than page by page; false: unknown. The pages of a
   * file are not held against their CRCs, which say nothing more of bytes that are equal.
   */
  samePages?(other: Snapshot): boolean;
}

const ZERO_PAGE = Buffer.alloc(PAGE_BYTES);

export function isZeroPage(page: Uint8Array): boolean {
  return ZERO_PAGE.equals(page);
}

export function isRecord(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
}

export function isRegisters(value: StateRecord): value is SnapshotRegisters {
  return Object.values(value).every((register) => register instanceof Uint8Array || typeof register !== 'object');
}

/** Present a machine's state and its RAM (not copied) as a snapshot. */
export function snapshotOf(content: SnapshotContent, ram: Uint8Array): Snapshot {
  assert(ram.length === content.meta.memoryBytes, 'the memory of a snapshot has the size its meta data says');
  return {
    ...content,
    page(index: number): Uint8Array | null {
      assert(index >= 0 && index < ram.length / PAGE_BYTES, 'a page lies inside the memory');
      const page = ram.subarray(index * PAGE_BYTES, (index + 1) * PAGE_BYTES);
      return isZeroPage(page) ? null : page;
    },
  };
}
