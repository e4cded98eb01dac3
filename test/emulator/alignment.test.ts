/**
 * Goal: with EFLAGS.AC and CR0.AM set, ring 3 gets #AC for operands that are not aligned, and nobody else does.
 * Method: each instruction at each of 16 offsets, against the alignment of its type in the manual's table.
 * Source: Intel SDM volume 3, 6.15 (interrupt 17, table 6-7) and table 6-2 (priorities).
 */
import { describe, expect, test } from '@jest/globals';
import { CODE, le32, STACK, TSS } from './guest-code.js';
import { DATA_BASE, runSegment, type SegmentCase } from './run-segment.js';

const [UD, SS, GP, PF, AC] = [6, 12, 13, 14, 17];
const CHECKED = { cr0: 0x40011, eflags: 0x40002 };

function outcome(code: readonly number[], more: Partial<SegmentCase> = {}): [number, number | undefined, number] {
  const registers = { ...CHECKED, ...more.registers };
  const { vector, error, at } = runSegment({ code, ...more, registers });
  return [vector, error, at];
}

/** Alignment, and the instruction without the address that follows it. */
const rows: [string, number, number[]][] = [
  ['MOV r8', 1, [0x8a, 0x05]],
  ['MOV r16', 2, [0x66, 0x8b, 0x05]],
  ['MOV r32', 4, [0x8b, 0x05]],
  ['MOV to memory', 4, [0x89, 0x05]],
  ['ADD to memory', 4, [0x01, 0x05]],
  ['LOCK XADD', 4, [0xf0, 0x0f, 0xc1, 0x05]],
  ['LOCK ADD', 4, [0xf0, 0x01, 0x05]],
  ['LOCK CMPXCHG8B', 8, [0xf0, 0x0f, 0xc7, 0x0d]],
  ['CMPXCHG8B', 8, [0x0f, 0xc7, 0x0d]],
  ['MOVZX from r16', 2, [0x0f, 0xb7, 0x05]],
  ['PUSH of memory', 4, [0xff, 0x35]],
  ['FLD m32', 4, [0xd9, 0x05]],
  ['FLD m64', 8, [0xdd, 0x05]],
  ['FLD m80', 8, [0xdb, 0x2d]],
  ['FSTP m80', 8, [0xdb, 0x3d]],
  ['FBLD', 8, [0xdf, 0x25]],
  ['FILD m16', 2, [0xdf, 0x05]],
  ['FNSTENV', 4, [0xd9, 0x35]],
  ['FNSTENV of 14 bytes', 2, [0x66, 0xd9, 0x35]],
  ['FNSAVE', 4, [0xdd, 0x35]],
  ['FNSTCW', 2, [0xd9, 0x3d]],
  ['MOVQ', 8, [0x0f, 0x6f, 0x05]],
  ['MOVSS', 4, [0xf3, 0x0f, 0x10, 0x05]],
  ['MOVSD', 8, [0xf2, 0x0f, 0x11, 0x05]],
  ['SGDT', 4, [0x0f, 0x01, 0x05]],
  ['SMSW', 2, [0x0f, 0x01, 0x25]],
  ['PREFETCH', 1, [0x0f, 0x18, 0x05]],
  ['LEA', 1, [0x8d, 0x05]],
];

describe('each operand has its alignment', () => {
  test.each(rows)('%s: %i', (_, align, opcode) => {
    for (let offset = 0; offset < 16; offset++) {
      const code = [...opcode, ...le32(DATA_BASE + 0x100 + offset)];
      const expected = offset % align === 0 ? [UD, undefined, 1 + code.length] : [AC, 0, 1];
      expect([offset, ...outcome(code)]).toEqual([offset, ...expected]);
    }
  });

  test('string instructions, the stack, and bit strings', () => {
    const at = (edi: number): Partial<SegmentCase> => ({ registers: { edi, esi: DATA_BASE, ecx: 2 } });
    expect(outcome([0xf3, 0xab], at(DATA_BASE))[0]).toBe(UD);
    expect(outcome([0xf3, 0xab], at(DATA_BASE + 2))).toEqual([AC, 0, 1]);
    expect(outcome([0xf3, 0xaa], at(DATA_BASE + 1))[0]).toBe(UD);
    expect(outcome([0x50], { registers: { esp: 0x7002 } })).toEqual([AC, 0, 1]);
    expect(outcome([0x66, 0x50], { registers: { esp: 0x7002 } })[0]).toBe(UD);
    expect(outcome([0x0f, 0xab, 0x05, ...le32(DATA_BASE)], { registers: { eax: 100 } })[0]).toBe(UD);
    expect(outcome([0x0f, 0xab, 0x05, ...le32(DATA_BASE + 1)], { registers: { eax: 100 } })).toEqual([AC, 0, 1]);
  });
});

describe('far transfers within ring 3 push and pop on a stack that is aligned', () => {
  const STACK_TOP = DATA_BASE + 0x200;
  const behind = (code: readonly number[]): number => CODE + 1 + code.length;
  const call32 = [0x9a, ...le32(CODE + 8), 0x1b, 0];
  const call16 = (selector: number): number[] => [0x66, 0x9a, 0x07, 0x10, selector, 0];
  /** To the instruction behind it, which is undefined; what lies on the stack, and its alignment. */
  const transfers: [string, number, number[], number[]][] = [
    ['CALL', 4, call32, []],
    ['CALL of 16 bits', 2, call16(0x1b), []],
    ['CALL through memory', 4, [0xff, 0x1d, ...le32(DATA_BASE)], []],
    ['RET', 4, [0xcb], [CODE + 2, 0x1b]],
    ['RET of 16 bits', 2, [0x66, 0xcb], [0x1b0000 | (CODE + 3)]],
    ['IRET', 4, [0xcf], [CODE + 2, 0x1b, 2]],
    ['IRET of 16 bits', 2, [0x66, 0xcf], [0x1b0000 | (CODE + 3), 2]],
  ];
  test.each(transfers)('%s: %i', (_, align, code, stack) => {
    for (let offset = 0; offset < 8; offset++) {
      const esp = STACK_TOP + offset;
      const words = Object.fromEntries([
        ...stack.map((word, index) => [esp + 4 * index, word]),
        ...[behind(code), 0x1b].map((word, index) => [DATA_BASE + 4 * index, word]),
      ]) as Record<number, number>;
      const given = { code, words, registers: { ...CHECKED, esp } };
      const found = runSegment(given);
      if (offset % align === 0) {
        expect([offset, found.vector, found.at]).toEqual([offset, UD, 1 + code.length]);
      } else {
        expect([offset, found.vector, found.error, found.at]).toEqual([offset, AC, 0, 1]);
        expect(found.after).toEqual(found.before);
      }
      const unchecked = { ...given, registers: { ...given.registers, eflags: 2 } };
      expect(runSegment(unchecked)).toMatchObject({ vector: UD, at: 1 + code.length });
    }
  });

  test.each([
    ['CALL', [0x9a, 0x06, 0x10, 0, 0], []],
    ['RET', [0xcb], [CODE + 2]],
    ['IRET with IOPL 3', [0xcf], [CODE + 2, 0x3002]],
  ])('%s of virtual 8086 mode', (_, code, stack) => {
    const at = (esp: number): [number, number | undefined, number] => {
      const words = Object.fromEntries(stack.map((word, index) => [esp + 4 * index, word]));
      return outcome(code, { mode: 'v86', words, registers: { eflags: 0x63002, esp } });
    };
    expect(at(0x7000)).toEqual([UD, undefined, 1 + code.length]);
    expect(at(0x7001)).toEqual([AC, 0, 1]);
  });

  test('behind the faults of the stack and of its pages', () => {
    const paging = { ...CHECKED, cr0: 0x80040011 };
    expect(outcome(call32, { missing: 0x22000, registers: { ...paging, esp: 0x22002 } })[0]).toBe(PF);
    expect(outcome([0xcb], { missing: 0x22000, registers: { ...paging, esp: 0x21ffe } })[0]).toBe(PF);
    const ss = { base: 0, limit: DATA_BASE, flags: 0x40f300 };
    expect(outcome([0xcb], { segments: { ss }, registers: { esp: DATA_BASE - 5 } })).toEqual([SS, 0, 1]);
  });

  test('not in ring 0, nor on the stack that a gate leads to', () => {
    const words = { 0x7002: CODE + 2, 0x7006: 8 };
    expect(outcome([0xcb], { mode: 'ring0', words, registers: { esp: 0x7002 } })[0]).toBe(UD);
    expect(outcome([0xcc], { words: { [TSS + 4]: STACK - 2 } })[0]).toBe(3);
  });
});

describe('nobody else', () => {
  const code = [0xa1, ...le32(DATA_BASE + 1)];
  test.each([
    ['without AC', { registers: { eflags: 2 } }],
    ['without AM', { registers: { cr0: 0x11 } }],
    ['ring 0', { mode: 'ring0' }],
  ] as [string, Partial<SegmentCase>][])('%s', (_, more) => {
    expect(outcome(code, more)[0]).toBe(UD);
  });

  test('virtual 8086 mode is ring 3', () => {
    const v86 = { mode: 'v86', registers: { eflags: 0x60002 } } as const;
    expect(outcome([0xa1, 1, 0x10], v86)).toEqual([AC, 0, 1]);
    expect(outcome([0xa1, 2, 0x10], v86)[0]).toBe(UD);
  });
});

test('where 16 bytes must be aligned it is #GP, whatever page they lie on', () => {
  const at = le32(0x21ff8);
  const paging = { ...CHECKED, cr0: 0x80040011 };
  for (const opcode of [
    [0x0f, 0x29, 0x05], // MOVAPS
    [0x0f, 0x5c, 0x05], // SUBPS
    [0x0f, 0xae, 0x05], // FXSAVE
    [0x0f, 0xae, 0x0d], // FXRSTOR
  ])
    expect(outcome([...opcode, ...at], { missing: 0x22000, registers: paging })).toEqual([GP, 0, 1]);
});

test('faults of the segment and of the page come first', () => {
  const paging = { ...CHECKED, cr0: 0x80040011 };
  const far = [0x36, 0xa1, ...le32(DATA_BASE + 1)];
  const small = { base: 0, limit: DATA_BASE, flags: 0x40f300 };
  expect(outcome(far, { segments: { ss: small } })).toEqual([SS, 0, 1]);
  expect(outcome([0xa1, ...le32(0x21fff)], { missing: 0x22000, registers: paging })[0]).toBe(PF);
  expect(outcome([0xa1, ...le32(0x22001)], { missing: 0x22000, registers: paging })[0]).toBe(PF);
  expect(outcome([0xa1, ...le32(0x21ffb)], { missing: 0x22000, registers: paging })).toEqual([AC, 0, 1]);
});
