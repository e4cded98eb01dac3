/**
 * Goal: an x87 instruction that needs an empty register and finds none, or a full one that is empty, raises a stack fault:
 * masked, the indefinite number takes the result's place; unmasked, nothing changes, nothing is stored and nothing is popped,
 * and the next waiting instruction gets #MF. C1 tells overflow from underflow.
 * Method: a table of instructions, each on a full and on an empty stack, with the exception masked and not.
 * Source: Intel SDM volume 1, 8.1.3.2 (C1), 8.5.1.1, 8.7; table 4-3 and 4.2 (indefinite numbers); volume 2, each instruction.
 */
import { describe, expect, test } from '@jest/globals';
import { le32 } from './guest-code.js';
import { float80, type Float80 } from './x87/float80.js';
import { ARITHMETIC, MASKED, memory, runOnStack, TOP, type After, type Stack } from './x87/run-stack.js';

const [IE, SF, C1] = [0x01, 0x40, 0x200];
const SUMMARY = 0x8080;
const UNORDERED = 0x4500;
const UNMASKED = MASKED & ~IE;
const ZPC = 0x45;
const INDEFINITE = float80(0xffff, 3n << 62n);
/** 2, 3, ... 9 in ST(0) to ST(7). */
const FULL = Array.from({ length: 8 }, (_, i) => float80(0x403e, BigInt(i + 2)).significand).map(number);
const EMPTY = Array.from({ length: 8 }, () => undefined);

function number(value: bigint): Float80 {
  const bits = value.toString(2).length;
  return float80(0x3ffe + bits, value << BigInt(64 - bits));
}

const single = [0, 0, 0x80, 0x3f, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa];
const double = [0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0xaa, 0xaa];
const extended = [0, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0x3f];
const integer = [1, 0, 0, 0, 0, 0, 0, 0, 0, 0];

type Row = readonly [name: string, code: readonly number[], operand: readonly number[]];
/** A number in each format. */
const some = [0x34, 0x12, 0xc0, 0x3f, 0x34, 0x12, 0xc0, 0x3f, 0, 0];

function outcomes(code: readonly number[], registers: Stack['registers'], operand?: readonly number[]): [After, After] {
  const stack = { registers, ...(operand ? { operand } : {}) };
  return [runOnStack(code, stack), runOnStack(code, { ...stack, control: UNMASKED })];
}

function expectUnchanged(after: After, registers: Stack['registers'], status: number): void {
  expect(after.status & 0x827f).toBe((status | SUMMARY) & 0x827f);
  expect(after.status & 0x80).toBe(0x80);
  expect([after.raised, after.top]).toEqual([true, TOP]);
  expect(after.registers).toEqual(registers);
}

describe('overflow of loads', () => {
  const LOADS: Row[] = [
    ['FLD m32', memory(0xd9, 0), single],
    ['FLD m64', memory(0xdd, 0), double],
    ['FLD m80', memory(0xdb, 5), extended],
    ['FILD m16', memory(0xdf, 0), integer],
    ['FILD m32', memory(0xdb, 0), integer],
    ['FILD m64', memory(0xdf, 5), integer],
    ['FBLD', memory(0xdf, 4), integer],
    ['FLD1', [0xd9, 0xe8], some],
    ['FLDL2T', [0xd9, 0xe9], some],
    ['FLDL2E', [0xd9, 0xea], some],
    ['FLDPI', [0xd9, 0xeb], some],
    ['FLDLG2', [0xd9, 0xec], some],
    ['FLDLN2', [0xd9, 0xed], some],
    ['FLDZ', [0xd9, 0xee], some],
  ];

  test.each([...LOADS, ['FLD ST(3)', [0xd9, 0xc3], some] as Row])('%s on a full stack', (_, code, operand) => {
    const [masked, unmasked] = outcomes(code, FULL, operand);
    expect([masked.status, masked.top, masked.raised]).toEqual([IE | SF | C1, TOP - 1, false]);
    expect(masked.registers).toEqual([...FULL.slice(0, 7), INDEFINITE]);
    expectUnchanged(unmasked, FULL, IE | SF | C1);
  });

  test.each(LOADS)('%s with room clears C1', (_, code, operand) => {
    for (const after of outcomes(code, EMPTY, operand)) {
      expect([after.status, after.top, after.raised]).toEqual([0, TOP - 1, false]);
      expect(after.registers.slice(0, 7)).toEqual(EMPTY.slice(0, 7));
      expect(after.registers[7]).toBeDefined();
    }
  });

  test('FBLD, FLD of 80 bits and FILD load what is there', () => {
    const loaded = (code: readonly number[], operand: readonly number[]): unknown =>
      runOnStack(code, { registers: EMPTY, operand }).registers[7];
    const digits = [0x34, 0x12, 0, 0, 0, 0, 0, 0, 0, 0x80];
    expect(loaded(memory(0xdf, 4), digits)).toEqual({ ...number(1234n), signExponent: 0xc009 });
    expect(loaded(memory(0xdf, 4), [0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80])).toEqual(float80(0x8000, 0n));
    expect(loaded(memory(0xdf, 4), [0x99, 0x99, 0x99, 0x99, 0x99, 0x99, 0x99, 0x99, 0x99, 0])).toEqual(
      number(999_999_999_999_999_999n),
    );
    expect(loaded(memory(0xdb, 5), [1, 2, 3, 4, 5, 6, 7, 8, 9, 0xa])).toEqual(float80(0xa09, 0x0807060504030201n));
    expect(loaded(memory(0xdf, 5), [...le32(0), ...le32(1), 0, 0])).toEqual(number(1n << 32n));
  });

  test.each([0, 1, 6, 7])('FLD ST(%i) of an empty register is an underflow', (i) => {
    const [masked, unmasked] = outcomes([0xd9, 0xc0 + i], EMPTY);
    expect([masked.status, masked.top]).toEqual([IE | SF, TOP - 1]);
    expect(masked.registers).toEqual([...EMPTY.slice(0, 7), INDEFINITE]);
    expectUnchanged(unmasked, EMPTY, IE | SF);
    const rest = FULL.map((value, at) => (at === 7 || at === i ? undefined : value));
    expectUnchanged(outcomes([0xd9, 0xc0 + i], rest)[1], rest, IE | SF);
  });

  test('FLD ST(2)', () => {
    const room = [...FULL.slice(0, 7), undefined];
    const after = runOnStack([0xd9, 0xc2], { registers: room });
    expect([after.status, after.registers]).toEqual([0, [...FULL.slice(0, 7), number(4n)]]);
  });
});

describe('underflow of stores', () => {
  const bytes = (...low: number[]): number[] => [...low, ...Array.from({ length: 10 - low.length }, () => 0xaa)];
  const STORES: [name: string, code: number[], pops: number, indefinite: number[]][] = [
    ['FST m32', memory(0xd9, 2), 0, bytes(0, 0, 0xc0, 0xff)],
    ['FSTP m32', memory(0xd9, 3), 1, bytes(0, 0, 0xc0, 0xff)],
    ['FST m64', memory(0xdd, 2), 0, bytes(0, 0, 0, 0, 0, 0, 0xf8, 0xff)],
    ['FSTP m64', memory(0xdd, 3), 1, bytes(0, 0, 0, 0, 0, 0, 0xf8, 0xff)],
    ['FSTP m80', memory(0xdb, 7), 1, bytes(0, 0, 0, 0, 0, 0, 0, 0xc0, 0xff, 0xff)],
    ['FIST m16', memory(0xdf, 2), 0, bytes(0, 0x80)],
    ['FISTP m16', memory(0xdf, 3), 1, bytes(0, 0x80)],
    ['FIST m32', memory(0xdb, 2), 0, bytes(0, 0, 0, 0x80)],
    ['FISTP m32', memory(0xdb, 3), 1, bytes(0, 0, 0, 0x80)],
    ['FISTP m64', memory(0xdf, 7), 1, bytes(0, 0, 0, 0, 0, 0, 0, 0x80)],
    ['FBSTP', memory(0xdf, 6), 1, bytes(0, 0, 0, 0, 0, 0, 0, 0xc0, 0xff, 0xff)],
  ];

  test.each(STORES)('%s', (_, code, pops, indefinite) => {
    const [masked, unmasked] = outcomes(code, EMPTY);
    expect([masked.status, masked.top, masked.raised]).toEqual([IE | SF, TOP + pops, false]);
    expect([masked.operand, masked.registers]).toEqual([indefinite, EMPTY]);
    expectUnchanged(unmasked, EMPTY, IE | SF);
    expect(unmasked.operand).toEqual(bytes());
    for (const full of outcomes(code, FULL)) {
      expect([full.status, full.top, full.raised]).toEqual([0, TOP + pops, false]);
      expect(full.operand).not.toEqual(bytes());
      expect(full.registers).toEqual(pops ? [undefined, ...FULL.slice(1)] : FULL);
    }
  });

  test('values are stored as before', () => {
    const stored = (code: readonly number[]): number[] => [...runOnStack(code, { registers: FULL }).operand];
    expect(stored(memory(0xd9, 3))).toEqual(bytes(0, 0, 0, 0x40));
    expect(stored(memory(0xdd, 2))).toEqual(bytes(0, 0, 0, 0, 0, 0, 0, 0x40));
    expect(stored(memory(0xdf, 3))).toEqual(bytes(2, 0));
    expect(stored(memory(0xdf, 7))).toEqual(bytes(2, 0, 0, 0, 0, 0, 0, 0));
    expect(stored(memory(0xdf, 6))).toEqual([2, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
  });

  test('to a register: FST and FSTP ST(2), which is filled', () => {
    for (const [code, pops] of [
      [0xd2, 0],
      [0xda, 1],
    ] as const) {
      const [masked, unmasked] = outcomes([0xdd, code], EMPTY);
      expect([masked.status, masked.top]).toEqual([IE | SF, TOP + pops]);
      expect(masked.registers).toEqual(EMPTY.map((_, i) => (i === 2 ? INDEFINITE : undefined)));
      expectUnchanged(unmasked, EMPTY, IE | SF);
      const [one] = outcomes([0xdd, code], [number(2n), ...EMPTY.slice(1)]);
      expect([one.status, one.registers[2], one.registers[0]]).toEqual([0, number(2n), pops ? undefined : number(2n)]);
    }
  });
});

describe('underflow of arithmetic', () => {
  /** Code, register of the result, pops, and the other register it needs. */
  const ROWS: [name: string, code: number[], result: number, pops: number, other: number][] = [
    ...ARITHMETIC.flatMap(([name, digit]): [string, number[], number, number, number][] => [
      [`${name} m32`, memory(0xd8, digit), 0, 0, 0],
      [`${name} m64`, memory(0xdc, digit), 0, 0, 0],
      [`FI${name.slice(1)} m32`, memory(0xda, digit), 0, 0, 0],
      [`FI${name.slice(1)} m16`, memory(0xde, digit), 0, 0, 0],
      [`${name} ST(0), ST(2)`, [0xd8, 0xc2 | (digit << 3)], 0, 0, 2],
      [`${name} ST(2), ST(0)`, [0xdc, 0xc2 | (digit << 3)], 2, 0, 2],
      [`${name}P ST(2), ST(0)`, [0xde, 0xc2 | (digit << 3)], 2, 1, 2],
    ]),
    ['FCHS', [0xd9, 0xe0], 0, 0, 0],
    ['FABS', [0xd9, 0xe1], 0, 0, 0],
    ['FSQRT', [0xd9, 0xfa], 0, 0, 0],
    ['FRNDINT', [0xd9, 0xfc], 0, 0, 0],
    ['FCMOVNE ST(0), ST(2)', [0xdb, 0xca], 0, 0, 2],
    ['FCMOVE ST(0), ST(2), which does not move', [0xda, 0xca], 0, 0, 2],
  ];

  test.each(ROWS)('%s', (_, code, result, pops, other) => {
    for (const missing of new Set([0, other])) {
      const registers = FULL.map((value, i) => (i === missing ? undefined : value));
      const [masked, unmasked] = outcomes(code, registers, some);
      expect([masked.status & 0x7f, masked.status & C1, masked.top]).toEqual([IE | SF, 0, TOP + pops]);
      const expected = registers.map((value, i) => (i === result ? INDEFINITE : value));
      expect(masked.registers).toEqual(pops ? [undefined, ...expected.slice(1)] : expected);
      expectUnchanged(unmasked, registers, IE | SF);
      expect(unmasked.contents).toEqual(runOnStack([0x90], { registers }).contents);
    }
    for (const full of outcomes(code, FULL, some))
      expect([full.status & (IE | SF), full.top, full.raised]).toEqual([0, TOP + pops, false]);
  });

  test('FXCH fills an empty register first', () => {
    const [masked, unmasked] = outcomes([0xd9, 0xca], [undefined, ...FULL.slice(1)]);
    expect([masked.status, masked.registers[0], masked.registers[2]]).toEqual([IE | SF, number(4n), INDEFINITE]);
    expectUnchanged(unmasked, [undefined, ...FULL.slice(1)], IE | SF);
    const other = FULL.map((value, i) => (i === 2 ? undefined : value));
    expect(outcomes([0xd9, 0xca], other)[0].registers).toEqual([INDEFINITE, FULL[1], FULL[0], ...FULL.slice(3)]);
    const [both] = outcomes([0xd9, 0xca], EMPTY);
    expect([both.registers[0], both.registers[2]]).toEqual([INDEFINITE, INDEFINITE]);
    const [full] = outcomes([0xd9, 0xca], FULL);
    expect([full.status, full.registers]).toEqual([0, [FULL[2], FULL[1], FULL[0], ...FULL.slice(3)]]);
  });
});

describe('underflow of comparisons', () => {
  const ROWS: [name: string, code: number[], pops: number, other: number][] = [
    ['FCOM m32', memory(0xd8, 2), 0, 0],
    ['FCOMP m32', memory(0xd8, 3), 1, 0],
    ['FCOM m64', memory(0xdc, 2), 0, 0],
    ['FCOMP m64', memory(0xdc, 3), 1, 0],
    ['FICOM m32', memory(0xda, 2), 0, 0],
    ['FICOMP m16', memory(0xde, 3), 1, 0],
    ['FCOM ST(2)', [0xd8, 0xd2], 0, 2],
    ['FCOMP ST(2)', [0xd8, 0xda], 1, 2],
    ['FCOMPP', [0xde, 0xd9], 2, 1],
    ['FUCOM ST(2)', [0xdd, 0xe2], 0, 2],
    ['FUCOMP ST(2)', [0xdd, 0xea], 1, 2],
    ['FUCOMPP', [0xda, 0xe9], 2, 1],
    ['FTST', [0xd9, 0xe4], 0, 0],
  ];
  const without = (missing: number): Stack['registers'] => FULL.map((value, i) => (i === missing ? undefined : value));

  test.each(ROWS)('%s', (_, code, pops, other) => {
    for (const missing of new Set([0, other])) {
      const registers = without(missing);
      const [masked, unmasked] = outcomes(code, registers, some);
      expect([masked.status, masked.top]).toEqual([IE | SF | UNORDERED, TOP + pops]);
      expect(masked.registers).toEqual(registers.map((value, i) => (i < pops ? undefined : value)));
      expectUnchanged(unmasked, registers, IE | SF);
      expect(unmasked.status & UNORDERED).toBe(0);
    }
    const [full] = outcomes(code, FULL, [0, 0, 0, 0, 0, 0, 0, 0]);
    expect([full.status & ~UNORDERED, full.top]).toEqual([0, TOP + pops]);
  });

  test.each([
    ['FCOMI', [0xdb, 0xf2], 0],
    ['FCOMIP', [0xdf, 0xf2], 1],
    ['FUCOMI', [0xdb, 0xea], 0],
    ['FUCOMIP', [0xdf, 0xea], 1],
  ] as const)('%s: the flags are unordered, or keep ZF, PF and CF; OF, SF and AF are cleared', (_, code, pops) => {
    const all = 0x8d7;
    for (const missing of [0, 2])
      for (const eflags of [2, all]) {
        const stack = { registers: without(missing), eflags };
        const masked = runOnStack(code, stack);
        expect([masked.status, masked.top, masked.eflags & 0x8d5]).toEqual([IE | SF, TOP + pops, ZPC]);
        const unmasked = runOnStack(code, { ...stack, control: UNMASKED });
        expectUnchanged(unmasked, stack.registers, IE | SF);
        expect(unmasked.eflags & 0x8d5).toBe(eflags & ZPC);
      }
    const after = runOnStack(code, { registers: FULL, eflags: all });
    expect([after.status, after.top, after.eflags & 0x8d5]).toEqual([0, TOP + pops, 1]);
  });
});

test('FFREE, FINCSTP and FDECSTP wait, and fault on no stack', () => {
  // FLD1 on a full stack, unmasked: what follows is asked
  for (const code of [
    [0xdd, 0xc1],
    [0xd9, 0xf7],
    [0xd9, 0xf6],
    memory(0xdb, 5),
    memory(0xdb, 7),
    memory(0xdf, 6),
    [0xda, 0xca],
  ])
    expect(() => runOnStack([0xd9, 0xe8, ...code], { registers: FULL, control: UNMASKED })).toThrow(
      '#MF came too early',
    );
});
