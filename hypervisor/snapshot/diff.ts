/**
 * Names everything in which two snapshots differ: registers, RAM bytes by page, device fields by path.
 *
 *   meta.icount, guestNs ──► registers `icount`, `guest-ns`
 *   registers            ──► registers by name
 *   cpuState             ──► register `cpu-state[offset]`, only when no register differs: it holds them too
 *   page(0..n)           ──► pages: address and bytes
 *   configuration        ──► devices `configuration.…`
 *   devices              ──► devices `devices.pit.channels[0].mode`, `devices.vga.text[17]`
 *
 * The role, the image's name and the stored digest are not compared: replicas may differ in them.
 * Lists are limited, counts are not.
 */
import { ConfigError } from '../../emulator/errors.js';
import type { StateRecord, StateValue } from '../../devices/state.js';
import type { Snapshot } from './snapshot.js';
import { PAGE_BYTES } from './snapshot.js';

/** Bytes named per page, per byte array of a device and of the cpu state. */
const BYTES_NAMED_MAX = 64;
const PAGES_NAMED_MAX = 65_536;
const FIELDS_NAMED_MAX = 4096;

/** A compared value as JSON; byte arrays are hex strings. null: an absent value, or one that is null. */
export type DiffValue = number | boolean | string | null;

export interface RegisterDifference {
  readonly name: string;
  readonly a: DiffValue;
  readonly b: DiffValue;
}

export interface ByteDifference {
  /** Offset in the page. */
  readonly offset: number;
  readonly a: number;
  readonly b: number;
}

export interface PageDifference {
  /** Physical address of the page. */
  readonly address: number;
  /** The differing bytes, the first 64 of them. */
  readonly bytes: readonly ByteDifference[];
  /** How many bytes differ in all. */
  readonly byteCount: number;
}

export interface FieldDifference {
  readonly path: string;
  readonly a: DiffValue;
  readonly b: DiffValue;
  /** The side that does not have the field at all. */
  readonly absentIn?: 'a' | 'b';
}

/** Where two replicas parted, found by replaying their log. */
export interface FirstDivergence {
  readonly icount: number;
  readonly eip: number;
  readonly instruction: string;
}

/** The JSON result of the `diff` command. */
export interface SnapshotDiff {
  readonly identical: boolean;
  readonly registers: readonly RegisterDifference[];
  readonly pages: readonly PageDifference[];
  readonly devices: readonly FieldDifference[];
  /** How many pages and device fields differ in all, listed or not. */
  readonly pageCount: number;
  readonly fieldCount: number;
  /** Two snapshots alone cannot tell it: always null here. */
  readonly firstDivergence: FirstDivergence | null;
}

/** What comparing two equal states finds. */
export const NO_DIFFERENCE: SnapshotDiff = {
  ...{ identical: true, registers: [], pages: [], devices: [], pageCount: 0, fieldCount: 0 },
  firstDivergence: null,
};

/**
 * Compare two snapshots of machines of equal memory size.
 * @throws ConfigError when the sizes differ, DecodeError when a file turns out damaged meanwhile
 */
export function diffSnapshots(a: Snapshot, b: Snapshot): SnapshotDiff {
  if (a.meta.memoryBytes !== b.meta.memoryBytes) {
    throw new ConfigError(
      'diff',
      `${a.meta.memoryBytes} and ${b.meta.memoryBytes} bytes of memory`,
      'snapshots are compared only when both machines have the same memory size',
    );
  }
  const registers = diffRegisters(a, b);
  const { pages, pageCount } = diffPages(a, b);
  const fields = new FieldDiffer();
  fields.compare('configuration', a.meta.configuration, b.meta.configuration);
  fields.compare('devices', a.devices, b.devices);
  return {
    identical: registers.length === 0 && pageCount === 0 && fields.count === 0,
    registers,
    pages,
    devices: fields.differences,
    pageCount,
    fieldCount: fields.count,
    firstDivergence: null,
  };
}

/** A field of the record itself, not one that every object inherits. */
function own(record: StateRecord, name: string): StateValue | undefined {
  return Object.hasOwn(record, name) ? record[name] : undefined;
}

function toDiffValue(value: StateValue | undefined): DiffValue {
  if (value === undefined || value === null) return null;
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (typeof value === 'object') return JSON.stringify(value, bytesAsHex);
  return value;
}

function bytesAsHex(_name: string, value: unknown): unknown {
  return value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value;
}

function diffRegisters(a: Snapshot, b: Snapshot): RegisterDifference[] {
  const named: RegisterDifference[] = [];
  for (const name of new Set([...Object.keys(a.registers), ...Object.keys(b.registers)])) {
    const ofA = toDiffValue(own(a.registers, name));
    const ofB = toDiffValue(own(b.registers, name));
    if (ofA !== ofB) named.push({ name, a: ofA, b: ofB });
  }
  if (named.length === 0) named.push(...diffCpuState(a.cpuState, b.cpuState));
  if (a.meta.guestNs !== b.meta.guestNs) named.unshift({ name: 'guest-ns', a: a.meta.guestNs, b: b.meta.guestNs });
  if (a.meta.icount !== b.meta.icount) named.unshift({ name: 'icount', a: a.meta.icount, b: b.meta.icount });
  return named;
}

function diffCpuState(a: Uint8Array, b: Uint8Array): RegisterDifference[] {
  const differences: RegisterDifference[] = [];
  if (a.length !== b.length) differences.push({ name: 'cpu-state.length', a: a.length, b: b.length });
  for (const { offset, a: ofA, b: ofB } of diffBytes(a, b).bytes) {
    differences.push({ name: `cpu-state[${offset}]`, a: ofA, b: ofB });
  }
  return differences;
}

/** Compare as far as both reach. */
function diffBytes(a: Uint8Array, b: Uint8Array): { bytes: ByteDifference[]; byteCount: number } {
  const bytes: ByteDifference[] = [];
  let byteCount = 0;
  const length = Math.min(a.length, b.length);
  if (Buffer.compare(a.subarray(0, length), b.subarray(0, length)) === 0) return { bytes, byteCount };
  for (let offset = 0; offset < length; offset++) {
    if (a[offset] === b[offset]) continue;
    byteCount++;
    if (bytes.length < BYTES_NAMED_MAX) bytes.push({ offset, a: a[offset]!, b: b[offset]! });
  }
  return { bytes, byteCount };
}

const ZERO_PAGE = new Uint8Array(PAGE_BYTES);

function diffPages(a: Snapshot, b: Snapshot): { pages: PageDifference[]; pageCount: number } {
  const pages: PageDifference[] = [];
  let pageCount = 0;
  if (a.samePages?.(b) === true) return { pages, pageCount };
  for (let index = 0; index < a.meta.memoryBytes / PAGE_BYTES; index++) {
    const ofA = a.page(index);
    const ofB = b.page(index);
    if (ofA === null && ofB === null) continue;
    const { bytes, byteCount } = diffBytes(ofA ?? ZERO_PAGE, ofB ?? ZERO_PAGE);
    if (byteCount === 0) continue;
    pageCount++;
    if (pages.length < PAGES_NAMED_MAX) pages.push({ address: index * PAGE_BYTES, bytes, byteCount });
  }
  return { pages, pageCount };
}

function isPlainRecord(value: StateValue | undefined): value is StateRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
}

/** Walks two trees of state side by side and collects the paths of what differs. */
class FieldDiffer {
  readonly differences: FieldDifference[] = [];
  count = 0;

  compare(path: string, a: StateValue | undefined, b: StateValue | undefined): void {
    if (a === b) return;
    if (a instanceof Uint8Array && b instanceof Uint8Array) this.#bytes(path, a, b);
    else if (Array.isArray(a) && Array.isArray(b)) {
      this.#arrays(path, a as readonly StateValue[], b as readonly StateValue[]);
    } else if (isPlainRecord(a) && isPlainRecord(b)) {
      for (const name of new Set([...Object.keys(a), ...Object.keys(b)])) {
        this.compare(`${path}.${name}`, own(a, name), own(b, name));
      }
    } else this.#add(path, a, b);
  }

  #arrays(path: string, a: readonly StateValue[], b: readonly StateValue[]): void {
    for (let i = 0; i < Math.max(a.length, b.length); i++) this.compare(`${path}[${i}]`, a[i], b[i]);
  }

  #bytes(path: string, a: Uint8Array, b: Uint8Array): void {
    if (a.length !== b.length) this.#add(`${path}.length`, a.length, b.length);
    const { bytes, byteCount } = diffBytes(a, b);
    for (const { offset, a: ofA, b: ofB } of bytes) this.#add(`${path}[${offset}]`, ofA, ofB);
    this.count += byteCount - bytes.length;
  }

  #add(path: string, a: StateValue | undefined, b: StateValue | undefined): void {
    this.count++;
    if (this.differences.length >= FIELDS_NAMED_MAX) return;
    const absentIn = a === undefined ? 'a' : 'b';
    const absent = a === undefined || b === undefined ? ({ absentIn } as const) : {};
    this.differences.push({ path, a: toDiffValue(a), b: toDiffValue(b), ...absent });
  }
}
