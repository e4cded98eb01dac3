/**
 * Goal: hardware task switches do what the manual says: what is saved and loaded in both formats, busy and NT bits, back link,
 * TS, T, the error code; and what faults, in which task.
 * Method: as transfers.test.ts, with a second task segment whose code is UD2.
 * Source: Intel SDM volume 3, 7.2 to 7.3 (table 7-1), 7.6; volume 2, JMP, CALL, IRET, INT n.
 */
import { describe, expect, test } from '@jest/globals';
import { CODE, GDT, IDT, TSS } from './guest-code.js';
import { DATA_BASE, runSegment, type SegmentCase } from './run-segment.js';

const [DB, TS, NP, SS, GP, PF, UD] = [1, 10, 11, 12, 13, 14, 6];
const OLD = 0x28;
const NEW = 0x30;
const GATE = 0x40;
const NEW_TSS = DATA_BASE + 0x1000;
const TASK = CODE + 0x200;
const UD2 = 0x0b0f;
const NT = 0x4000;
const BUSY32 = 0x8b;

type Words = Record<number, number>;
type Found = ReturnType<typeof runSegment>;

function descriptor(selector: number, base: number, limit: number, access: number): Words {
  return {
    [GDT + selector]: ((limit & 0xffff) | (base << 16)) >>> 0,
    [GDT + selector + 4]: (base >>> 16) | (access << 8),
  };
}

interface Task {
  readonly eip?: number;
  readonly flags?: number;
  readonly registers?: readonly number[];
  /** ES CS SS DS FS GS */
  readonly segments?: readonly number[];
  readonly ldt?: number;
  readonly trap?: number;
}

const GENERAL = [0xa0, 0xa1, 0xa2, 0xa3, 0x7000, 0xa5, 0xa6, 0xa7];
const SEGMENTS = [0x10, 8, 0x10, 0x10, 0x10, 0];

function tss32({
  eip = TASK,
  flags = 2,
  registers = GENERAL,
  segments = SEGMENTS,
  ldt = 0,
  trap = 0,
}: Task = {}): Words {
  const words: Words = { [NEW_TSS]: 0, [NEW_TSS + 0x1c]: 0x10000, [NEW_TSS + 0x20]: eip, [NEW_TSS + 0x24]: flags };
  registers.forEach((value, i) => (words[NEW_TSS + 0x28 + 4 * i] = value));
  segments.forEach((value, i) => (words[NEW_TSS + 0x48 + 4 * i] = value));
  return { ...words, [NEW_TSS + 0x60]: ldt, [NEW_TSS + 0x64]: trap };
}

/** From the instruction pointer on, in pairs. */
function tss16({ eip = TASK, flags = 2, registers = GENERAL, segments = SEGMENTS, ldt = 0 }: Task = {}): Words {
  const halves = [0, eip, flags, ...registers, ...segments.slice(0, 4), ldt, 0];
  const words: Words = {};
  for (let i = 0; i < halves.length; i += 2) words[NEW_TSS + 0xc + 2 * i] = halves[i]! | (halves[i + 1]! << 16);
  return words;
}

const JMP = [0xea, 0, 0, 0, 0, NEW, 0];
const CALL = [0x9a, 0, 0, 0, 0, NEW, 0];
const registers = { gdtLimit: 0xff, eax: 1, ecx: 2, edx: 3, ebx: 4, ebp: 6, esi: 7, edi: 8 };
const code = { ...descriptor(NEW, NEW_TSS, 0x67, 0x89), [TASK]: UD2 };
const given = { mode: 'ring0', registers, words: { ...code, ...tss32() } } as const;

function run(more: Partial<SegmentCase> & { code: readonly number[] }): Found {
  return runSegment({
    ...given,
    ...more,
    words: { [GDT + OLD + 4]: 0x8b00, ...given.words, ...more.words },
    registers: { ...registers, ...more.registers },
  });
}

const access = (found: Found, selector: number): number => (found.word(GDT + selector + 4) >>> 8) & 255;
const half = (found: Found, at: number): number => found.word(at) & 0xffff;

describe('JMP to a task segment', () => {
  test('saves the old task and loads the new one', () => {
    // cmp eax, ebx before it: the flags are lazy
    const found = run({ code: [0x39, 0xd8, ...JMP] });
    expect(found).toMatchObject({ vector: UD, at: TASK - CODE, retired: 3 });
    expect(found.word(TSS + 0x20)).toBe(CODE + 1 + 2 + 7);
    expect(found.word(TSS + 0x24) & 0x8d5).toBe(0x91);
    expect([0, 1, 2, 3, 5, 6, 7].map((i) => found.word(TSS + 0x28 + 4 * i))).toEqual([1, 2, 3, 4, 6, 7, 8]);
    expect([0, 1, 2, 3].map((i) => half(found, TSS + 0x48 + 4 * i))).toEqual([0x10, 8, 0x10, 0x10]);
    expect(found.after).toEqual({ eax: 0xa0, ecx: 0xa1, edx: 0xa2, ebx: 0xa3, ebp: 0xa5, esi: 0xa6, edi: 0xa7 });
    expect(found.registers).toMatchObject({ esp: 0x7000 - 12, tr: { selector: NEW, base: NEW_TSS } });
    expect(found.registers.cr0 & 8).toBe(8);
    expect([OLD, NEW].map((selector) => access(found, selector))).toEqual([0x89, BUSY32]);
  });

  test('of 16 bits', () => {
    const words = {
      ...code,
      ...descriptor(NEW, NEW_TSS, 0x2b, 0x81),
      ...descriptor(0x68, 0, 0xffff, 0x93),
      ...tss16({ segments: [0x10, 8, 0x68, 0x10] }),
    };
    const found = run({ code: JMP, words });
    expect(found.vector).toBe(UD);
    expect(found.word(0x7000 - 12)).toBe(TASK);
    expect(found.after).toMatchObject({ eax: 0xffff00a0, edi: 0xffff00a7 });
    expect(['es', 'cs', 'ss', 'ds', 'fs', 'gs'].map((name) => found.registers[name as 'es'].selector)).toEqual([
      0x10, 8, 0x68, 0x10, 0, 0,
    ]);
    expect(found.word(TSS + 0x20)).toBe(CODE + 1 + 7);
    expect(access(found, NEW)).toBe(0x83);
  });

  test('and back, from 16 bits to 32', () => {
    const back = [0xea, 0, 0, 0, 0, OLD, 0];
    const bytes = Buffer.from([...back, 0]);
    const words = {
      ...descriptor(NEW, NEW_TSS, 0x2b, 0x81),
      ...tss16({ segments: [0x10, 8, 0x10, 0x20] }),
      ...{ [TASK]: bytes.readUInt32LE(0), [TASK + 4]: bytes.readUInt32LE(4) },
    };
    const found = run({ code: JMP, words });
    expect(found).toMatchObject({ vector: UD, at: 1 + 7, retired: 3 });
    expect(found.after).toEqual(found.before);
    expect(half(found, NEW_TSS + 0xe)).toBe(TASK + 7);
    expect([0, 7].map((i) => half(found, NEW_TSS + 0x12 + 2 * i))).toEqual([0xa0, 0xa7]);
    expect([0, 1, 2, 3, 4].map((i) => half(found, NEW_TSS + 0x22 + 2 * i))).toEqual([0x10, 8, 0x10, 0x20, 0]);
    expect([OLD, NEW].map((selector) => access(found, selector))).toEqual([BUSY32, 0x81]);
  });

  test('into virtual 8086 mode', () => {
    const task = tss32({ flags: 0x23002, eip: TASK & 15, segments: [1, TASK >> 4, 0x700, 4, 5, 6] });
    const found = run({ code: JMP, words: { ...code, ...task, [NEW_TSS + 4]: 0x7800, [NEW_TSS + 8]: 0x10 } });
    expect(found.vector).toBe(UD);
    expect(found.word(found.registers.esp)).toBe(TASK & 15);
    expect([1, 2, 3, 4, 5, 6, 7, 8].map((i) => half(found, found.registers.esp + 4 * i))).toEqual([
      ...[TASK >> 4, 0x3002, 0x7000, 0x700],
      ...[1, 4, 5, 6],
    ]);
  });
});

describe('CALL', () => {
  test.each([
    ['a task segment', CALL],
    ['a task gate', [0x9a, 0, 0, 0, 0, GATE, 0]],
  ])('%s links back, and IRET returns', (_, call) => {
    const words = { ...code, ...tss32(), [GDT + GATE]: NEW << 16, [GDT + GATE + 4]: 0x8500, [TASK]: 0x0b0fcf };
    const found = run({ code: call, words });
    expect(found).toMatchObject({ vector: UD, at: 1 + 7, retired: 4 - 1 });
    expect(found.after).toEqual(found.before);
    expect(half(found, NEW_TSS)).toBe(OLD);
    expect([found.word(TSS + 0x24) & NT, found.word(NEW_TSS + 0x24) & NT]).toEqual([0, 0]);
    expect(found.word(NEW_TSS + 0x20)).toBe(TASK + 1);
    expect([OLD, NEW].map((selector) => access(found, selector))).toEqual([BUSY32, 0x89]);
  });

  test('leaves both busy and sets NT', () => {
    const found = run({ code: CALL });
    expect(found.registers.tr.selector).toBe(NEW);
    expect([OLD, NEW].map((selector) => access(found, selector))).toEqual([BUSY32, BUSY32]);
    expect(found.word(found.registers.esp + 8) & NT).toBe(NT);
  });
});

describe('an exception through a task gate', () => {
  const gate = (vector: number): Words => ({ [IDT + 8 * vector]: NEW << 16, [IDT + 8 * vector + 4]: 0xe500 });
  const handler = { [TASK]: 0xf4 };

  test('pushes its error code on the new stack', () => {
    // mov ds, ax with a selector beyond the table
    const found = runSegment({
      ...given,
      code: [0x8e, 0xd8],
      registers: { ...registers, eax: 0x1230 },
      words: { ...given.words, ...gate(GP), ...handler },
    });
    expect(found.registers).toMatchObject({ eip: TASK + 1, esp: 0x7000 - 4, tr: { selector: NEW } });
    expect(found.word(0x7000 - 4)).toBe(0x1230);
    expect(found.word(TSS + 0x20)).toBe(CODE + 1);
    expect(found.retired).toBe(1);
  });

  test('INT saves the next address and pushes nothing', () => {
    const found = run({ code: [0xcc], words: { ...code, ...tss32(), ...gate(3), ...handler } });
    expect(found.registers).toMatchObject({ eip: TASK + 1, esp: 0x7000 });
    expect(found.word(TSS + 0x20)).toBe(CODE + 2);
    expect(found.retired).toBe(2);
  });

  test('leaves virtual 8086 mode for a task of 16 bits, whose flags have no VM', () => {
    const small = { ...descriptor(NEW, NEW_TSS, 0x2b, 0x81), ...tss16() };
    const found = run({
      ...{ code: [0xcd, 3], mode: 'v86', registers: { eflags: 0x23002 } },
      words: { ...small, ...gate(3), ...handler },
    });
    expect(found.registers).toMatchObject({
      eip: TASK + 1,
      eflags: NT | 2,
      cs: { selector: 8 },
      tr: { selector: NEW },
    });
    expect([found.word(TSS + 0x20), found.word(TSS + 0x24)]).toEqual([CODE + 1 + 2, 0x23002]);
  });

  test('has EXT in its error codes', () => {
    const words = { ...code, ...tss32(), ...gate(UD), ...descriptor(NEW, NEW_TSS, 0x67, 0x09) };
    expect(run({ code: [0x0f, 0x0b], words })).toMatchObject({ vector: NP, error: NEW + 1, at: 1 });
    const busy = { ...words, ...descriptor(NEW, NEW_TSS, 0x67, BUSY32) };
    expect(run({ code: [0x0f, 0x0b], words: busy })).toMatchObject({ vector: GP, error: NEW + 1, at: 1 });
  });
});

describe('a fault of the old task', () => {
  const rows: [name: string, words: Words, vector: number, error: number][] = [
    ['a busy task segment', descriptor(NEW, NEW_TSS, 0x67, BUSY32), GP, NEW],
    ['one that is not present', descriptor(NEW, NEW_TSS, 0x67, 0x09), NP, NEW],
    ['one that is too small', descriptor(NEW, NEW_TSS, 0x66, 0x89), TS, NEW],
    ['a code segment', descriptor(NEW, NEW_TSS, 0x67, 0x92), GP, NEW],
  ];
  test.each(rows)('JMP and CALL to %s', (_, words, vector, error) => {
    for (const transfer of [JMP, CALL]) {
      const found = run({ code: transfer, words });
      expect(found).toMatchObject({ vector, error, at: 1, retired: 1 });
      expect(found.after).toEqual(found.before);
      expect(found.registers.tr.selector).toBe(OLD);
    }
  });

  test('privilege', () => {
    const found = runSegment({ code: JMP, registers, words: given.words });
    expect(found).toMatchObject({ vector: GP, error: NEW, at: 1 });
  });

  test('IRET to a task that is not busy', () => {
    const found = run({ code: [0xcf], registers: { eflags: NT | 2 }, words: { ...given.words, [TSS]: NEW } });
    expect(found).toMatchObject({ vector: TS, error: NEW, at: 1 });
  });

  test('a page of the new task segment that is missing', () => {
    const found = run({ code: JMP, missing: NEW_TSS });
    expect(found).toMatchObject({ vector: PF, error: 0, at: 1, retired: 1 });
    expect(found.after).toEqual(found.before);
    expect(found.registers.cr2 & ~0xfff).toBe(NEW_TSS);
    expect([OLD, NEW].map((selector) => access(found, selector))).toEqual([BUSY32, 0x89]);
  });
});

describe('a fault of the new task', () => {
  const ABSENT = 0x48;
  const words = {
    [GDT + ABSENT]: 0xffff,
    [GDT + ABSENT + 4]: 0xcf1300,
    [GDT + 0x50]: 0xffff,
    [GDT + 0x54]: 0xcf1b00,
  };
  const segments = (changed: Record<number, number>): number[] => SEGMENTS.map((old, i) => changed[i] ?? old);
  const rows: [name: string, task: Task, vector: number, error: number][] = [
    ['DS beyond the table', { segments: segments({ 3: 0x1230 }) }, TS, 0x1230],
    ['DS absent', { segments: segments({ 3: ABSENT }) }, NP, ABSENT],
    ['EIP beyond the limit', { eip: 0x5000, segments: segments({ 1: 0x58 }) }, GP, 0],
  ];
  test.each(rows)('%s', (_, task, vector, error) => {
    const short = { [GDT + 0x58]: 0x0fff, [GDT + 0x5c]: 0x409b00 };
    const found = run({ code: JMP, words: { ...words, ...short, ...tss32(task) } });
    expect(found).toMatchObject({ vector, error, at: (task.eip ?? TASK) - CODE, retired: 2 });
    expect(found.registers.tr.selector).toBe(NEW);
    expect(found.word(TSS + 0x20)).toBe(CODE + 1 + 7);
  });

  test('the T bit traps before its first instruction', () => {
    const found = run({
      code: JMP,
      words: { ...tss32({ trap: 1 }), [IDT + 8 * DB]: 0x85010, [IDT + 8 * DB + 4]: 0xee00, [0x5010]: 0xf4 },
    });
    expect(found).toMatchObject({ vector: DB, at: TASK - CODE, retired: 2 });
  });

  test('a stack that is absent is #SS', () => {
    const third = NEW_TSS + 0x200;
    const task = Object.fromEntries(Object.entries(tss32()).map(([at, value]) => [Number(at) + 0x200, value]));
    const found = run({
      code: JMP,
      words: {
        ...words,
        ...tss32({ segments: segments({ 2: ABSENT }) }),
        ...task,
        ...descriptor(0x60, third, 0x67, 0x89),
        ...{ [third + 0x20]: 0x5080, [0x5080]: 0xf4, [IDT + 8 * SS]: 0x60 << 16, [IDT + 8 * SS + 4]: 0x8500 },
      },
    });
    expect(found.registers).toMatchObject({ eip: 0x5081, tr: { selector: 0x60 } });
    expect(found.word(0x7000 - 4)).toBe(ABSENT);
  });
});
