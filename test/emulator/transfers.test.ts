/**
 * Goal: far CALL, JMP, RET, IRET and the delivery of exceptions push and pop within the limit of the stack only, lead within
 * the limit of CS only, and raise the manual's exception with its error code; one that faults changes nothing.
 * Method: as segments.test.ts: single instructions behind a NOP. Where the stack that fails is the one that the exception
 * would be pushed to, its handler is conforming code and stays on the stack of the instruction, or the other way round.
 * Source: Intel SDM volume 2, CALL, JMP, RET, IRET, INT n, LTR (operation); volume 3, 6.13 (error code), 3.4.5.1 (accessed).
 */
import { describe, expect, test } from '@jest/globals';
import { CODE, GDT, IDT, le32, TSS } from './guest-code.js';
import { DATA_BASE, runSegment, type SegmentCase } from './run-segment.js';

const LIMIT = 0xfff;
const WRITABLE = 0x40f300;
const EXPAND_DOWN = 0x40f700;
const [TS, NP, SS, GP, UD] = [10, 11, 12, 13, 6];
const USER_CODE = 0x1b;
const stack = { base: DATA_BASE, limit: LIMIT, flags: WRITABLE };
const small = { base: DATA_BASE, limit: 0xffff, flags: 0x009300 };
const AFTER_NOP = CODE + 1;

/** The two words of a descriptor; flags as in its upper word. */
function descriptor(selector: number, base: number, limit: number, flags: number): Record<number, number> {
  const at = GDT + (selector & ~7);
  const high = (base & 0xff000000) | ((base >>> 16) & 255) | (limit & 0xf0000) | flags;
  return { [at]: ((limit & 0xffff) | (base << 16)) >>> 0, [at + 4]: high >>> 0 };
}

/** A call gate; flags: its second word without the offset. */
function gate(selector: number, target: number, offset: number, flags: number): Record<number, number> {
  const at = GDT + (selector & ~7);
  return { [at]: ((offset & 0xffff) | (target << 16)) >>> 0, [at + 4]: ((offset & 0xffff0000) | flags) >>> 0 };
}

function far(opcode: number, selector: number, offset: number): number[] {
  return [opcode, ...le32(offset), selector & 255, selector >> 8];
}

function frame(at: number, ...words: number[]): Record<number, number> {
  return Object.fromEntries(words.map((word, index) => [at + 4 * index, word]));
}

type Row = [name: string, code: number[], expected: [vector: number, error?: number], more?: Partial<SegmentCase>];

/** The instruction faults and changes nothing. */
function check([, code, [vector, error], more]: Row, rest: Partial<SegmentCase> = {}): void {
  const all = { ...rest, ...more, code, segments: { ...rest.segments, ...more?.segments } };
  const found = runSegment({ ...all, registers: { ...rest.registers, ...more?.registers } });
  expect(found).toMatchObject({ vector, error, at: 1 });
  expect(found.after).toEqual(found.before);
  if (!all.conforming) expect(found.retired).toBe(1);
}

const INT3 = [0xcc];
const INT_0D = [0xcd, 13];
const MORE_DESCRIPTORS = { gdtLimit: 0xff };

describe('a stack of 4 KiB in ring 3', () => {
  const rows: Row[] = [
    ['CALL below 0', far(0x9a, USER_CODE, AFTER_NOP), [SS, 0], { registers: { esp: 7 } }],
    ['CALL beyond', far(0x9a, USER_CODE, AFTER_NOP), [SS, 0], { registers: { esp: LIMIT + 2 } }],
    ['CALL of 16 bits below 0', [0x66, 0x9a, 0, 0x10, 0x1b, 0], [SS, 0], { registers: { esp: 3 } }],
    ['CALL through memory', [0xff, 0x1d, ...le32(DATA_BASE + 0x1100)], [SS, 0], { registers: { esp: 7 } }],
    ['RET', [0xcb], [SS, 0], { registers: { esp: LIMIT - 6 } }],
    ['RET of 16 bits', [0x66, 0xcb], [SS, 0], { registers: { esp: LIMIT - 2 } }],
    ['IRET', [0xcf], [SS, 0], { registers: { esp: LIMIT - 10 } }],
    ['IRET of 16 bits', [0x66, 0xcf], [SS, 0], { registers: { esp: LIMIT - 4 } }],
  ];
  const words = frame(DATA_BASE + 0x1100, AFTER_NOP, USER_CODE);
  test.each(rows)('%s', (...row) => {
    check(row, { segments: { ss: stack }, words });
  });

  test.each([
    ['CALL', far(0x9a, USER_CODE, AFTER_NOP + 7), LIMIT + 1, {}],
    ['CALL to 0', far(0x9a, USER_CODE, AFTER_NOP + 7), 8, {}],
    ['RET', [0xcb], LIMIT - 7, frame(DATA_BASE + LIMIT - 7, AFTER_NOP + 1, USER_CODE)],
    ['IRET', [0xcf], LIMIT - 11, frame(DATA_BASE + LIMIT - 11, AFTER_NOP + 1, USER_CODE, 2)],
  ])('%s within it', (_, code, esp, more) => {
    const found = runSegment({ code, segments: { ss: stack }, registers: { esp }, words: more });
    expect(found).toMatchObject({ vector: UD, at: 1 + code.length, retired: 2 });
  });

  test('that expands down', () => {
    const ss = { base: DATA_BASE, limit: LIMIT, flags: EXPAND_DOWN };
    const code = far(0x9a, USER_CODE, AFTER_NOP + 7);
    check(['', code, [SS, 0], { segments: { ss }, registers: { esp: LIMIT + 8 } }]);
    expect(runSegment({ code, segments: { ss }, registers: { esp: LIMIT + 9 } })).toMatchObject({ vector: UD });
  });

  test('a CALL that faults stores nothing', () => {
    const found = runSegment({
      code: far(0x9a, USER_CODE, AFTER_NOP),
      segments: { ss: stack },
      registers: { esp: 6 },
      fill: 0x77,
    });
    expect([0, 2, 4, LIMIT, 0x10000].map((offset) => found.byte(DATA_BASE + offset))).toEqual(Array(5).fill(0x77));
  });

  test('RET to it from ring 0 pops both pairs', () => {
    const ss = { base: DATA_BASE, limit: LIMIT, flags: 0x409300 };
    const words = frame(DATA_BASE + LIMIT - 11, AFTER_NOP + 1, USER_CODE, 0x8000, 0x23);
    const given = { mode: 'ring0', segments: { ss }, registers: { esp: LIMIT - 11 }, words, conforming: true } as const;
    check(['', [0xcb], [SS, 0], given]);
    check(['', [0xca, 8, 0], [SS, 0], { ...given, words: frame(DATA_BASE + LIMIT - 11, AFTER_NOP + 1, USER_CODE) }]);
    const iret = frame(DATA_BASE + LIMIT - 11, AFTER_NOP + 1, USER_CODE, 2);
    check(['', [0xcf], [SS, 0], { ...given, words: iret }]);
    const v86 = frame(DATA_BASE + LIMIT - 15, 0, 0, 0x20002, 0x8000);
    check(['', [0xcf], [SS, 0], { ...given, words: v86, registers: { esp: LIMIT - 15 } }]);
  });
});

describe('8086 code', () => {
  const rows: Row[] = [
    ['CALL at 3', [0x9a, 0, 0x10, 0, 0], [SS, 0], { registers: { esp: 3 } }],
    ['IRET at FFFBh', [0xcf], [SS, 0], { registers: { esp: 0xfffb } }],
    ['IRET of 32 bits at FFF7h', [0x66, 0xcf], [SS, 0], { registers: { esp: 0xfff7 } }],
  ];
  test.each(rows)('in virtual 8086 mode: %s', (...row) => {
    check(row, { mode: 'v86', registers: { eflags: 0x23002 } });
  });

  test.each<[string, number[], number, { esp?: number }]>([
    ['CALL of 32 bits at 7', [0x66, 0x9a, ...le32(CODE), 0, 0], SS, { esp: 7 }],
    ['IRET at FFFBh', [0xcf], SS, { esp: 0xfffb }],
    ['JMP beyond 64 KiB', [0x66, 0xea, ...le32(0x10000), 0, 0], GP, {}],
    ['JMP through memory beyond 64 KiB', [0x66, 0xff, 0x2e, 0, 0x60], GP, {}],
    ['CALL beyond 64 KiB', [0x66, 0x9a, ...le32(0x10000), 0, 0], GP, {}],
    ['CALL through memory beyond 64 KiB', [0x66, 0xff, 0x1e, 0, 0x60], GP, {}],
    ['RET beyond 64 KiB', [0x66, 0xcb], GP, { esp: 0x6000 }],
    ['RET of parameters beyond 64 KiB', [0x66, 0xca, 4, 0], GP, { esp: 0x6000 }],
    ['IRET beyond 64 KiB', [0x66, 0xcf], GP, { esp: 0x6000 }],
  ])('in real mode: %s', (_, code, vector, registers) => {
    const found = runSegment({ code, mode: 'real', registers, words: frame(0x6000, 0x10000, 0, 2) });
    expect(found).toMatchObject({ vector, error: undefined, at: 1, retired: 1 });
    expect(found.registers.esp).toBe(((registers.esp ?? 0x7f00) - 6) & 0xffff);
    expect(found.word(found.registers.esp + 2) & 0xffff).toBe(0);
  });

  test('in real mode: INT that does not fit shuts down, as its #SS does not either', () => {
    expect(() => runSegment({ code: INT3, mode: 'real', registers: { esp: 3 } })).toThrow(/triple-fault/);
  });

  test('in real mode: frames wrap at 64 KiB', () => {
    const found = runSegment({ code: INT3, mode: 'real', registers: { esp: 4 } });
    expect(found).toMatchObject({ vector: 3, retired: 2 });
    expect(found.registers.esp).toBe(0xfffe);
  });
});

describe('a stack of another privilege', () => {
  const INNER = 0x40;
  const inner = (limit: number, esp: number, flags = 0x409300): Record<number, number> => ({
    ...descriptor(INNER, DATA_BASE, limit, flags),
    [TSS + 4]: esp,
    [TSS + 8]: INNER,
    [IDT + 8 * 3]: 0x80000 + 0x5030,
  });
  const given = { conforming: true, registers: { ...MORE_DESCRIPTORS, esp: 0x7f00 } };

  test.each([
    ['INT n', INT3, 0],
    ['an exception', [0x0f, 0x0b], 1],
  ])('#SS names it: %s', (_, code, external) => {
    const words = { ...inner(LIMIT, 16), [IDT + 8 * 6]: 0x80000 + 0x5060 };
    check(['', code, [SS, INNER + external], { words }], given);
    check(['', code, [SS, INNER + external], { words: { ...words, ...inner(LIMIT, LIMIT + 2) } }], given);
    const notPresent = { ...words, ...inner(LIMIT, LIMIT + 1, 0x401300) };
    check(['', code, [SS, INNER + external], { words: notPresent }], given);
    const readOnly = { ...words, ...inner(LIMIT, LIMIT + 1, 0x409100) };
    check(['', code, [TS, INNER + external], { words: readOnly }], given);
  });

  test('a frame that just fits', () => {
    const found = runSegment({ code: INT3, words: inner(LIMIT, 20), registers: MORE_DESCRIPTORS });
    expect(found).toMatchObject({ vector: 3, retired: 2, at: 2 });
    expect(found.registers).toMatchObject({ esp: 0, ss: { selector: INNER } });
  });

  test('INT in virtual 8086 mode pushes nine words', () => {
    const registers = { ...MORE_DESCRIPTORS, eflags: 0x23002 };
    expect(runSegment({ code: INT3, mode: 'v86', words: inner(LIMIT, 36), registers })).toMatchObject({ vector: 3 });
    // no #SS can be delivered there either
    expect(() => runSegment({ code: INT3, mode: 'v86', words: inner(LIMIT, 32), registers })).toThrow(/triple-fault/);
  });

  test('INT in virtual 8086 mode leads to ring 0 only', () => {
    const words = { ...descriptor(INNER, 0, 0xfffff, 0xcfbb00), [IDT + 8 * 3]: (INNER << 16) + 0x5030 };
    const registers = { ...MORE_DESCRIPTORS, eflags: 0x23002 };
    check(['', INT3, [GP, INNER], { mode: 'v86', words, registers }]);
  });

  const GATE = 0x48;
  test('a call gate copies parameters: room for all', () => {
    const words = (esp: number): Record<number, number> => ({ ...inner(LIMIT, esp), ...gate(GATE, 8, 0x5060, 0xec03) });
    check(['', far(0x9a, GATE | 3, 0), [SS, INNER], { words: words(24) }], given);
    const found = runSegment({ code: far(0x9a, GATE | 3, 0), words: words(28), registers: given.registers });
    expect(found.registers.esp).toBe(0);
    expect([4, 16, 20, 24].map((offset) => found.word(DATA_BASE + offset))).toEqual(
      [USER_CODE, 0, 0x7f00, 0x23].slice(0, 1).concat([0, 0x7f00, 0x23]),
    );
  });

  test('a call gate of 16 bits leads to 16 bits', () => {
    const words = { ...inner(LIMIT, 0x100), ...gate(GATE, 8, 0x15060, 0xe400) };
    const found = runSegment({ code: far(0x9a, GATE | 3, 0), words, registers: given.registers });
    expect(found.registers).toMatchObject({ eip: 0x5061, esp: 0xf8 });
  });
});

describe('EIP beyond the limit of CS', () => {
  const SHORT = 0x43;
  const BEYOND = 0x3000;
  const words = {
    ...descriptor(SHORT, 0, 0x1fff, 0x40fb00),
    ...gate(0x48, SHORT, BEYOND, 0xec00),
    ...frame(DATA_BASE, BEYOND, SHORT, 2),
  };
  const rows: Row[] = [
    ['JMP', far(0xea, SHORT, BEYOND), [GP, 0]],
    ['CALL', far(0x9a, SHORT, BEYOND), [GP, 0]],
    ['JMP through a gate', far(0xea, 0x4b, 0), [GP, 0]],
    ['CALL through a gate', far(0x9a, 0x4b, 0), [GP, 0]],
    ['RET', [0xcb], [GP, 0], { registers: { esp: DATA_BASE } }],
    ['IRET', [0xcf], [GP, 0], { registers: { esp: DATA_BASE } }],
    ['INT', INT3, [GP, 0], { words: { ...words, [IDT + 8 * 3]: (SHORT << 16) + BEYOND } }],
    ['an exception', [0x0f, 0x0b], [GP, 1], { words: { ...words, [IDT + 8 * 6]: (SHORT << 16) + BEYOND } }],
  ];
  test.each(rows)('%s', (...row) => {
    check(row, { words, registers: MORE_DESCRIPTORS });
  });
});

describe('error codes and vectors', () => {
  const ABSENT = 0x43;
  const words = {
    ...descriptor(ABSENT, 0, 0xfffff, 0xcf7b00),
    ...gate(0x48, ABSENT, 0x5000, 0xec00),
    ...descriptor(0x50, 0, 0xfffff, 0xcf7300),
    ...frame(DATA_BASE, CODE, ABSENT, 2, 0x8000, 0x23),
    ...frame(DATA_BASE + 0x20, CODE, USER_CODE, 2, 0x8000, 0x53),
    ...frame(DATA_BASE + 0x40, CODE, USER_CODE, 0x8000, 0x53),
    [IDT + 8 * 3]: (ABSENT << 16) + 0x5030,
    [IDT + 8 * 5 + 4]: 0x6e00,
    [IDT + 8 * 6 + 4]: 0x6e00,
  };
  const rows: Row[] = [
    ['JMP through a gate to absent code', far(0xea, 0x4b, 0), [NP, 0x40]],
    ['CALL through a gate to absent code', far(0x9a, 0x4b, 0), [NP, 0x40]],
    ['INT to absent code', INT3, [NP, 0x40]],
    ['INT through an absent gate', [0xcd, 5], [NP, 5 * 8 + 2]],
    ['an exception through an absent gate', [0x0f, 0x0b], [NP, 6 * 8 + 3]],
    ['RET to absent code', [0xcb], [NP, 0x40], { registers: { esp: DATA_BASE } }],
    ['IRET to an absent stack', [0xcf], [SS, 0x50], { mode: 'ring0', registers: { esp: DATA_BASE + 0x20 } }],
    ['RET to an absent stack', [0xcb], [SS, 0x50], { mode: 'ring0', registers: { esp: DATA_BASE + 0x40 } }],
    ['INT beyond the IDT', [0xcd, 0xff], [GP, 0xff * 8 + 2], { registers: { idtLimit: 0x7f7 } }],
    ['a gate that is not allowed', INT_0D, [GP, 13 * 8 + 2], { words: { [IDT + 8 * 13 + 4]: 0x8e00 } }],
    ['LTR of nothing', [0x0f, 0x00, 0xd8], [GP, 0], { mode: 'ring0' }],
  ];
  test.each(rows)('%s', (...[name, code, expected, more]) => {
    check([
      name,
      code,
      expected,
      { ...more, words: { ...words, ...more?.words }, registers: { ...MORE_DESCRIPTORS, ...more?.registers } },
    ]);
  });

  test('IRET in ring 3 does not enter virtual 8086 mode', () => {
    const found = runSegment({
      code: [0xcf],
      words: frame(DATA_BASE, AFTER_NOP + 1, USER_CODE, 0x20002),
      registers: { esp: DATA_BASE },
    });
    expect(found).toMatchObject({ vector: UD, at: 2, retired: 2 });
  });

  test('IRET to virtual 8086 mode beyond 64 KiB', () => {
    const more = frame(DATA_BASE, 0x11000, 0, 0x20002, 0x8000, 0, 0, 0, 0, 0);
    check(['', [0xcf], [GP, 0], { mode: 'ring0', words: more, registers: { esp: DATA_BASE } }]);
  });
});

describe('the accessed bit', () => {
  const NEW = 0x43;
  const NEW_STACK = 0x50;
  const flagsOf = (found: ReturnType<typeof runSegment>, selector: number): number =>
    (found.word(GDT + (selector & ~7) + 4) >>> 8) & 0xff;

  test.each([
    ['JMP', far(0xea, NEW, AFTER_NOP + 7), {}],
    ['CALL', far(0x9a, NEW, AFTER_NOP + 7), {}],
    ['RET', [0xcb], { esp: DATA_BASE }],
    ['IRET', [0xcf], { esp: DATA_BASE }],
  ])('of CS is set by %s', (_, code, registers) => {
    const found = runSegment({
      code,
      registers: { ...MORE_DESCRIPTORS, ...registers },
      words: { ...descriptor(NEW, 0, 0xfffff, 0xcffa00), ...frame(DATA_BASE, AFTER_NOP + code.length, NEW, 2) },
    });
    expect(found).toMatchObject({ vector: UD, at: 1 + code.length });
    expect(flagsOf(found, NEW)).toBe(0xfb);
  });

  test('of CS and SS is set by an exception', () => {
    const words = {
      ...descriptor(0x40, 0, 0xfffff, 0xcf9a00),
      ...descriptor(NEW_STACK, 0, 0xfffff, 0xcf9200),
      [TSS + 8]: NEW_STACK,
      [IDT + 8 * 3]: (0x40 << 16) + 0x5030,
    };
    const found = runSegment({ code: INT3, words, registers: MORE_DESCRIPTORS });
    expect(found).toMatchObject({ vector: 3, at: 2 });
    expect([0x40, NEW_STACK].map((selector) => flagsOf(found, selector))).toEqual([0x9b, 0x93]);
    expect(found.registers.ss.flags & 0xff00).toBe(0x9300);
  });

  test('on a page that may not be written is a page fault, before anything has changed', () => {
    const READ_ONLY = 0x1d000;
    const code = far(0xea, NEW | 4, AFTER_NOP + 7);
    const descriptors = { [READ_ONLY + 0x40]: 0xffff, [READ_ONLY + 0x44]: 0xcffa00 };
    const found = runSegment({
      code,
      missing: 0x7000000,
      registers: { cr0: 0x80010011, ldt: { selector: 0x30, base: READ_ONLY, limit: 0xff, flags: 0x8200 } },
      words: { ...descriptors, [0x11000 + 4 * (READ_ONLY >> 12)]: READ_ONLY | 5 },
    });
    expect(found).toMatchObject({ vector: 14, error: 3, at: 1, retired: 1 });
    expect(found.after).toEqual(found.before);
  });
});

test('far transfers in 16-bit code use the stack as wide as it is', () => {
  const code = [0x9a, (AFTER_NOP + 5) & 255, AFTER_NOP >> 8, 0x1b, 0];
  const given = { mode: 'ring3-16', code, segments: { ss: { ...small, flags: 0x00f300 } } } as const;
  expect(runSegment({ ...given, registers: { esp: 0x10004 } })).toMatchObject({ vector: UD });
  check(['', code, [SS, 0], { ...given, registers: { esp: 0x10003 } }]);
});
