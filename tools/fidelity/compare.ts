/**
 * Two traces of one program, compared record by record.
 *
 * A sequence is compared up to its first difference: what follows there proves nothing. The next sequence starts from
 * a state of its own.
 */
import { END_VECTOR, LAYOUT } from './layout.js';
import type { Program } from './program.js';
import type { Placed, Sequence } from './sequence.js';
import {
  decode,
  frameWraps,
  isVirtual8086,
  recordCs,
  recordEcx,
  recordEip,
  recordVector,
  splitTrace,
  type RawRecord,
  type State,
} from './trace.js';
import { PREFIXES, stray } from './stray.js';
import { undefinedFlags } from './undefined-flags.js';

export interface Field {
  readonly name: string;
  readonly ours: number | string;
  readonly reference: number | string;
}

export interface Difference {
  readonly program: Program;
  readonly sequenceIndex: number;
  readonly sequence: Sequence;
  /** The instruction after which the states differ; unknown in code without a trace. */
  readonly placed: Placed | undefined;
  /** The one that ran first after the record before; others may have run without a trap until `placed`. */
  readonly first: Placed | undefined;
  readonly before: State | undefined;
  /** What ft86's record says; undefined: it has none. */
  readonly after: State | undefined;
  /** Vector of ft86's record; -1: it has none. */
  readonly vector: number;
  readonly fields: readonly Field[];
  /** Whether an access before it was beyond a limit for ft86 and in a missing page for the reference. */
  readonly limited: boolean;
}

export interface Comparison {
  /** Instructions of sequences whose resulting states were equal; in a program without a trace, records. */
  readonly compared: number;
  /** Sequences of which both emulators have all records. */
  readonly sequences: number;
  /** Instructions after which only undefined flags differ. */
  readonly onlyUndefined: number;
  readonly differences: readonly Difference[];
}

/** Vectors that leave EIP at the instruction, which the monitor then skips. */
const FAULTS = new Set([0, 5, 6, 7, 10, 11, 12, 13, 14, 16, 17, 19]);

/** Base address that the descriptor of a selector says. */
function segmentBase(image: Buffer, selector: number): number {
  const at = ((selector & 4) === 0 ? LAYOUT.GDT : LAYOUT.LDT) + (selector & ~7);
  return ((image.readUInt32LE(at) >>> 16) | ((image[at + 4]! << 16) | (image[at + 7]! << 24))) >>> 0;
}

/** How far the monitor moves EIP after a fault, which it takes to lie in the sequence's own code segment. */
function skippedLength(image: Buffer, address: number): number {
  const offset = (address - LAYOUT.CODE) >>> 0;
  const length = offset < LAYOUT.CODE_BYTES ? image[LAYOUT.LENGTHS + offset]! : 0;
  return length <= 15 ? length : 0;
}

function faulted(record: RawRecord | undefined): boolean {
  return record !== undefined && FAULTS.has(recordVector(record));
}

/** Walks through a sequence along its records, to say which instruction led to each. */
class Walk {
  readonly #byAddress: ReadonlyMap<number, Placed>;
  readonly #image: Buffer;
  readonly #sequence: Sequence;
  #next: number;

  constructor(image: Buffer, sequence: Sequence) {
    this.#image = image;
    this.#sequence = sequence;
    this.#byAddress = new Map(sequence.placed.map((placed) => [placed.address, placed]));
    this.#next = sequence.placed[0]!.address;
  }

  /** The sequence's instruction that runs next. */
  get placed(): Placed | undefined {
    return this.#byAddress.get(this.#next);
  }

  /** The instruction that led to a record: a fault says so itself; it need not be the next when the one before it had no trap. */
  culprit(record: RawRecord | undefined): Placed | undefined {
    const address = record !== undefined && faulted(record) ? this.#address(record) : this.#next;
    return this.#byAddress.get(address) ?? stray(this.#image, this.#sequence.entry, address);
  }

  advance(record: RawRecord): void {
    const skipped = faulted(record) ? skippedLength(this.#image, recordEip(record) + this.#sequence.csBase) : 0;
    this.#next = (this.#address(record) + skipped) >>> 0;
  }

  #address(record: RawRecord): number {
    const cs = recordCs(record);
    if (this.#sequence.kind === 'real' || isVirtual8086(record)) return (recordEip(record) & 0xffff) + (cs << 4);
    return (recordEip(record) + segmentBase(this.#image, cs)) >>> 0;
  }
}

/** Mask of the flags that `placed` leaves undefined when it runs after `previous`. */
function maskOf(placed: Placed | undefined, previousEcx: number, bits: number): number {
  if (placed === undefined) return 0;
  const { bytes, undefinedFlags: rule } = placed.instruction;
  if (rule === '') return 0;
  const opcodeAt = bytes.findIndex((byte) => !PREFIXES.has(byte));
  const opcode = bytes[opcodeAt]!;
  const wide = bytes.slice(0, opcodeAt).includes(0x66) ? 48 - bits : bits;
  const fromCl = opcode === 0x0f ? (bytes[opcodeAt + 1]! & 1) === 1 : opcode >= 0xd2;
  const count = fromCl ? previousEcx & 0xff : bytes.at(-1)!;
  const isByte = opcode !== 0x0f && (opcode & 1) === 0;
  return undefinedFlags(rule, count, isByte ? 8 : wide);
}

function differingFields(ours: State, reference: State): Field[] {
  const names = new Set([...Object.keys(ours.values), ...Object.keys(reference.values)]);
  return [...names]
    .map((name) => ({ name, ours: ours.values[name] ?? '-', reference: reference.values[name] ?? '-' }))
    .filter((field) => field.ours !== field.reference);
}

function onlyFlags(fields: readonly Field[], mask: number): boolean {
  return fields.every(
    ({ name, ours, reference }) => name === 'eflags' && ((Number(ours) ^ Number(reference)) & ~mask) === 0,
  );
}

const STACK_FAULT = 12;
const GENERAL_PROTECTION = 13;
const PAGE_FAULT = 14;

/** Whether ft86 found an access beyond its segment's limit that the reference found in a page that it may not use. */
function isLimitBeforePage(ours: State, reference: State, fields: readonly Field[]): boolean {
  return (
    (ours.vector === STACK_FAULT || ours.vector === GENERAL_PROTECTION) &&
    ours.values['error'] === 0 &&
    reference.vector === PAGE_FAULT &&
    fields.every(({ name }) => name === 'vector' || name === 'error' || name === 'cr2')
  );
}

type Outcome = { compared: number; undefinedOnly: boolean; difference?: Omit<Difference, 'program' | 'sequenceIndex'> };

function compareSequence(
  image: Buffer,
  sequence: Sequence,
  ours: readonly RawRecord[],
  reference: readonly RawRecord[],
): Outcome {
  const walk = new Walk(image, sequence);
  const bits = ['user32', 'flat32', 'ring0'].includes(sequence.kind) ? 32 : 16;
  const real = sequence.kind === 'real';
  let previousEcx = sequence.entry.readUInt32LE(56);
  let before: RawRecord | undefined;
  let limited = false;
  for (let step = 0; step < Math.max(ours.length, reference.length); step++) {
    const mine = ours[step];
    const theirs = reference[step];
    const { placed } = walk;
    if (real && [mine, theirs].some((record) => record !== undefined && frameWraps(record)))
      return { compared: step, undefinedOnly: false };
    if (mine !== undefined && theirs !== undefined && mine.equals(theirs)) {
      if (recordVector(mine) === END_VECTOR) return { compared: step, undefinedOnly: false };
      walk.advance(mine);
      previousEcx = recordEcx(mine);
      before = mine;
      continue;
    }
    const empty: State = { vector: -1, values: {} };
    const state = mine === undefined ? empty : decode(mine, real);
    const theirState = theirs === undefined ? empty : decode(theirs, real);
    const fields = differingFields(state, theirState);
    const limit = isLimitBeforePage(state, theirState, fields);
    limited ||= limit;
    // There the exception's frame lies on the sequence's own stack, and the next instruction may read it.
    if (limit && (real || sequence.kind === 'ring0')) return { compared: step, undefinedOnly: false };
    if (fields.length > 0 && !limit) {
      const culprit = walk.culprit(mine);
      const mask = maskOf(culprit, previousEcx, bits);
      const defined = fields.filter((field) => !onlyFlags([field], mask));
      if (defined.length === 0) return { compared: step, undefinedOnly: true };
      const beforeState = before === undefined ? undefined : decode(before, real);
      return {
        compared: step,
        undefinedOnly: false,
        difference: {
          sequence,
          placed: culprit,
          first: placed,
          before: beforeState,
          after: mine === undefined ? undefined : state,
          vector: mine === undefined ? -1 : recordVector(mine),
          fields: defined,
          limited,
        },
      };
    }
    if (recordVector(mine!) === END_VECTOR) return { compared: step, undefinedOnly: false };
    walk.advance(mine!);
    previousEcx = recordEcx(mine!);
    before = mine!;
  }
  return { compared: ours.length, undefinedOnly: false };
}

/** Number of the sequence in which a trace ends. */
export function lastSequence(program: Program, ram: Buffer): number {
  return splitTrace(ram, program.sequences).findLastIndex((records) => records.length > 0);
}

/** Compare what both emulators left in RAM, of the sequences before number `end`. */
export function compareTraces(program: Program, ours: Buffer, reference: Buffer, end = Infinity): Comparison {
  const mine = splitTrace(ours, program.sequences);
  const theirs = splitTrace(reference, program.sequences);
  const result = { compared: 0, sequences: 0, onlyUndefined: 0, differences: [] as Difference[] };
  program.sequences.forEach((sequence, index) => {
    const [a, b] = [mine[index]!, theirs[index]!];
    if (index >= end || (a.length === 0 && b.length === 0)) return;
    const outcome = compareSequence(program.image, sequence, a, b);
    result.compared += outcome.compared;
    result.sequences += 1;
    if (outcome.undefinedOnly) result.onlyUndefined += 1;
    if (outcome.difference) result.differences.push({ program, sequenceIndex: index, ...outcome.difference });
  });
  return result;
}
