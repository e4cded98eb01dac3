/**
 * Goal: each access is checked against its segment's limit and type: vector, error code and place of the exception, no
 * register changed, no instruction counted that did not retire.
 * Method: tables of single instructions behind a NOP, in each mode; the handler is HLT. UD2 behind the instruction says
 * that it ran. QEMU's emulator enforces no limits, so `make fidelity` cannot show this.
 * Source: Intel SDM volume 3, 5.3 (limits, expand-down), 5.4 (null selectors), 5.5 (types), 9.9.2 (limits kept in real
 * mode), 20.1.1 and 20.2 (64 KiB in real and virtual 8086 mode); volume 2, each instruction's exceptions.
 */
import { describe, expect, test } from '@jest/globals';
import { GDT, le32, STACK } from './guest-code.js';
import { DATA_BASE, runSegment, type SegmentCase } from './run-segment.js';

const LIMIT = 0xfff;
const WRITABLE = 0x40f300;
const READ_ONLY = 0x40f100;
const EXPAND_DOWN = 0x00f700;
const EXECUTABLE = 0x40f900;
const READABLE = 0x40fb00;
const BIG = 0x400000;
const data = { base: DATA_BASE, limit: LIMIT, flags: WRITABLE };
const flat = { base: 0, limit: 0xffffffff, flags: WRITABLE };
const GP = 13;
const SS = 12;
const RUNS = undefined;

type Row = [name: string, code: number[], vector: number | undefined, more?: Partial<SegmentCase>];

/** MOV EAX, [offset] and its like: opcode and a 32-bit address behind it. */
function at(offset: number, ...opcode: number[]): number[] {
  return [...opcode, ...le32(offset)];
}

function check([, code, vector, more]: Row, rest: Partial<SegmentCase>): void {
  const found = runSegment({ ...rest, ...more, code, segments: { ...rest.segments, ...more?.segments } });
  if (vector === RUNS) {
    expect(found).toMatchObject({ vector: 6, at: 1 + code.length, retired: 2 });
    return;
  }
  expect(found).toMatchObject({ vector, at: 1, error: found.error === undefined ? undefined : 0, retired: 1 });
  expect(found.after).toEqual(found.before);
}

describe('a segment of 4 KiB in ring 3', () => {
  const rows: Row[] = [
    ['its last dword', at(LIMIT - 3, 0xa1), RUNS],
    ['a dword of which one byte is beyond', at(LIMIT - 2, 0xa1), GP],
    ['its last byte', at(LIMIT, 0xa0), RUNS],
    ['the byte behind it', at(LIMIT + 1, 0xa0), GP],
    ['a word across it', at(LIMIT, 0x66, 0xa1), GP],
    ['the last byte of 4 GiB', at(0xffffffff, 0xa0), GP],
    ['a dword across 4 GiB', at(0xffffffff, 0xa1), GP],
    ['a store of its last dword', at(LIMIT - 3, 0x89, 0x05), RUNS],
    ['a store beyond', at(LIMIT - 2, 0x89, 0x05), GP],
    ['ADD to memory beyond', at(LIMIT - 2, 0x01, 0x05), GP],
    ['LOCK XADD beyond', at(LIMIT - 2, 0xf0, 0x0f, 0xc1, 0x05), GP],
    ['XCHG beyond', at(LIMIT - 2, 0x87, 0x05), GP],
    ['CMPXCHG beyond', at(LIMIT - 2, 0x0f, 0xb1, 0x05), GP],
    ['CMPXCHG8B beyond', at(LIMIT - 6, 0x0f, 0xc7, 0x0d), GP],
    ['CMPXCHG8B inside', at(LIMIT - 7, 0x0f, 0xc7, 0x0d), RUNS],
    ['PUSH of memory beyond', at(LIMIT - 2, 0xff, 0x35), GP],
    ['POP to memory beyond', at(LIMIT - 2, 0x8f, 0x05), GP],
    ['CALL through memory beyond', at(LIMIT - 2, 0xff, 0x15), GP],
    ['JMP through memory beyond', at(LIMIT - 2, 0xff, 0x25), GP],
    ['JMP through a far pointer beyond', at(LIMIT - 4, 0xff, 0x2d), GP],
    ['LES of a pointer beyond', at(LIMIT - 4, 0xc4, 0x05), GP],
    ['BOUND of a pair beyond', at(LIMIT - 6, 0x62, 0x05), GP],
    ['BT of a bit beyond', [0x0f, 0xa3, 0x05, ...le32(LIMIT - 3)], GP, { registers: { eax: 32 } }],
    ['BT of a bit below', [0x0f, 0xa3, 0x05, ...le32(LIMIT + 1)], RUNS, { registers: { eax: 0xffffffff } }],
    ['SGDT beyond', at(LIMIT - 4, 0x0f, 0x01, 0x05), GP],
    ['SGDT inside', at(LIMIT - 5, 0x0f, 0x01, 0x05), RUNS],
    ['XLAT beyond', [0xd7], GP, { registers: { ebx: LIMIT, eax: 1 } }],
    ['FLD of 80 bits beyond', at(LIMIT - 8, 0xdb, 0x2d), GP],
    ['FLD of 80 bits inside', at(LIMIT - 9, 0xdb, 0x2d), RUNS],
    ['FILD beyond', at(LIMIT - 2, 0xdb, 0x05), GP],
    ['FSAVE beyond', at(LIMIT - 106, 0xdd, 0x35), GP],
    ['FSAVE inside', at(LIMIT - 107, 0xdd, 0x35), RUNS],
    ['FSTENV of 16 bits inside', at(LIMIT - 13, 0x66, 0xd9, 0x35), RUNS],
    ['FSTENV of 32 bits beyond', at(LIMIT - 13, 0xd9, 0x35), GP],
    ['FXSAVE beyond', at(0xe10, 0x0f, 0xae, 0x05), GP],
    ['FXSAVE inside', at(0xe00, 0x0f, 0xae, 0x05), RUNS],
    ['MOVUPS to memory beyond', at(LIMIT - 14, 0x0f, 0x11, 0x05), GP],
    ['MOVUPS inside', at(LIMIT - 15, 0x0f, 0x11, 0x05), RUNS],
    ['MOVUPS from memory beyond', at(LIMIT - 14, 0x0f, 0x10, 0x05), GP],
    ['MOVQ of an MMX register beyond', at(LIMIT - 6, 0x0f, 0x7f, 0x05), GP],
    ['MASKMOVQ beyond', [0x0f, 0xf7, 0xc1], GP, { registers: { edi: LIMIT - 6 } }],
    ['LODSD beyond', [0xad], GP, { registers: { esi: LIMIT - 2 } }],
    ['REP LODSD of nothing beyond', [0xf3, 0xad], RUNS, { registers: { esi: LIMIT, ecx: 0 } }],
    ['OUTSB beyond', [0x6e], GP, { registers: { esi: LIMIT + 1, edx: 0 } }],
    ['a prefix for a flat segment', at(LIMIT + 1, 0x64, 0xa0), RUNS],
    ['LEA', at(LIMIT + 1, 0x8d, 0x05), RUNS],
    ['a byte behind, with a prefix for DS, by EBP', [0x3e, 0x8a, 0x45, 1], GP, { registers: { ebp: LIMIT } }],
    ['a base that is not ESP in SIB', [0x8b, 0x04, 0x0c], RUNS, { registers: { ecx: 0xffff0000 } }],
  ];
  test.each(rows)('%s', (...row) => {
    check(row, { segments: { ds: data } });
  });
});

describe('types', () => {
  const rows: Row[] = [
    ['a load from read-only data', at(0, 0xa1), RUNS],
    ['a store to read-only data', at(0, 0xa3), GP],
    ['a change of read-only data', at(0, 0xff, 0x05), GP],
    [
      'a store to read-only data of 4 GiB',
      at(DATA_BASE, 0xa3),
      GP,
      { segments: { ds: { ...flat, flags: READ_ONLY } } },
    ],
    [
      'a load through DS with a readable code segment',
      at(0, 0xa1),
      RUNS,
      { segments: { ds: { ...data, flags: READABLE } } },
    ],
    ['a store through DS with a code segment', at(0, 0xa3), GP, { segments: { ds: { ...data, flags: READABLE } } }],
    ['a load through CS', at(0x1000, 0x2e, 0xa1), RUNS],
    ['a load through CS that may only be executed', at(0x1000, 0x2e, 0xa1), GP, { codeFlags: EXECUTABLE }],
    ['a store through CS', at(DATA_BASE, 0x2e, 0xa3), GP],
    ['a load through a null DS', at(0, 0xa1), GP, { segments: { ds: { base: 0, limit: 0, flags: 0 } } }],
    ['a store through a null ES', [0xaa], GP, { segments: { es: { base: 0, limit: 0, flags: 0 } } }],
    ['a load through a null FS', at(0, 0x64, 0xa1), GP, { segments: { fs: { base: 0, limit: 0, flags: 0 } } }],
    ['a load through a null GS', at(0, 0x65, 0xa1), GP, { segments: { gs: { base: 0, limit: 0, flags: 0 } } }],
  ];
  test.each(rows)('%s', (...row) => {
    check(row, { segments: { ds: { ...data, flags: READ_ONLY } } });
  });
});

describe('expand-down', () => {
  const big = { segments: { ds: { ...data, flags: EXPAND_DOWN | BIG } } };
  const rows: Row[] = [
    ['at the limit', at(LIMIT, 0xa0), GP],
    ['across the limit', at(LIMIT, 0xa1), GP],
    ['above the limit', at(LIMIT + 1, 0xa1), RUNS],
    ['the last dword of 64 KiB', at(0xfffc, 0xa1), RUNS],
    ['across 64 KiB', at(0xfffd, 0xa1), GP],
    ['behind 64 KiB', at(0x10000, 0xa0), GP],
    ['behind 64 KiB with B set', at(0x10000, 0xa0), RUNS, big],
    ['at the limit with B set', at(LIMIT, 0xa0), GP, big],
    ['the last dword of 4 GiB with B set', at(0xfffffffc, 0xa1), RUNS, big],
    ['across 4 GiB with B set', at(0xfffffffd, 0xa1), GP, big],
    [
      'with a limit of 4 GiB',
      at(0x1000, 0xa0),
      GP,
      { segments: { ds: { ...data, limit: 0xffffffff, flags: EXPAND_DOWN } } },
    ],
  ];
  test.each(rows)('%s', (...row) => {
    check(row, { segments: { ds: { ...data, flags: EXPAND_DOWN } } });
  });
});

describe('a stack of 4 KiB in ring 3', () => {
  const below = { registers: { esp: LIMIT + 3 } };
  const above = { registers: { esp: LIMIT - 2 } };
  const rows: Row[] = [
    ['PUSH to its last dword', [0x50], RUNS, { registers: { esp: LIMIT + 1 } }],
    ['PUSH beyond', [0x50], SS, below],
    ['PUSH below 0', [0x50], SS, { registers: { esp: 0 } }],
    ['PUSH of a constant', [0x68, ...le32(1)], SS, below],
    ['PUSH of DS', [0x1e], SS, below],
    ['PUSHF', [0x9c], SS, below],
    ['PUSHA', [0x60], SS, { registers: { esp: LIMIT + 8 } }],
    ['CALL', [0xe8, ...le32(0)], SS, below],
    ['CALL of a register', [0xff, 0xd0], SS, below],
    ['PUSH of memory', at(DATA_BASE, 0xff, 0x35), SS, below],
    ['ENTER', [0xc8, 0, 0, 0], SS, below],
    ['POP', [0x58], SS, above],
    ['POP of the last dword', [0x58], RUNS, { registers: { esp: LIMIT - 3 } }],
    ['POP to memory', at(DATA_BASE, 0x8f, 0x05), SS, above],
    ['POPA', [0x61], SS, { registers: { esp: LIMIT - 30 } }],
    ['POPF', [0x9d], SS, above],
    ['RET', [0xc3], SS, above],
    ['LEAVE', [0xc9], SS, { registers: { ebp: LIMIT - 2 } }],
    ['a load by EBP', [0x8b, 0x45, 0], SS, { registers: { ebp: LIMIT } }],
    ['a load by ESP', [0x8b, 0x44, 0x24, 4], SS, { registers: { esp: LIMIT - 3 } }],
    ['a store with a prefix', at(LIMIT, 0x36, 0xa3), SS],
    ['a load by EBP without a base', [0x8b, 0x05, ...le32(STACK)], RUNS],
  ];
  test.each(rows)('%s', (...row) => {
    check(row, { segments: { ss: data } });
  });
});

describe('string instructions', () => {
  test.each([
    ['MOVSB from beyond', [0xa4], { esi: LIMIT + 1, edi: 0 }],
    ['MOVSB to beyond', [0xa4], { esi: 0, edi: LIMIT + 1 }],
    ['STOSD to beyond', [0xab], { edi: LIMIT - 2 }],
    ['SCASB beyond', [0xae], { edi: LIMIT + 1 }],
    ['CMPSB with the first beyond', [0xa6], { esi: LIMIT + 1, edi: 0 }],
    ['CMPSB with the second beyond', [0xa6], { esi: 0, edi: LIMIT + 1 }],
    ['INSB to beyond', [0x6c], { edi: LIMIT + 1, edx: 0x80 }],
  ])('%s', (name, code, registers) => {
    check([name, code, GP], { segments: { ds: data, es: data }, registers });
  });

  test('REP STOSB stops at the first byte beyond, with the others stored', () => {
    const registers = { edi: LIMIT - 2, ecx: 10, eax: 0xaa };
    const found = runSegment({ code: [0xf3, 0xaa], segments: { es: data }, registers });
    expect(found).toMatchObject({ vector: GP, error: 0, at: 1, retired: 1 + 3 });
    expect(found.after).toMatchObject({ edi: LIMIT + 1, ecx: 7 });
    expect([LIMIT, LIMIT + 1].map((offset) => found.byte(DATA_BASE + offset))).toEqual([0xaa, 0]);
  });
});

describe('nothing is stored', () => {
  test.each([
    ['MOVUPS', at(LIMIT - 14, 0x0f, 0x11, 0x05), LIMIT - 14],
    ['SGDT', at(LIMIT - 4, 0x0f, 0x01, 0x05), LIMIT - 4],
    ['a dword', at(LIMIT - 2, 0xc7, 0x05).concat(le32(0x55555555)), LIMIT - 2],
  ])('by %s', (_, code, offset) => {
    const found = runSegment({ code, segments: { ds: data }, fill: 0x77 });
    expect(found.byte(DATA_BASE + offset)).toBe(0x77);
  });
});

describe('16-bit code in ring 3', () => {
  const rows: Row[] = [
    ['a word at FFFFh', [0xa1, 0xff, 0xff], GP],
    ['a byte at FFFFh', [0xa0, 0xff, 0xff], RUNS],
    ['a word at FFFFh of 4 GiB', [0xa1, 0xff, 0xff], RUNS, { segments: { ds: flat } }],
    ['a word by BP', [0x8b, 0x46, 0], SS, { registers: { ebp: 0xffff } }],
    ['POP at FFFFh', [0x58], SS, { registers: { esp: 0xffff } }],
    ['PUSH at 1', [0x50], SS, { registers: { esp: 1 } }],
    ['PUSH at 0', [0x50], RUNS, { registers: { esp: 0 } }],
    ['a dword with a 32-bit address', [0x66, 0x67, 0xa1, ...le32(0x10000)], GP],
  ];
  const small = { base: DATA_BASE, limit: 0xffff, flags: 0xf300 };
  test.each(rows)('%s', (...row) => {
    check(row, { mode: 'ring3-16', segments: { ds: small, ss: small } });
  });
});

describe('ring 0', () => {
  const rows: Row[] = [
    ['a load beyond', at(LIMIT - 2, 0xa1), GP],
    ['a store to read-only data', at(0, 0xa3), GP, { segments: { ds: { ...data, flags: 0x409100 } } }],
    ['a load through a null GS', at(0, 0x65, 0xa1), GP, { segments: { gs: { base: 0, limit: 0, flags: 0 } } }],
    ['LGDT from beyond', at(LIMIT - 4, 0x0f, 0x01, 0x15), GP],
    ['LMSW from beyond', at(LIMIT, 0x0f, 0x01, 0x35), GP],
  ];
  test.each(rows)('%s', (...row) => {
    check(row, { mode: 'ring0', segments: { ds: data } });
  });
});

describe('8086 code', () => {
  const rows: Row[] = [
    ['a word at FFFFh', [0xa1, 0xff, 0xff], GP],
    ['a store of a word at FFFFh', [0xa3, 0xff, 0xff], GP],
    ['a byte at FFFFh', [0xa0, 0xff, 0xff], RUNS],
    ['a dword at FFFDh', [0x66, 0xa1, 0xfd, 0xff], GP],
    ['a word by BP', [0x8b, 0x46, 0], SS, { registers: { ebp: 0xffff } }],
    ['LODSW at FFFFh', [0xad], GP, { registers: { esi: 0xffff } }],
    ['MOVSW to FFFFh', [0xa5], GP, { registers: { esi: 0, edi: 0xffff } }],
    ['POP at FFFFh', [0x58], SS, { registers: { esp: 0xffff } }],
    ['RET at FFFFh', [0xc3], SS, { registers: { esp: 0xffff } }],
    ['a store through CS', [0x2e, 0xa3, 0, 0x80], RUNS],
    ['a 32-bit address beyond 64 KiB', [0x67, 0xa0, ...le32(0x10000)], GP],
  ];
  test.each(rows)('in real mode: %s', (...row) => {
    check(row, { mode: 'real' });
  });
  test.each(rows)('in virtual 8086 mode: %s', (...row) => {
    check(row, { mode: 'v86' });
  });

  const kept: Row[] = [
    ['of 4 GiB', [0x67, 0xa0, ...le32(0x10000)], RUNS, { segments: { ds: flat } }],
    ['of 4 GiB, a word at FFFFh', [0xa1, 0xff, 0xff], RUNS, { segments: { ds: flat } }],
    ['of 4 KiB', [0xa0, 0, 0x10], GP, { segments: { ds: { ...data, flags: 0x9300 } } }],
    ['that expands down', [0xa0, 0, 0x10], RUNS, { segments: { ds: { ...data, flags: 0x9700 } } }],
    ['of read-only data: types do not count', [0xa3, 0, 0], RUNS, { segments: { ds: { ...data, flags: 0x9100 } } }],
    ['of a null selector: 64 KiB', [0xa1, 0xfe, 0xff], RUNS, { segments: { ds: { base: 0, limit: 0, flags: 0 } } }],
  ];
  test.each(kept)('real mode keeps a limit %s', (...row) => {
    check(row, { mode: 'real' });
  });
});

test('a limit comes before a missing page', () => {
  const code = at(LIMIT - 2, 0xa1);
  expect(runSegment({ code, segments: { ds: data }, missing: DATA_BASE })).toMatchObject({
    vector: GP,
    error: 0,
    at: 1,
  });
  expect(runSegment({ code: at(0, 0xa1), segments: { ds: data }, missing: DATA_BASE })).toMatchObject({ vector: 14 });
});

describe('code that was translated with another segment', () => {
  // 1: mov REG, eax; nop; jmp 2; 2: mov ebx, REG:[1000h]; xchg eax, edx; jmp 1; the second pass has a segment of 4 KiB
  test.each([
    ['FS, which does not end its block', [0x8e, 0xe0], 0x64],
    ['GS, popped', [0x50, 0x0f, 0xa9], 0x65],
    ['DS', [0x8e, 0xd8], 0x3e],
    ['ES, popped', [0x50, 0x07], 0x26],
  ])('is not used: %s', (_, load, prefix) => {
    const loop = [...load, 0x90, 0xeb, 0, prefix, 0x8b, 0x1d, ...le32(LIMIT + 1), 0x92];
    const code = [...loop, 0xeb, 256 - loop.length - 2];
    const found = runSegment({ code, registers: { eax: 0x23, edx: 0x33 }, descriptor: { at: GDT + 0x30, ...data } });
    expect(found).toMatchObject({ vector: GP, error: 0, at: 1 + load.length + 3 });
    expect(found.after).toMatchObject({ eax: 0x33, edx: 0x23 });
    expect(found.retired).toBe(1 + 2 * (load.length === 2 && load[0] === 0x8e ? 1 : 2) + 2 * 2 + 3);
  });
});
