/**
 * Goal: an x87 exception that is unmasked leaves the operands as they were: invalid, denormal and divided ones of arithmetic and
 * comparisons, of loads, and of stores those that do not fit, too. C1 tells a directed rounding.
 * Method: the instruction on a given stack, once with all exceptions unmasked, once with all masked.
 * Source: Intel SDM volume 1, 8.1.3.2, 8.5.1.2 to 8.5.6, 8.7; volume 2, FCOM, FCOMI, FST, FIST.
 */
import { describe, expect, test } from '@jest/globals';
import { float80, type Float80 } from './x87/float80.js';
import { ARITHMETIC, memory, runOnStack, TOP } from './x87/run-stack.js';

const [IE, DE, ZE, OE, UE, PE, C1] = [1, 2, 4, 8, 0x10, 0x20, 0x200];
const SUMMARY = 0x8080;
const UNMASKED = 0x340;
const MASKED = 0x37f;
const CONDITIONS = 0x4500;
const ONE = float80(0x3fff, 1n << 63n);
const TWO = float80(0x4000, 1n << 63n);
const MINUS_ONE = float80(0xbfff, 1n << 63n);
const ZERO = float80(0, 0n);
const DENORMAL = float80(0, 5n);
const INFINITY = float80(0x7fff, 1n << 63n);
const MINUS_INFINITY = float80(0xffff, 1n << 63n);
const SIGNALLING = float80(0x7fff, (1n << 63n) | 1n);
const QUIET = float80(0x7fff, (3n << 62n) | 1n);
const HUGE = float80(0x7ffe, 1n << 63n);
const TINY = float80(0x3fff - 140, 1n << 63n);
/** 1 and a little. */
const LONG = float80(0x3fff, (1n << 63n) | 1n);

type Row = [name: string, code: number[], registers: Float80[], flag: number, pops: number];

describe('arithmetic and comparisons', () => {
  const both = (x: Float80, y: Float80): Float80[] => [x, ONE, y];
  const ROWS: Row[] = [
    ...ARITHMETIC.flatMap(([name, digit]): Row[] => [
      [`${name} ST(0), ST(2): signalling NaN`, [0xd8, 0xc2 | (digit << 3)], both(ONE, SIGNALLING), IE, 0],
      [`${name} ST(2), ST(0): signalling NaN`, [0xdc, 0xc2 | (digit << 3)], both(SIGNALLING, ONE), IE, 0],
      [`${name}P: signalling NaN`, [0xde, 0xc2 | (digit << 3)], both(ONE, SIGNALLING), IE, 1],
      [`${name} ST(0), ST(2): denormal`, [0xd8, 0xc2 | (digit << 3)], both(DENORMAL, TWO), DE, 0],
      [`${name}P: denormal`, [0xde, 0xc2 | (digit << 3)], both(DENORMAL, ONE), DE, 1],
      [`${name} m32: signalling NaN`, memory(0xd8, digit), [ONE], IE, 0],
    ]),
    ['FADD of infinities', [0xd8, 0xc2], both(INFINITY, MINUS_INFINITY), IE, 0],
    ['FDIV by zero', [0xd8, 0xf2], both(ONE, ZERO), ZE, 0],
    ['FDIVP by zero', [0xde, 0xfa], both(ZERO, ONE), ZE, 1],
    ['FSQRT of -1', [0xd9, 0xfa], [MINUS_ONE], IE, 0],
    ['FRNDINT of a denormal', [0xd9, 0xfc], [DENORMAL], DE, 0],
    ['FCOM with a NaN', [0xd8, 0xd2], both(ONE, QUIET), IE, 0],
    ['FCOMP of a denormal', [0xd8, 0xda], both(DENORMAL, ONE), DE, 1],
    ['FCOMPP with a NaN', [0xde, 0xd9], [QUIET, ONE], IE, 2],
    ['FUCOMPP with a signalling NaN', [0xda, 0xe9], [SIGNALLING, ONE], IE, 2],
    ['FTST of a NaN', [0xd9, 0xe4], [QUIET], IE, 0],
    ['FCOMIP with a NaN', [0xdf, 0xf2], both(QUIET, ONE), IE, 1],
  ];

  test.each(ROWS)('%s', (_, code, registers, flag, pops) => {
    const stack = { registers, operand: [1, 0, 0x80, 0x7f], eflags: 2 };
    const all = [...registers, ...Array.from({ length: 8 - registers.length }, () => undefined)];
    const kept = runOnStack(code, { ...stack, control: UNMASKED });
    expect([kept.status, kept.top, kept.raised]).toEqual([flag | SUMMARY, TOP, true]);
    expect([kept.registers, kept.status & CONDITIONS, kept.eflags & 0x8d5]).toEqual([all, 0, 0]);
    const done = runOnStack(code, { ...stack, control: MASKED });
    expect([done.status & 0x87, done.top, done.raised]).toEqual([flag, TOP + pops, false]);
    expect([done.registers, done.status & CONDITIONS, done.eflags & 0x45]).not.toEqual([all, 0, 0]);
  });
});

describe('loads', () => {
  test.each([
    ['FLD m32: signalling NaN', memory(0xd9, 0), [1, 0, 0x80, 0x7f], IE],
    ['FLD m32: denormal', memory(0xd9, 0), [1, 0, 0, 0], DE],
    ['FLD m64: signalling NaN', memory(0xdd, 0), [1, 0, 0, 0, 0, 0, 0xf0, 0x7f], IE],
    ['FLD m64: denormal', memory(0xdd, 0), [1, 0, 0, 0, 0, 0, 0, 0], DE],
  ])('%s', (_, code, operand, flag) => {
    const kept = runOnStack(code, { registers: [ONE], operand, control: UNMASKED });
    expect([kept.status, kept.top, kept.raised]).toEqual([flag | SUMMARY, TOP, true]);
    expect(kept.registers.filter((value) => value !== undefined)).toEqual([ONE]);
    expect(kept.contents).toEqual(runOnStack([0x90], { registers: [ONE] }).contents);
    const done = runOnStack(code, { registers: [ONE], operand, control: MASKED });
    expect([done.status, done.top, done.raised]).toEqual([flag, TOP - 1, false]);
  });
});

describe('stores', () => {
  const untouched = Array.from({ length: 10 }, () => 0xaa);
  test.each<Row>([
    ['FSTP m32: signalling NaN', memory(0xd9, 3), [SIGNALLING], IE, 1],
    ['FST m64: signalling NaN', memory(0xdd, 2), [SIGNALLING], IE, 0],
    ['FSTP m32: too large', memory(0xd9, 3), [HUGE], OE, 1],
    ['FSTP m64: too large', memory(0xdd, 3), [HUGE], OE, 1],
    ['FST m32: too small', memory(0xd9, 2), [TINY], UE, 0],
    ['FISTP m16: too large', memory(0xdf, 3), [HUGE], IE, 1],
    ['FIST m32: too large', memory(0xdb, 2), [HUGE], IE, 0],
    ['FISTP m64: a NaN', memory(0xdf, 7), [QUIET], IE, 1],
    ['FBSTP: too large', memory(0xdf, 6), [HUGE], IE, 1],
  ])('%s', (_, code, registers, flag, pops) => {
    const kept = runOnStack(code, { registers, control: UNMASKED });
    expect([kept.status, kept.top, kept.raised]).toEqual([flag | SUMMARY, TOP, true]);
    expect([kept.registers[0], kept.operand]).toEqual([registers[0], untouched]);
    const done = runOnStack(code, { registers, control: MASKED });
    expect([done.top, done.raised]).toEqual([TOP + pops, false]);
    expect(done.operand).not.toEqual(untouched);
  });

  test('an inexact one is stored and popped all the same', () => {
    const after = runOnStack(memory(0xd9, 3), { registers: [LONG], control: UNMASKED });
    expect([after.status, after.top, after.raised]).toEqual([PE | SUMMARY, TOP + 1, true]);
    expect(after.operand.slice(0, 4)).toEqual([0, 0, 0x80, 0x3f]);
  });
});

test('C1 tells whether a directed rounding was away from zero', () => {
  const c1 = (code: readonly number[], control: number, x: Float80): number =>
    runOnStack(code, { registers: [x, LONG], control: MASKED | (control << 10) }).status & (C1 | PE);
  const negative = { ...LONG, signExponent: 0xbfff };
  for (const code of [memory(0xd9, 3), memory(0xdb, 2), [0xd9, 0xfc], [0xd8, 0xc9]]) {
    expect([1, 2, 3].map((control) => c1(code, control, LONG))).toEqual([PE, PE | C1, PE]);
    expect([1, 2, 3].map((control) => c1(code, control, negative))).toEqual([PE | C1, PE, PE]);
  }
});
