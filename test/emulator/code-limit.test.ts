/**
 * Goal: no byte of an instruction is taken from beyond the limit of CS (#GP(0) for that instruction), and no near jump leads
 * there (#GP(0) for the jump, which changes nothing).
 * Method: as segments.test.ts: single instructions behind a NOP, UD2 behind them.
 * Source: Intel SDM volume 3, 5.3; volume 2, JMP, CALL, RET, Jcc, LOOP.
 */
import { describe, expect, test } from '@jest/globals';
import { CODE, GDT, le32 } from './guest-code.js';
import { DATA_BASE, runSegment, type SegmentCase } from './run-segment.js';

const GP = 13;
/** The code segment ends here, far behind the code. */
const END = 0x1fff;
/** Beyond it. */
const BEYOND = 0x3000;
const AFTER_NOP = CODE + 1;
const ZERO = 0x242;

function run(code: number[], more: Partial<SegmentCase> = {}): ReturnType<typeof runSegment> {
  return runSegment({ code, codeLimit: END, fill: 0x77, ...more });
}

function expectFault(code: number[], more: Partial<SegmentCase> = {}): void {
  const found = run(code, more);
  expect(found).toMatchObject({ vector: GP, at: 1, retired: 1 });
  expect(found.error).toBe(more.mode === 'real' ? undefined : 0);
  expect(found.after).toEqual(found.before);
}

/** A jump's displacement from behind it to BEYOND. */
function far(opcode: number[], bytes = 4): number[] {
  const target = BEYOND - (AFTER_NOP + opcode.length + bytes);
  return [...opcode, ...le32(target).slice(0, bytes)];
}

describe('an instruction', () => {
  test.each(['ring3', 'ring0', 'v86'] as const)('must lie within the limit: %s', (mode) => {
    const code = [0x66, 0x81, 0xc3, 1, 2]; // add bx, 201h, or ebx in 16-bit code, of which this is the start
    expectFault(code, { mode, codeLimit: AFTER_NOP + 3 });
    expectFault(code, { mode, codeLimit: AFTER_NOP });
    expectFault(code, { mode, codeLimit: CODE });
  });

  test('may end at the limit; the next one faults', () => {
    expect(run([0x40, 0x40], { codeLimit: AFTER_NOP })).toMatchObject({ vector: GP, at: 2, retired: 2 });
    expect(run([0x40, 0x40], { codeLimit: AFTER_NOP + 3 })).toMatchObject({ vector: 6, at: 3, retired: 3 });
  });

  test('is held against the limit of the segment that it runs in', () => {
    // inc eax; nop; nop; jmp 33h:1001h, where the same code has a limit that ends before the jump
    const code = [0x40, 0x90, 0x90, 0xea, ...le32(AFTER_NOP), 0x33, 0];
    const descriptor = { at: GDT + 0x30, base: 0, limit: AFTER_NOP + 2, flags: 0x40fb00 };
    const found = run(code, { descriptor });
    expect(found).toMatchObject({ vector: GP, error: 0, at: 4, retired: 1 + 4 + 3 });
    expect(found.after.eax).toBe(2);
  });
});

describe('a near jump beyond the limit faults', () => {
  const data = le32(DATA_BASE);
  const rows: [name: string, code: number[], more?: Partial<SegmentCase>][] = [
    ['JMP', far([0xe9])],
    ['JMP of 8 bits', [0xeb, 0x70], { codeLimit: CODE + 0x40 }],
    ['JMP to a negative offset', [0xe9, ...le32(-0x2000)]],
    ['CALL', far([0xe8])],
    ['JZ', far([0x0f, 0x84]), { registers: { eflags: ZERO } }],
    ['JNZ', far([0x0f, 0x85])],
    ['JMP of a register', [0xff, 0xe3], { registers: { ebx: BEYOND } }],
    ['CALL of a register', [0xff, 0xd3], { registers: { ebx: BEYOND } }],
    ['JMP through memory', [0xff, 0x25, ...data]],
    ['CALL through memory', [0xff, 0x15, ...data]],
    ['RET', [0xc3], { registers: { esp: DATA_BASE } }],
    ['RET of parameters', [0xc2, 4, 0], { registers: { esp: DATA_BASE } }],
    ['LOOP', [0xe2, 0x70], { codeLimit: CODE + 0x40, registers: { ecx: 2 } }],
    ['LOOPE', [0xe1, 0x70], { codeLimit: CODE + 0x40, registers: { ecx: 2, eflags: ZERO } }],
    ['LOOPNE', [0xe0, 0x70], { codeLimit: CODE + 0x40, registers: { ecx: 2 } }],
    ['LOOP by CX', [0x67, 0xe2, 0x70], { codeLimit: CODE + 0x40, registers: { ecx: 0x10000 } }],
    ['JECXZ', [0xe3, 0x70], { codeLimit: CODE + 0x40 }],
    ['JMP of 32 bits in real mode', [0x66, 0xe9, ...le32(0x10000)], { mode: 'real', codeLimit: 0xffff }],
  ];
  test.each(rows)('%s', (...[, code, more]) => {
    expectFault(code, more);
  });

  test.each([
    ['JZ', far([0x0f, 0x84]), {}],
    ['JNZ', far([0x0f, 0x85]), { eflags: ZERO }],
    ['LOOP', [0xe2, 0x70], { ecx: 1 }],
    ['LOOPE', [0xe1, 0x70], { ecx: 2 }],
    ['LOOPNE', [0xe0, 0x70], { ecx: 2, eflags: ZERO }],
    ['JECXZ', [0xe3, 0x70], { ecx: 1 }],
  ])('only if it is taken: %s', (_, code, registers) => {
    const codeLimit = code.length === 2 ? CODE + 0x40 : END;
    expect(run(code, { codeLimit, registers })).toMatchObject({ vector: 6, at: 1 + code.length, retired: 2 });
  });

  test.each(Array.from({ length: 16 }, (_, condition) => condition))(
    'under condition %i by lazy flags',
    (condition) => {
      // cmp eax, ebx; jcc: both ways against what SETcc says
      for (const [eax, ebx] of [
        [1, 2],
        [2, 1],
        [5, 5],
        [0x80000000, 1],
        [1, 0x80000000],
      ]) {
        const registers = { eax: eax!, ebx: ebx! };
        const set = run([0x39, 0xd8, 0x0f, 0x90 | condition, 0xc1], { registers });
        const jump = run([0x39, 0xd8, 0x0f, 0x80 | condition, ...le32(BEYOND)], { registers });
        expect(jump.vector).toBe(set.after.ecx === 1 ? GP : 6);
        expect(jump.retired).toBe(set.after.ecx === 1 ? 2 : 3);
      }
    },
  );

  test('stores no return address', () => {
    const esp = DATA_BASE + 0x100;
    expect(run(far([0xe8]), { registers: { esp } }).byte(esp - 4)).toBe(0x77);
  });
});
