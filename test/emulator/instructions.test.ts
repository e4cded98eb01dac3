/**
 * Goal: what a processor's test ROM looks for and no other test here does: unassigned encodings, the longest instruction,
 * privileged and mode-dependent instructions, control registers, descriptor types, flags that POPF may change, ports.
 * Method: as segments.test.ts: single instructions behind a NOP in each mode, UD2 behind them.
 * Source: Intel SDM volume 2, each instruction and appendix A; volume 3, 2.5 (CR0), 3.5 (system types), 5.9, 20.2.7 and 20.3.
 */
import { describe, expect, test } from '@jest/globals';
import { GDT, le32, TSS } from './guest-code.js';
import { DATA_BASE, runSegment, type SegmentCase } from './run-segment.js';

const [DE, DB, BP, OF, BR, UD, GP, SS, NP] = [0, 1, 3, 4, 5, 6, 13, 12, 11];
type Mode = NonNullable<SegmentCase['mode']>;

function memory(digit: number): number[] {
  return [(digit << 3) | 5, ...le32(DATA_BASE)];
}

/** Vector, error code and place, where the instruction is at 1. */
function outcome(code: readonly number[], more: Partial<SegmentCase> = {}): [number, number | undefined, number] {
  const { vector, error, at } = runSegment({ code, ...more });
  return [vector, error, at];
}

describe('unassigned encodings are undefined', () => {
  const rows: [string, number[]][] = [
    ['0F FF', [0x0f, 0xff, 0xc0]],
    ['0F 0A', [0x0f, 0x0a]],
    ['0F A6', [0x0f, 0xa6, 0xc0]],
    ['MOV to CS', [0x8e, 0xc8]],
    ['MOV to segment register 6', [0x8e, 0xf0]],
    ['MOV from segment register 7', [0x8c, 0xf8]],
    ['LEA of a register', [0x8d, 0xc0]],
    ['LES of a register', [0xc4, 0xc0]],
    ['LSS of a register', [0x0f, 0xb2, 0xc0]],
    ['BOUND of a register', [0x62, 0xc0]],
    ['CMPXCHG8B of a register', [0x0f, 0xc7, 0xc8]],
    ['8F /1', [0x8f, ...memory(1)]],
    ['C6 /1', [0xc6, ...memory(1), 0]],
    ['FE /2', [0xfe, ...memory(2)]],
    ['FE /7', [0xfe, ...memory(7)]],
    ['FF /7', [0xff, ...memory(7)]],
    ['far CALL of a register', [0xff, 0xd8]],
    ['far JMP of a register', [0xff, 0xe8]],
    ['0F 00 /6', [0x0f, 0x00, 0xf0]],
    ['0F 01 /5', [0x0f, 0x01, 0xe8]],
    ['LGDT of a register', [0x0f, 0x01, 0xd0]],
    ['0F BA /3', [0x0f, 0xba, 0xd8, 0]],
    ['MOV to TR6', [0x0f, 0x26, 0xf0]],
    ['MOV to CR1', [0x0f, 0x22, 0xc8]],
    ['MOV from CR5', [0x0f, 0x20, 0xe8]],
  ];
  test.each(rows)('%s', (_, code) => {
    expect(outcome(code, { mode: 'ring0' })).toEqual([UD, undefined, 1]);
  });

  test.each([
    ['82 /0 is ADD', [0x82, 0xc0, 5], { eax: 5 }],
    ['D0 /6 is SHL', [0xd0, 0xf3], { ebx: 2 }],
    ['D6 is SALC', [0xf9, 0xd6], { eax: 0xff }],
  ])('but %s', (_, code, registers) => {
    const found = runSegment({ code, registers: { ebx: 1 } });
    expect(found).toMatchObject({ vector: UD, at: 1 + code.length });
    expect(found.after).toMatchObject(registers);
  });
});

test('an instruction of 15 bytes is one, of 16 bytes #GP(0)', () => {
  const add = [0x81, 0xc0, ...le32(7)];
  const prefixes = (count: number): number[] => Array<number>(count).fill(0x3e);
  expect(runSegment({ code: [...prefixes(9), ...add] })).toMatchObject({ vector: UD, at: 16, retired: 2 });
  expect(outcome([...prefixes(10), ...add])).toEqual([GP, 0, 1]);
  expect(outcome([...prefixes(15), 0x90])).toEqual([GP, 0, 1]);
});

describe('privileged instructions', () => {
  const rows: [string, number[]][] = [
    ['HLT', [0xf4]],
    ['LGDT', [0x0f, 0x01, ...memory(2)]],
    ['LIDT', [0x0f, 0x01, ...memory(3)]],
    ['LMSW', [0x0f, 0x01, 0xf0]],
    ['INVLPG', [0x0f, 0x01, ...memory(7)]],
    ['LLDT', [0x0f, 0x00, 0xd0]],
    ['LTR', [0x0f, 0x00, 0xd8]],
    ['CLTS', [0x0f, 0x06]],
    ['INVD', [0x0f, 0x08]],
    ['WBINVD', [0x0f, 0x09]],
    ['MOV to CR0', [0x0f, 0x22, 0xc0]],
    ['MOV from CR3', [0x0f, 0x20, 0xd8]],
    ['MOV to DR0', [0x0f, 0x23, 0xc0]],
    ['MOV from DR7', [0x0f, 0x21, 0xf8]],
    ['RDMSR', [0x0f, 0x32]],
    ['WRMSR', [0x0f, 0x30]],
    ['CLI', [0xfa]],
    ['STI', [0xfb]],
  ];
  test.each(rows)('%s is #GP(0) in ring 3 and in virtual 8086 mode', (name, code) => {
    expect(outcome(code)).toEqual([GP, 0, 1]);
    const with16 = code.length > 3 ? [...code.slice(0, 2), (code[2]! & 0x38) | 6, 0, 0x10] : code;
    const undefinedIn86 = name === 'LLDT' || name === 'LTR';
    expect(outcome(with16, { mode: 'v86' })).toEqual(undefinedIn86 ? [UD, undefined, 1] : [GP, 0, 1]);
  });

  test.each([
    ['CLI', [0xfa]],
    ['PUSHF', [0x9c]],
    ['POPF', [0x9d]],
    ['IRET', [0xcf]],
    ['INT 3 of two bytes', [0xcd, 3]],
  ])('%s needs IOPL 3 in virtual 8086 mode', (_, code) => {
    expect(outcome(code, { mode: 'v86', registers: { eflags: 0x22002 } })).toEqual([GP, 0, 1]);
  });

  test.each([
    ['SLDT', [0x0f, 0x00, 0xc0]],
    ['STR', [0x0f, 0x00, 0xc8]],
    ['VERR', [0x0f, 0x00, 0xe0]],
    ['VERW', [0x0f, 0x00, 0xe8]],
    ['LAR', [0x0f, 0x02, 0xc0]],
    ['LSL', [0x0f, 0x03, 0xc0]],
    ['ARPL', [0x63, 0xc0]],
  ])('%s is undefined in 8086 code', (_, code) => {
    for (const mode of ['real', 'v86'] as Mode[]) expect(outcome(code, { mode })).toEqual([UD, undefined, 1]);
  });

  test('POPF in ring 3 changes neither IF nor IOPL, and says nothing', () => {
    const stack = { esp: 0x7000, eflags: 0x0202 };
    const found = runSegment({ code: [0x9d], registers: stack, words: { 0x7000: 0x3002 } });
    expect(found).toMatchObject({ vector: UD, at: 2 });
    expect(found.word(found.registers.esp + 8) & 0x3200).toBe(0x0200);
  });
});

describe('control registers', () => {
  test.each([
    ['PG without PE', 0x80000010, GP],
    ['NW without CD', 0x20000011, GP],
    ['CD with NW', 0x60000011, UD],
  ])('MOV to CR0: %s', (_, eax, vector) => {
    const [found] = outcome([0x0f, 0x22, 0xc0], { mode: 'ring0', registers: { eax } });
    expect(found).toBe(vector);
  });

  test('LMSW sets PE and does not clear it', () => {
    const found = runSegment({ code: [0x0f, 0x01, 0xf0], mode: 'ring0', registers: { eax: 0 } });
    expect(found).toMatchObject({ vector: UD, at: 4 });
    expect(found.registers.cr0 & 1).toBe(1);
  });
});

describe('descriptor types', () => {
  const SELECTOR = 0x30;
  const types = Array.from({ length: 32 }, (_, type) => type);
  const at = (type: number, present = 0x80): Record<number, number> => ({
    [GDT + SELECTOR]: 0x1234,
    [GDT + SELECTOR + 4]: (type | present) << 8,
  });

  test.each(types)('LAR, LSL, VERR and VERW of type %i', (type) => {
    const system = type < 16;
    const code = type >= 24;
    const isValid = {
      lar: !system || [1, 2, 3, 4, 5, 9, 11, 12].includes(type),
      lsl: !system || [1, 2, 3, 9, 11].includes(type),
      verr: !system && (!code || (type & 2) !== 0),
      verw: !system && !code && (type & 2) !== 0,
    };
    const run = (opcode: number[]): ReturnType<typeof runSegment> =>
      runSegment({ code: [...opcode, 0x0f, 0x94, 0xc2], mode: 'ring0', registers: { ecx: SELECTOR }, words: at(type) });
    const lar = run([0x0f, 0x02, 0xc1]);
    const lsl = run([0x0f, 0x03, 0xc1]);
    expect([lar, lsl, run([0x0f, 0x00, 0xe1]), run([0x0f, 0x00, 0xe9])].map(({ after }) => after.edx)).toEqual(
      Object.values(isValid).map(Number),
    );
    if (isValid.lar) expect(lar.after.eax).toBe((type | 0x80) << 8);
    if (isValid.lsl) expect(lsl.after.eax).toBe(0x1234);
  });

  test.each(types)('a load of DS and of SS with type %i', (type) => {
    const load = (code: number[], present = 0x80): [number, number | undefined] => {
      const { vector, error } = runSegment({
        code,
        mode: 'ring0',
        registers: { eax: SELECTOR },
        words: at(type, present),
      });
      return [vector, error];
    };
    const data = type >= 16 && (type < 24 || (type & 2) !== 0);
    const stack = type >= 16 && type < 24 && (type & 2) !== 0;
    expect(load([0x8e, 0xd8])).toEqual(data ? [UD, undefined] : [GP, SELECTOR]);
    expect(load([0x8e, 0xd8], 0)).toEqual(data ? [NP, SELECTOR] : [GP, SELECTOR]);
    if (!stack) expect(load([0x8e, 0xd0])).toEqual([GP, SELECTOR]);
    if (stack) expect(load([0x8e, 0xd0], 0)).toEqual([SS, SELECTOR]);
  });
});

describe('exceptions of arithmetic', () => {
  const DIVIDE = {
    [0x3000]: 0x85000,
    [0x3004]: 0xee00,
    [0x3000 + 8 * OF]: 0x85000 + 16 * OF,
    [0x3004 + 8 * OF]: 0xee00,
    0x5000: 0xf4,
    0x5040: 0xf4,
  };
  test.each([
    ['DIV by 0', [0xf7, 0xf1], {}],
    ['DIV whose quotient is too large', [0xf6, 0xf1], { eax: 0x100, ecx: 1 }],
    ['IDIV whose quotient is too large', [0xf6, 0xf9], { eax: 0x80, ecx: 1 }],
    ['IDIV of the most negative number by -1', [0xf7, 0xf9], { eax: 0x80000000, edx: 0xffffffff, ecx: 0xffffffff }],
    ['AAM 0', [0xd4, 0], {}],
  ])('%s', (_, code, registers) => {
    const found = runSegment({ code, registers, words: DIVIDE });
    expect(found).toMatchObject({ vector: DE, at: 1, retired: 1 });
    expect(found.after).toEqual(found.before);
  });

  test('IDIV to the most negative quotient', () => {
    expect(runSegment({ code: [0xf6, 0xf9], registers: { eax: 0xff80, ecx: 1 } }).after.eax).toBe(0x80);
  });

  test('BOUND, INT3 and INTO', () => {
    const words = { ...DIVIDE, [DATA_BASE]: 2, [DATA_BASE + 4]: 4 };
    const bound = [0x62, ...memory(0)];
    for (const eax of [1, 5]) expect(outcome(bound, { words, registers: { eax } })).toEqual([BR, undefined, 1]);
    for (const eax of [2, 4]) expect(outcome(bound, { words, registers: { eax } })[0]).toBe(UD);
    expect(outcome([0xcc])).toEqual([BP, undefined, 2]);
    expect(outcome([0xce], { words, registers: { eflags: 0x802 } })).toEqual([OF, undefined, 2]);
    expect(outcome([0xce], { words })).toEqual([UD, undefined, 2]);
  });
});

describe('single steps', () => {
  const trap = { [0x3008]: 0x85010, [0x300c]: 0xee00, 0x5010: 0xf4 };
  test.each([
    ['a NOP', [0x90, 0x90], 1],
    ['MOV SS and the next', [0x8e, 0xd0, 0x90, 0x90], 3],
    ['POP SS and the next', [0x17, 0x90, 0x90], 2],
    ['STI', [0xfb, 0x90, 0x90], 1],
    ['the first pass of REP', [0xf3, 0xac, 0x90], 0],
  ])('trap behind %s', (_, code, at) => {
    // push flags with TF; popf; the code
    const set = [0x68, ...le32(0x3102), 0x9d];
    const registers = { eax: 0x23, ecx: 2, esp: 0x7000, esi: DATA_BASE, eflags: 0x3002 };
    const found = runSegment({ code: [...set, ...code], registers, words: { ...trap, 0x7000: 0x23 } });
    expect(found).toMatchObject({ vector: DB, at: 1 + set.length + at });
  });
});

test('PUSH of ESP stores it as it was', () => {
  const real = runSegment({ code: [0x54], mode: 'real', registers: { esp: 0x7000 } });
  expect(real.word(0x6ffe) & 0xffff).toBe(0x7000);
  expect(runSegment({ code: [0x54], registers: { esp: 0x7000 } }).word(0x6ffc)).toBe(0x7000);
});

test('a port beyond the bitmap is not allowed', () => {
  const IN = [0xec];
  const registers = { edx: 0x80 };
  const allowed = { [TSS + 0x64]: 0x680000 };
  expect(outcome(IN, { registers, words: allowed })[0]).toBe(UD);
  expect(outcome(IN, { registers: { edx: 0xffff }, words: { [TSS + 0x64]: 0x20000000 } })).toEqual([GP, 0, 1]);
  // In virtual 8086 mode the bitmap is asked whatever IOPL is.
  const v86 = { mode: 'v86', registers: { ...registers, eflags: 0x23002 } } as const;
  expect(outcome(IN, { ...v86, words: allowed })[0]).toBe(UD);
  expect(outcome(IN, { ...v86, words: { ...allowed, [TSS + 0x68 + 0x10]: 1 } })).toEqual([GP, 0, 1]);
});
