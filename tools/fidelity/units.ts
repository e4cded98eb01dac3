/**
 * Units of a sequence: single instructions, or a few that need each other (a count before REP, a frame before IRET).
 * Jumps lead to the start of a later unit only, so that a unit is never entered in the middle.
 */
import { encode, fixed, littleEndian, type Instruction } from './encode.js';
import { FLOAT_TABLES } from './float-table.js';
import { INTEGER_TABLES } from './integer-table.js';
import type { Chooser } from './random-values.js';
import { dataOffset, type Shape } from './shape.js';
import { BOUNDED_SELECTORS, SELECTORS, spaceAddress } from './tables.js';
import { LAYOUT } from './layout.js';
import type { Template } from './template.js';

export interface UnitContext {
  readonly choose: Chooser;
  readonly shape: Shape;
  /** The code segment the sequence runs in. */
  readonly cs: number;
  readonly cr0: number;
  /** TF, or 0 when nothing is traced. */
  readonly traceFlag: number;
}

const ECX = 1;
const EDX = 2;
const ESI = 6;
const EDI = 7;

/** MOV r, imm of the shape's size; or of 32 bits. */
function load({ shape }: UnitContext, register: number, value: number, bits: number = shape.bits): Instruction {
  const prefix = bits === shape.bits ? [] : [0x66];
  return fixed('b8 +r iz', ...prefix, 0xb8 + register, ...littleEndian(value, bits / 8));
}

function push({ shape }: UnitContext, value: number): Instruction {
  return fixed('68 iz', 0x68, ...littleEndian(value, shape.bits / 8));
}

/** An instruction whose immediate becomes the address of a later unit. */
function toLater(context: UnitContext, template: string, opcode: readonly number[]): Instruction {
  const size = context.shape.bits / 8;
  const bytes = [...opcode, ...littleEndian(0, size)];
  return { bytes, template, undefinedFlags: '', target: { at: opcode.length, size, relative: false } };
}

function plain(context: UnitContext, table: readonly Template[]): Instruction[] {
  const { choose, shape } = context;
  for (;;) {
    const template = choose.pick(table);
    if (template.words.has('only3') && shape.ring === 0) continue;
    if (template.words.has('notReal') && shape.kind === 'real') continue;
    return [encode(choose, shape, template)];
  }
}

function stringUnit(context: UnitContext): Instruction[] {
  const { choose, shape } = context;
  const unit = [load(context, ECX, choose.below(10), 32)];
  for (const register of [ESI, EDI])
    if (choose.chance(60)) unit.push(load(context, register, dataOffset(shape, choose, 1), 32));
  const [{ bytes, template }] = plain(context, INTEGER_TABLES.string) as [Instruction];
  const repeat = choose.chance(70) ? [choose.pick([0xf2, 0xf3])] : [];
  const address = shape.paging && choose.chance(8) ? [0x67] : [];
  const segment = choose.chance(10) ? [choose.pick([0x26, 0x2e, 0x64, 0x65])] : [];
  unit.push(fixed(template, ...repeat, ...segment, ...address, ...bytes));
  return unit;
}

/** Flags to be loaded: any that keep a sequence in its mode, and traced. */
function randomFlags({ choose, shape, traceFlag }: UnitContext): number {
  const dangerous = shape.ring === 0 ? 0x24000 : choose.chance(90) ? 0x4000 : 0;
  return ((choose.u32() & 0x277ed7 & ~dangerous) | traceFlag | 2) >>> 0;
}

function flagsUnit(context: UnitContext): Instruction[] {
  return [push(context, randomFlags(context)), fixed('9d', 0x9d)];
}

/** RET, RETF, IRET, JMP and CALL through a register: to a later unit. */
function returnUnit(context: UnitContext): Instruction[] {
  const { choose, cs } = context;
  const target = toLater(context, '68 iz', [0x68]);
  const far = push(context, cs);
  switch (choose.weighted({ near: 3, nearPop: 1, far: 2, iret: 3, register: 3, ownFar: 2 })) {
    case 'near':
      return [target, fixed('c3', 0xc3)];
    case 'nearPop':
      return [target, fixed('c2 iw', 0xc2, choose.below(16), 0)];
    case 'far':
      return [far, target, choose.chance(50) ? fixed('cb', 0xcb) : fixed('ca iw', 0xca, choose.below(16), 0)];
    case 'iret':
      return [push(context, randomFlags(context)), far, target, fixed('cf', 0xcf)];
    case 'register':
      return [toLater(context, 'b8 +r iz', [0xb8 + EDX]), fixed('ff /2 /4 reg', 0xff, choose.pick([0xd2, 0xe2]))];
    case 'ownFar': {
      const { bytes, target: place } = toLater(context, '9a ea far', [choose.pick([0x9a, 0xea])]);
      bytes.push(...littleEndian(cs, 2));
      return [{ bytes, template: '9a ea far', undefinedFlags: '', target: place! }];
    }
  }
}

function leaveUnit(context: UnitContext): Instruction[] {
  const [low, high] = context.shape.stack;
  return [load(context, 5, low + context.choose.below(high - low)), fixed('c9', 0xc9)];
}

/** Segment registers with selectors that mean something. */
function segmentUnit(context: UnitContext): Instruction[] {
  const { choose, shape } = context;
  const segment = choose.pick([0, 0, 3, 3, 4, 5, 2]);
  const good = segment === 2 ? shape.stackSegments : shape.dataSegments;
  const selector = choose.chance(segment === 2 && shape.ring === 0 ? 100 : 60)
    ? choose.pick(good)
    : choose.pick(shape.selectors);
  if (segment !== 2 && choose.chance(30) && shape.kind !== 'real') {
    const opcode = choose.pick([[0xc4], [0xc5], [0x0f, 0xb4], [0x0f, 0xb5]]);
    const address = shape.bits === 16 ? [0x67] : [];
    const pointer = push(context, dataOffset(shape, choose, 1));
    return [push(context, selector), pointer, fixed('c4 c5 0fb4 0fb5 /r mem', ...address, ...opcode, 0x34, 0x24)];
  }
  return [load(context, EDX, selector), fixed('8e /s', 0x8e, 0xc2 | (segment << 3))];
}

/** ARPL LAR LSL VERR VERW SLDT STR of selectors that mean something. */
function selectorUnit(context: UnitContext): Instruction[] {
  const { choose } = context;
  const selector = choose.pick(BOUNDED_SELECTORS) | choose.below(4);
  const opcode = choose.pick([[0x63], [0x0f, 0x02], [0x0f, 0x03], [0x0f, 0x00]]);
  const digit = choose.pick([4, 5]);
  const last = opcode[1] === 0 ? 0xc2 | (digit << 3) : 0xc2 | (choose.pick([0, 1, 3]) << 3);
  return [load(context, EDX, selector), fixed('arpl lar lsl verr verw', ...opcode, last)];
}

/** Ports 5000h to 5fffh are allowed and empty; others are refused unless IOPL or ring say otherwise. */
function portUnit(context: UnitContext): Instruction[] {
  const { choose, shape } = context;
  // Reads of an empty port are bytes: wider ones are all ones on a PC, and 0 in QEMU.
  const direction = choose.below(2) << 1;
  const isWord = direction === 0 ? 0 : choose.below(2);
  if (choose.chance(25)) return [fixed('e4 e5 e6 e7 ib', 0xe4 | direction | isWord, 0xe0 + choose.below(9))];
  const unit = [load(context, EDX, 0x5000 + choose.below(0xff0), 32)];
  if (choose.chance(60)) return [...unit, fixed('ec ed ee ef', 0xec | direction | isWord)];
  unit.push(
    load(context, ECX, choose.below(5), 32),
    load(context, choose.pick([ESI, EDI]), dataOffset(shape, choose, 1), 32),
  );
  const repeat = choose.chance(60) ? [0xf3] : [];
  return [...unit, fixed('6c 6d 6e 6f', ...repeat, 0x6c | direction | isWord)];
}

/** Control, debug and task registers, in ring 0. */
function controlUnit(context: UnitContext): Instruction[] {
  const { choose, cr0 } = context;
  const any = anyLowRegister(choose);
  switch (
    choose.weighted({
      cr0: 3,
      cr2: 1,
      cr3: 2,
      cr4: 2,
      readCr: 3,
      badCr: 1,
      dr: 2,
      dr7: 1,
      readDr: 2,
      lmsw: 2,
      tables: 2,
    })
  ) {
    case 'cr0':
      return [
        load(context, EDX, (cr0 ^ choose.pick([2, 4, 8, 0x10000, 0x40000, 0])) >>> 0),
        fixed('mov cr0', 0x0f, 0x22, 0xc2),
      ];
    case 'cr2':
      return [fixed('mov cr2', 0x0f, 0x22, 0xd0 | any)];
    case 'cr3':
      return [
        load(context, EDX, spaceAddress(choose.below(LAYOUT.SPACE_COUNT)) | choose.pick([0, 8, 0x10])),
        fixed('mov cr3', 0x0f, 0x22, 0xda),
      ];
    case 'cr4':
      return [
        load(context, EDX, LAYOUT.BASE_CR4 ^ choose.pick([0, 4, 8, 0x80, 0x200, 0x400])),
        fixed('mov cr4', 0x0f, 0x22, 0xe2),
      ];
    case 'readCr':
      return [fixed('mov r, cr', 0x0f, 0x20, 0xc0 | (choose.pick([0, 2, 3, 4]) << 3) | any)];
    case 'badCr':
      return [fixed('mov cr bad', 0x0f, choose.pick([0x20, 0x22]), 0xc0 | (choose.pick([1, 5, 6, 7]) << 3) | any)];
    case 'dr':
      return [fixed('mov dr', 0x0f, 0x23, 0xc0 | (choose.pick([0, 1, 2, 3, 6]) << 3) | any)];
    case 'dr7':
      return [
        load(context, EDX, choose.u32() & 0xffff0300),
        fixed('mov dr7', 0x0f, 0x23, 0xc0 | (choose.pick([5, 7]) << 3) | EDX),
      ];
    case 'readDr':
      return [fixed('mov r, dr', 0x0f, 0x21, 0xc0 | (choose.below(8) << 3) | any)];
    case 'lmsw':
      return [load(context, EDX, 1 | (choose.below(8) << 1)), fixed('lmsw', 0x0f, 0x01, 0xf2)];
    case 'tables': {
      // LTR of a null selector should be #GP; QEMU and the engine take it and end at the next interrupt from ring 3.
      const loadsTask = choose.chance(50);
      const selectors = BOUNDED_SELECTORS.filter((s) => s !== SELECTORS.task16 && !(loadsTask && s === 0));
      const selector = choose.pick(selectors) | choose.below(4);
      return [load(context, EDX, selector), fixed('lldt ltr', 0x0f, 0x00, loadsTask ? 0xda : 0xd2)];
    }
  }
}

function anyLowRegister(choose: Chooser): number {
  return choose.pick([0, 1, 2, 3, 5, 6, 7]);
}

/** INT n: gates for all, gates for ring 0, none. */
function interruptUnit({ choose, shape }: UnitContext): Instruction[] {
  const high = shape.ring === 0 ? 0x2f : 0x3f;
  const vector = choose.chance(50) ? 0x20 + choose.below(high - 0x1f) : choose.pick([0, 3, 4, 5, 6, 0x20]);
  return [fixed('cd ib', 0xcd, vector)];
}

const WEIGHTS = {
  arithmetic: 14, arithmeticMore: 12, move: 12, conditional: 6, shift: 10, multiply: 8, bits: 8, decimal: 5, string: 7,
  stack: 6, jump: 8, segment: 4, privileged: 3, undefined: 3, x87Memory: 7, x87Register: 7, x87Transcendental: 1, mmx: 6,
  sse: 6, sse2: 8, flags: 2, return: 5, leave: 1, segmentUnit: 4, selector: 3, port: 2, control: 3, interrupt: 2, prime: 10,
} as const; // prettier-ignore

/** One random unit. */
export function randomUnit(context: UnitContext): Instruction[] {
  const { choose, shape } = context;
  const kind = choose.weighted(WEIGHTS);
  switch (kind) {
    case 'string':
      return stringUnit(context);
    case 'flags':
      return flagsUnit(context);
    case 'return':
      return returnUnit(context);
    case 'leave':
      return leaveUnit(context);
    case 'segmentUnit':
      return segmentUnit(context);
    case 'selector':
      return selectorUnit(context);
    case 'port':
      return portUnit(context);
    case 'interrupt':
      return interruptUnit(context);
    case 'control':
      return shape.kind === 'ring0' ? controlUnit(context) : plain(context, INTEGER_TABLES.privileged);
    case 'prime':
      return [load(context, anyLowRegister(choose), dataOffset(shape, choose, 1))];
    case 'x87Memory':
    case 'x87Register':
    case 'x87Transcendental':
    case 'mmx':
    case 'sse':
    case 'sse2':
      return plain(context, FLOAT_TABLES[kind]);
    default:
      return plain(context, INTEGER_TABLES[kind]);
  }
}
