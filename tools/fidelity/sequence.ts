/**
 * One test sequence: a dozen random units at an address, and the state they start in.
 *
 *   CODE: | unit | unit | ... | UD2 (end) |      jumps go forward to a unit's first byte
 */
import { LAYOUT, LENGTH_END } from './layout.js';
import { littleEndian, type Instruction } from './encode.js';
import type { Chooser } from './random-values.js';
import { dataOffset, SHAPES, type Kind, type Shape } from './shape.js';
import { CODE16_WINDOWS, SELECTORS, spaceAddress } from './tables.js';
import { randomUnit, type UnitContext } from './units.js';

/** An instruction at its place. */
export interface Placed {
  /** Linear address of its first byte. */
  readonly address: number;
  readonly instruction: Instruction;
}

export interface Sequence {
  readonly kind: Kind;
  readonly csBase: number;
  readonly placed: readonly Placed[];
  /** All of its code, from `placed[0].address` on, with the closing UD2. */
  readonly code: Buffer;
  /** Its line of the monitor's table, SEQUENCE_BYTES long. */
  readonly entry: Buffer;
}

const KINDS: Readonly<Record<Kind, number>> = { user32: 34, flat32: 16, user16: 10, ring0: 18, v86: 12, real: 10 };
const KIND_NUMBERS: Readonly<Record<Kind, number>> = { user32: 0, flat32: 0, user16: 0, ring0: 1, v86: 0, real: 2 };
const UD2 = [0x0f, 0x0b];

/** Selector and base of the code segment for code at `address`. */
function codeSegment(choose: Chooser, kind: Kind, address: number): { cs: number; csBase: number } {
  const window = Math.floor((address - LAYOUT.CODE) / 0x10000);
  switch (kind) {
    case 'flat32':
      return { cs: SELECTORS.flatCode3 | 3, csBase: 0 };
    case 'ring0':
      return { cs: SELECTORS.code0, csBase: LAYOUT.CODE };
    case 'user16':
      return {
        cs: (SELECTORS.code16 + 8 * Math.min(window, CODE16_WINDOWS - 1)) | 3,
        csBase: LAYOUT.CODE + 0x10000 * window,
      };
    case 'v86':
    case 'real': {
      const cs = (address >>> 4) - choose.below(Math.min(0x800, (address - LAYOUT.CODE) >>> 4) + 1);
      return { cs, csBase: cs << 4 };
    }
    case 'user32':
      return {
        cs: choose.pick([SELECTORS.code3 | 3, SELECTORS.code3 | 3, SELECTORS.conforming | 3, 0x0c | 3]),
        csBase: LAYOUT.CODE,
      };
  }
}

/** Fill in where each jump of unit `index` leads. */
function resolve(
  choose: Chooser,
  unit: readonly Placed[],
  starts: readonly number[],
  index: number,
  csBase: number,
): void {
  for (const { address, instruction } of unit) {
    const { target, bytes } = instruction;
    if (target === undefined) continue;
    const after = address + bytes.length;
    let later = Math.min(starts.length - 1, index + 1 + choose.below(4));
    if (target.relative && target.size === 1) while (later > index + 1 && starts[later]! - after > 127) later--;
    const value = target.relative ? starts[later]! - after : starts[later]! - csBase;
    littleEndian(value, target.size).forEach((byte, i) => (bytes[target.at + i] = byte));
  }
}

interface ControlRegisters {
  readonly cr0: number;
  readonly cr3: number;
  readonly cr4: number;
}

function controlRegisters(choose: Chooser, shape: Shape): ControlRegisters {
  let cr0: number = LAYOUT.BASE_CR0;
  if (shape.kind !== 'real') {
    if (choose.chance(3)) cr0 |= choose.pick([4, 8, 2, 0xa]);
    if (choose.chance(30)) cr0 |= 0x10000;
    if (choose.chance(5)) cr0 |= 0x40000;
  }
  if (shape.paging) cr0 = (cr0 | 0x80000000) >>> 0;
  const cr4 = LAYOUT.BASE_CR4 ^ (choose.chance(10) ? choose.pick([4, 8, 0x80, 0x200, 0x400]) : 0);
  return { cr0, cr3: spaceAddress(choose.chance(40) ? 0 : choose.below(LAYOUT.SPACE_COUNT)), cr4 };
}

function startFlags(choose: Chooser, kind: Kind, traceFlag: number): number {
  let flags = (choose.u32() & 0x8d5) | traceFlag | 2;
  if (choose.chance(20)) flags |= 0x400;
  if (choose.chance(30)) flags |= 0x3000;
  if (choose.chance(20)) flags |= 0x200;
  if (kind === 'v86') flags |= 0x20000;
  else if (choose.chance(5) && kind !== 'real') flags |= choose.pick([0x40000, 0x200000, 0x10000]);
  return flags;
}

function startEntry(context: UnitContext, csBase: number, address: number, control: ControlRegisters): Buffer {
  const { choose, shape, cs } = context;
  const entry = Buffer.alloc(LAYOUT.SEQUENCE_BYTES);
  const put = (offset: number, value: number): number => entry.writeUInt32LE(value >>> 0, offset);
  const fx = LAYOUT.FX_IMAGES + 512 * choose.below(FX_IMAGES);
  const template = LAYOUT.TEMPLATES + LAYOUT.SCRATCH_BYTES * choose.below(TEMPLATES);
  [KIND_NUMBERS[shape.kind], csBase, control.cr0, control.cr3, control.cr4, fx, shape.scratch, template].forEach(
    (value, index) => put(4 * index, value),
  );
  for (let register = 0; register < 8; register++)
    put(32 + 4 * register, choose.chance(60) ? dataOffset(shape, choose, 1) : choose.value());
  const [low, high] = shape.stack;
  const align = choose.chance(90) ? ~3 : ~0;
  const data = (): number => choose.pick(shape.dataSegments);
  const flags = startFlags(choose, shape.kind, context.traceFlag);
  const stack = (low + choose.below(high - low)) & align;
  [address - csBase, cs, flags, stack, choose.pick(shape.stackSegments), data(), data(), data(), data()].forEach(
    (value, index) => put(64 + 4 * index, value),
  );
  return entry;
}

/** How many FPU images and scratch templates a program holds. */
export const FX_IMAGES = 64;
export const TEMPLATES = 8;

/** Make a sequence whose code starts at `start` or a little later. `traced`: TF is set. */
export function randomSequence(choose: Chooser, start: number, traced: boolean): Sequence {
  const shape = SHAPES[choose.weighted(KINDS)];
  // 16-bit code must not run into the next 64 KiB.
  const address = (start & 0xffff) > 0xfe00 ? (start | 0xffff) + 1 : start;
  const { cs, csBase } = codeSegment(choose, shape.kind, address);
  const control = controlRegisters(choose, shape);
  const context = { choose, shape, cs, cr0: control.cr0, traceFlag: traced ? 0x100 : 0 };
  const units: Placed[][] = [];
  const starts: number[] = [];
  let at = address;
  for (let left = 6 + choose.below(10); left > 0; left--) {
    starts.push(at);
    const unit = randomUnit(context).map((instruction) => {
      const placed = { address: at, instruction };
      at += instruction.bytes.length;
      return placed;
    });
    units.push(unit);
  }
  starts.push(at);
  units.forEach((unit, index) => resolve(choose, unit, starts, index, csBase));
  const placed = units.flat();
  const code = Buffer.from([...placed.flatMap(({ instruction }) => instruction.bytes), ...UD2]);
  const entry = startEntry(context, csBase, address, control);
  return { kind: shape.kind, csBase, placed, code, entry };
}

/** Mark a sequence's instructions in the length table. */
export function markLengths(lengths: Buffer, sequence: Sequence): void {
  for (const { address, instruction } of sequence.placed) lengths[address - LAYOUT.CODE] = instruction.bytes.length;
  lengths[sequence.placed[0]!.address + sequence.code.length - UD2.length - LAYOUT.CODE] = LENGTH_END;
}
