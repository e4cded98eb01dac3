/**
 * Goal: PUSHA, POPA and ENTER fault as a whole: nothing is stored, no register has changed, and the exception is the manual's.
 * Method: as segments.test.ts.
 * Source: Intel SDM volume 2, PUSHA, POPA, ENTER (exceptions of each mode).
 */
import { describe, expect, test } from '@jest/globals';
import { DATA_BASE, runSegment, type SegmentCase } from './run-segment.js';

const LIMIT = 0xfff;
const stack = { base: DATA_BASE, limit: LIMIT, flags: 0x40f300 };
const [PUSHA, POPA] = [[0x60], [0x61]];
const [SS, GP, PF, UD] = [12, 13, 14, 6];
const PAGE = DATA_BASE + 0x1000;

function enter(bytes: number, level: number): number[] {
  return [0xc8, bytes & 255, bytes >> 8, level];
}

function fault(code: number[], vector: number, more: Partial<SegmentCase>): void {
  const found = runSegment({ code, fill: 0x77, ...more });
  expect(found).toMatchObject({ vector, at: 1, retired: 1 });
  expect(found.after).toEqual(found.before);
  for (let at = DATA_BASE; at < DATA_BASE + 0x20000; at++)
    if (found.byte(at) !== 0x77) throw new Error(`stored at ${at}`);
}

describe('a stack of 4 KiB', () => {
  test.each([
    ['PUSHA whose last word does not fit', PUSHA, { esp: 28 }],
    ['PUSHA whose first word does not fit', PUSHA, { esp: LIMIT + 2 }],
    ['PUSHA of 16 bits', [0x66, ...PUSHA], { esp: 14 }],
    ['POPA whose last word does not fit', POPA, { esp: LIMIT - 30 }],
    ['POPA of 16 bits', [0x66, ...POPA], { esp: LIMIT - 14 }],
    ['ENTER', enter(0, 0), { esp: 3, ebp: 1 }],
    ['ENTER whose last level does not fit', enter(0, 3), { esp: 15, ebp: 0x100 }],
    ['ENTER that copies from beyond', enter(0, 3), { esp: 0x200, ebp: 7 }],
    ['ENTER that allocates too much', enter(0x200, 1), { esp: 0x207 }],
    ['ENTER of 16 bits', [0x66, ...enter(0, 2)], { esp: 5, ebp: 0x100 }],
  ])('%s', (_, code, registers) => {
    fault(code, SS, { segments: { ss: stack }, registers });
  });

  test.each([
    ['PUSHA', PUSHA, { esp: 32 }, 0],
    ['POPA', POPA, { esp: LIMIT - 31 }, LIMIT + 1],
    ['ENTER', enter(0x200, 3), { esp: 0x210, ebp: 0x100 }, 0],
  ])('%s that just fits', (_, code, registers, esp) => {
    const found = runSegment({ code, segments: { ss: stack }, registers });
    expect(found).toMatchObject({ vector: UD, at: 1 + code.length, retired: 2 });
    expect(found.word(found.registers.esp + 12)).toBe(esp);
  });
});

describe('a page that is not there', () => {
  test.each([
    ['POPA', POPA, { esp: PAGE - 4 }, PAGE],
    ['POPA that begins there', POPA, { esp: PAGE + 0x1000 - 4 }, PAGE + 0x1000 - 4],
    ['ENTER of three levels', enter(0, 3), { esp: PAGE + 0x1008, ebp: PAGE + 0x1800 }, PAGE + 0x1000 - 8],
    ['ENTER that would leave ESP in it', enter(0x800, 0), { esp: PAGE + 0x1010 }, PAGE + 0x100c - 0x800],
  ])('%s', (_, code, registers, cr2) => {
    const found = { code, missing: PAGE, registers: { ...registers, eax: 1, edi: 2 } };
    fault(code, PF, found);
    expect(runSegment({ ...found, fill: 0x77 }).registers.cr2).toBe(cr2);
  });

  test('POPA across pages that are there', () => {
    const found = runSegment({ code: POPA, missing: PAGE + 0x4000, registers: { esp: PAGE - 4 }, fill: 0x77 });
    expect(found).toMatchObject({ vector: UD, at: 2 });
    expect(found.after).toMatchObject({ eax: 0x77777777, edi: 0x77777777 });
  });
});

describe('8086 code', () => {
  test.each([7, 9, 11, 13, 15])('PUSHA with SP %i is #GP', (esp) => {
    expect(runSegment({ code: PUSHA, mode: 'v86', registers: { esp } })).toMatchObject({ vector: GP, error: 0, at: 1 });
    const real = runSegment({ code: PUSHA, mode: 'real', registers: { esp } });
    expect(real).toMatchObject({ vector: GP, at: 1, retired: 1 });
  });

  test.each([1, 3, 5])('PUSHA with SP %i is #SS', (esp) => {
    expect(runSegment({ code: PUSHA, mode: 'v86', registers: { esp } })).toMatchObject({ vector: SS, error: 0, at: 1 });
    expect(() => runSegment({ code: PUSHA, mode: 'real', registers: { esp } })).toThrow(/triple-fault/);
  });

  test.each([0, 2, 14, 16, 18])('PUSHA with SP %i wraps or fits', (esp) => {
    const found = runSegment({ code: PUSHA, mode: 'real', registers: { esp, eax: 0x1234 } });
    expect(found).toMatchObject({ vector: UD, at: 2 });
    expect(found.word((esp - 2) & 0xffff) & 0xffff).toBe(0x1234);
  });
});
