/**
 * Goal: encodings the engine executes although this processor has no such instruction are undefined; 16-byte operands
 * want alignment; prefixes, operand sizes and the order of effects are the manual's.
 * Method: guest code that ends in HLT or in a handler, whose vector, place and registers are looked at.
 * Source: Intel SDM volume 2: 2.1.1, 2.4, LOCK, LDS, CVTPS2PD, CVTPI2PS, PUSHF, NEG, INT n, appendix A; volume 1, 9.6.1.
 */
import { describe, expect, test } from '@jest/globals';
import { CODE, guestOf, IDT, le32, setHandler } from './guest-code.js';
import { DATA, HANDLERS, HLT, NO_EXCEPTION, runCode } from './run-code.js';

/** ModRM and address of [DATA + offset] with reg field `field`. */
function memory(field: number, offset = 0): number[] {
  return [(field << 3) | 5, ...le32(DATA + offset)];
}

describe('undefined', () => {
  test.each([
    ['MOVDDUP', [0xf2, 0x0f, 0x12, 0xc1]],
    ['MOVSLDUP', [0xf3, 0x0f, 0x12, 0xc1]],
    ['MOVSHDUP', [0xf3, 0x0f, 0x16, ...memory(0)]],
    ['HADDPS', [0xf2, 0x0f, 0x7c, 0xc1]],
    ['HADDPD behind a segment prefix', [0x2e, 0x66, 0x0f, 0x7c, 0xc1]],
    ['ADDSUBPD', [0x66, 0x0f, 0xd0, 0xc1]],
    ['LDDQU', [0xf2, 0x0f, 0xf0, ...memory(0)]],
    ['EXTRQ', [0x66, 0x0f, 0x79, 0xc1]],
    ['INSERTQ', [0xf2, 0x0f, 0x79, 0xc1]],
    ['MOVNTSS', [0xf3, 0x0f, 0x2b, ...memory(0)]],
    ['MOVNTSD', [0xf2, 0x0f, 0x2b, ...memory(0)]],
    ['a VEX prefix of two bytes', [0xc5, 0xf8, 0x77]],
    ['a VEX prefix of three bytes', [0xc4, 0xe2, 0x70, 0xf2, 0xc0]],
    ['PSLLW with a memory operand', [0x66, 0x0f, 0x71, ...memory(6), 1]],
    ['0F 72 with an unassigned digit', [0x0f, 0x72, 0xc0, 1]],
    ['PSLLDQ of an MMX register', [0x0f, 0x73, 0xf8, 1]],
    ['PFADD', [0x0f, 0x0f, 0xc1, 0x9e]],
    ['SYSCALL', [0x0f, 0x05]],
    ['SYSRET', [0x0f, 0x07]],
    ['SYSENTER', [0x0f, 0x34]],
    ['8F with a digit other than 0', [0x8f, ...memory(1)]],
    ['8F with a digit other than 0 and a register', [0x8f, 0xf8]],
    ['LOCK MOV', [0xf0, 0x89, ...memory(0)]],
    ['LOCK NOP', [0xf0, 0x90]],
    ['LOCK CMP', [0xf0, 0x39, ...memory(0)]],
    ['LOCK TEST', [0xf0, 0xf7, ...memory(0), 0, 0, 0, 0]],
    ['LOCK ADD of a register', [0xf0, 0x01, 0xc0]],
    ['LOCK ADD to a register', [0xf0, 0x03, ...memory(0)]],
    ['LOCK BT', [0xf0, 0x0f, 0xba, ...memory(4), 1]],
    ['LOCK FLD1', [0xf0, 0xd9, 0xe8]],
    ['LOCK MOVAPS', [0xf0, 0x0f, 0x28, 0xc1]],
    ['LOCK PADDB', [0xf0, 0x0f, 0xfc, ...memory(0)]],
  ])('%s', (_, code) => {
    expect(runCode(code)).toMatchObject({ vector: 6, at: 0 });
    expect(runCode([0x90, ...code])).toMatchObject({ vector: 6, at: 1 });
  });

  test.each([0x00, 0x08, 0x10, 0x18, 0x20, 0x28, 0x30])('is not LOCK with %i', (opcode) => {
    expect(runCode([0xf0, opcode, ...memory(0)])).toMatchObject({ vector: NO_EXCEPTION });
    expect(runCode([0xf0, opcode + 1, ...memory(0)])).toMatchObject({ vector: NO_EXCEPTION });
  });

  test.each([
    ['SUB by a constant', [0x83, ...memory(5), 1]],
    ['XCHG', [0x87, ...memory(0)]],
    ['NOT', [0xf7, ...memory(2)]],
    ['INC', [0xff, ...memory(0)]],
    ['BTS', [0x0f, 0xab, ...memory(0)]],
    ['BTC by a constant', [0x0f, 0xba, ...memory(7), 1]],
    ['CMPXCHG', [0x0f, 0xb1, ...memory(0)]],
    ['XADD', [0x0f, 0xc1, ...memory(0)]],
    ['CMPXCHG8B', [0x0f, 0xc7, ...memory(1)]],
  ])('is not LOCK %s', (_, code) => {
    expect(runCode([0xf0, ...code])).toMatchObject({ vector: NO_EXCEPTION });
  });

  test('is another instruction after its last byte has changed', () => {
    // PSLLW [..] is #UD; the handler leads to a MOV that makes its ModRM byte that of PSLLW XMM0.
    const change = [0xc6, 0x05, ...le32(CODE + 7 + 3), 0xf0];
    const { vcpu } = guestOf([...change, 0x66, 0x0f, 0x71, 0x35, 1, HLT]);
    vcpu.setRegisters({ ...vcpu.getRegisters(), cr0: 0x31, cr4: 0x600, eip: CODE + 7 });
    setHandler(vcpu, 6, HANDLERS, [0xc7, 0x04, 0x24, ...le32(CODE), 0x43, 0xcf]); // mov [esp], CODE; inc ebx; iret
    expect(vcpu.run(1000)).toBe('halted');
    expect(vcpu.getRegisters().ebx).toBe(1);
    vcpu.dispose();
  });
});

describe('a 16-byte operand in memory', () => {
  test.each([
    ['MOVAPS from memory', [0x0f, 0x28]],
    ['MOVAPS to memory', [0x0f, 0x29]],
    ['MOVAPD', [0x66, 0x0f, 0x28]],
    ['MOVDQA from memory', [0x66, 0x0f, 0x6f]],
    ['MOVDQA to memory', [0x66, 0x0f, 0x7f]],
    ['MOVNTPS', [0x0f, 0x2b]],
    ['MOVNTDQ', [0x66, 0x0f, 0xe7]],
    ['ADDPS', [0x0f, 0x58]],
    ['XORPS', [0x0f, 0x57]],
    ['RCPPS', [0x0f, 0x53]],
    ['PADDB', [0x66, 0x0f, 0xfc]],
    ['PUNPCKLBW', [0x66, 0x0f, 0x60]],
    ['CVTPS2DQ', [0x66, 0x0f, 0x5b]],
    ['CVTPD2PI', [0x66, 0x0f, 0x2d]],
    ['CVTPD2DQ', [0xf2, 0x0f, 0xe6]],
  ])('must be aligned: %s', (_, opcode) => {
    expect(runCode([...opcode, ...memory(1)])).toMatchObject({ vector: NO_EXCEPTION });
    for (const offset of [1, 8, 15])
      expect(runCode([0x90, ...opcode, ...memory(1, offset)])).toMatchObject({ vector: 13, at: 1 });
  });

  test.each([
    ['MOVUPS', [0x0f, 0x10]],
    ['MOVUPD', [0x66, 0x0f, 0x11]],
    ['MOVDQU', [0xf3, 0x0f, 0x6f]],
    ['ADDSS', [0xf3, 0x0f, 0x58]],
    ['ADDSD', [0xf2, 0x0f, 0x58]],
    ['MOVLPS', [0x0f, 0x12]],
    ['MOVHPD', [0x66, 0x0f, 0x16]],
    ['MOVQ', [0xf3, 0x0f, 0x7e]],
    ['CVTPS2PD', [0x0f, 0x5a]],
    ['CVTDQ2PD', [0xf3, 0x0f, 0xe6]],
    ['CVTPS2PI', [0x0f, 0x2d]],
    ['CVTPI2PD', [0x66, 0x0f, 0x2a]],
    ['COMISD', [0x66, 0x0f, 0x2f]],
    ['PADDB of MMX registers', [0x0f, 0xfc]],
  ])('or smaller one need not: %s', (_, opcode) => {
    expect(runCode([...opcode, ...memory(1, 1)])).toMatchObject({ vector: NO_EXCEPTION });
  });

  test('is not read where the operand has 8 bytes: CVTPS2PD at the end of a page', () => {
    // One page table entry each: 6000h present, 7000h not.
    const { vcpu } = guestOf([0x0f, 0x5a, ...[0x0d, ...le32(0x6ff8)], HLT]);
    vcpu.ram.writeU32(0x10000, 0x11007);
    for (let page = 0; page < 32; page++) vcpu.ram.writeU32(0x11000 + 4 * page, (page << 12) | (page === 7 ? 0 : 7));
    vcpu.ram.writeU32(0x6ff8, 0x3f800000);
    vcpu.ram.writeU32(0x6ffc, 0x40000000);
    vcpu.setRegisters({ ...vcpu.getRegisters(), esp: 0xa000, cr3: 0x10000, cr0: 0x80000031, cr4: 0x600 });
    setHandler(vcpu, 14, HANDLERS, [0xbf, 14, 0, 0, 0, HLT]);
    expect(vcpu.run(1000)).toBe('halted');
    expect(vcpu.getRegisters().edi).not.toBe(14);
    vcpu.dispose();
  });
});

describe('prefixes', () => {
  test('F2 wins over 66: ADDSD, not ADDPD', () => {
    const data = [...le32(0), ...le32(0x3ff00000), ...le32(0), ...le32(0x3ff00000)];
    const code = [0x66, 0xf2, 0x0f, 0x58, ...memory(0), 0x0f, 0x11, ...memory(0, 16)]; // addsd; movups
    const { word } = runCode(code, data);
    expect([word(20), word(28)]).toEqual([0x3ff00000, 0]);
  });

  test('LOCK NEG sets the flags of NEG', () => {
    const neg = (lock: number[]): number =>
      runCode([...lock, 0xf7, ...memory(3), 0x9c, 0x58], le32(5)).registers.eax & 0x8d5;
    expect(neg([0xf0])).toBe(neg([]));
    expect(runCode([0x66, 0xf0, 0xf7, ...memory(3)], le32(5)).word(0)).toBe(0xfffb);
  });

  test('PUSHFD stores neither VM nor RF, while IRETD still loads them', () => {
    // In V86 mode with IOPL 3: pushfd; pop eax; hlt, which is #GP there.
    const { vcpu } = guestOf([0x66, 0x9c, 0x66, 0x58, HLT]);
    vcpu.ram.write(CODE + 0x100, Uint8Array.from([0xcf])); // iretd
    setHandler(vcpu, 13, HANDLERS, [HLT]);
    const frame = [0, CODE >> 4, 0x23002, 0xfff0, 0, 0, 0, 0, 0];
    frame.forEach((value, i) => vcpu.ram.writeU32(0x7000 + 4 * i, value));
    vcpu.setRegisters({ ...vcpu.getRegisters(), esp: 0x7000, eip: CODE + 0x100 });
    expect(vcpu.run(1000)).toBe('halted');
    const { eax, eflags } = vcpu.getRegisters();
    expect([eax & 0x33000, eflags & 0x20000]).toEqual([0x3000, 0]);
    vcpu.dispose();
  });
});

describe('FBSTP', () => {
  const NEAREST = 0x37f;
  const DOWN = 0x77f;
  const UP = 0xb7f;
  /** The ten bytes as a number would be written, sign first, and the exception flags. */
  function store(control: number, [low, high, exponent]: readonly [number, number, number]): [string, number] {
    const data = [control & 255, control >> 8, 0, 0, ...le32(low), ...le32(high), ...le32(exponent)];
    const code = [0xdb, 0xe3, 0xd9, ...memory(5), 0xdb, ...memory(5, 4), 0xdf, ...memory(6, 16), 0xdf, 0xe0];
    const { registers, word } = runCode(code, data);
    const bytes = Buffer.from([...le32(word(16)), ...le32(word(20)), ...le32(word(24))]).subarray(0, 10);
    return [
      bytes
        .reverse()
        .toString('hex')
        .replace(/^(..)0+(?=.)/, '$1 '),
      registers.eax & 0x23f,
    ];
  }

  test.each([
    ['1', NEAREST, [0, 0x80000000, 0x3fff], '00 1', 0],
    ['-42', NEAREST, [0, 0xa8000000, 0xc004], '80 42', 0],
    ['2.5 to nearest', NEAREST, [0, 0xa0000000, 0x4000], '00 2', 0x20],
    ['3.5 to nearest', NEAREST, [0, 0xe0000000, 0x4000], '00 4', 0x220],
    ['2.5 up', UP, [0, 0xa0000000, 0x4000], '00 3', 0x220],
    ['-2.5 up', UP, [0, 0xa0000000, 0xc000], '80 2', 0x20],
    ['-2.5 down', DOWN, [0, 0xa0000000, 0xc000], '80 3', 0x220],
    ['-0', NEAREST, [0, 0, 0x8000], '80 0', 0],
    ['the least positive number up', UP, [1, 0, 0], '00 1', 0x220],
    ['10^18 - 1', NEAREST, [0x763ffff0, 0xde0b6b3a, 0x403a], '00999999999999999999', 0],
    ['10^18', NEAREST, [0x76400000, 0xde0b6b3a, 0x403a], 'ffffc000000000000000', 1],
    ['infinity', NEAREST, [0, 0x80000000, 0x7fff], 'ffffc000000000000000', 1],
    ['an unnormal', NEAREST, [0, 0x40000000, 0x4000], 'ffffc000000000000000', 1],
  ] as const)('%s', (_, control, value, text, flags) => {
    expect(store(control, value)).toEqual([text, flags]);
  });
});

test.each([
  ['a tiny result is 0', 0xfe8fffff, 0x80000000],
  ['a denormal operand is 0', 0x007fffff, 0x7f800000],
])('RCPSS: %s', (_, operand, result) => {
  const { word } = runCode([0xf3, 0x0f, 0x53, ...memory(0), 0x0f, 0x11, ...memory(0, 16)], le32(operand));
  expect(word(16) >>> 0).toBe(result);
});

test('a load makes a signalling NaN a quiet one', () => {
  const load = [0xdb, 0xe3, 0xd9, ...memory(0), 0xdb, ...memory(7, 16)]; // fld dword; fstp tbyte
  const { word } = runCode(load, le32(0x7fa00000));
  expect([word(20) >>> 0, word(24) & 0xffff]).toEqual([0xe0000000, 0x7fff]);
});

describe('MMX and x87', () => {
  const FAULTING = 0x40000000; // beyond the page table
  test.each([
    ['PADDB from', [0x0f, 0xfc]],
    ['MOVQ to', [0x0f, 0x7f]],
    ['MOVD to', [0x0f, 0x7e]],
  ])('%s a missing page leaves TOP and the tags', (_, opcode) => {
    // fninit; fld1; the instruction
    const { vcpu } = guestOf([0xdb, 0xe3, 0xd9, 0xe8, ...opcode, 0x05, ...le32(FAULTING), HLT]);
    vcpu.ram.writeU32(0x10000, 0x87); // 4 MiB page
    setHandler(vcpu, 14, HANDLERS, [0xdf, 0xe0, HLT]); // fnstsw ax
    vcpu.setRegisters({ ...vcpu.getRegisters(), cr3: 0x10000, cr0: 0x80000031, cr4: 0x610 });
    expect(vcpu.run(1000)).toBe('halted');
    expect(vcpu.getRegisters().eax & 0x3800).toBe(0x3800);
    vcpu.dispose();
  });

  test('CVTPI2PS enters the MMX state from a register, not from memory', () => {
    const top = (operand: number[]): number =>
      runCode([0xdb, 0xe3, 0xd9, 0xe8, 0x0f, 0x2a, ...operand, 0xdf, 0xe0]).registers.eax & 0x3800;
    expect([top([0xc1]), top(memory(0))]).toEqual([0, 0x3800]);
  });

  test.each([
    ['unnormal', 0x4000, 0x40000000, 0],
    ['pseudo-NaN', 0x7fff, 0x40000000, 0],
    ['pseudo-infinity', 0x7fff, 0, 0],
    ['normal', 0xc000, 0x80000000, 0x600],
    ['infinity', 0x7fff, 0x80000000, 0x500],
    ['NaN', 0x7fff, 0xc0000000, 0x100],
    ['zero', 0x8000, 0, 0x4200],
    ['denormal', 0, 0x40000000, 0x4400],
  ])('FXAM of %s', (_, exponent, high, condition) => {
    const data = [...le32(0), ...le32(high), ...le32(exponent)];
    const { registers } = runCode([0xdb, 0xe3, 0xdb, ...memory(5), 0xd9, 0xe5, 0xdf, 0xe0], data);
    expect(registers.eax & 0x4700).toBe(condition);
  });
});

test('INT n through a task gate of ring 0 is #GP in ring 3', () => {
  const { vcpu } = guestOf([0xcd, 0x30, HLT]);
  vcpu.ram.writeU32(IDT + 8 * 0x30, 0x28 << 16);
  vcpu.ram.writeU32(IDT + 8 * 0x30 + 4, 0x8500);
  setHandler(vcpu, 13, HANDLERS, [0x58, 0x5b, HLT]); // pop eax, ebx: the error code and where
  const registers = vcpu.getRegisters();
  const data = { ...registers.ds, selector: 0x23, flags: 0xcff300 };
  const cs = { ...registers.cs, selector: 0x1b, flags: 0xcffb00 };
  vcpu.setRegisters({ ...registers, cs, ss: data, ds: data });
  expect(vcpu.run(1000)).toBe('halted');
  const { eax, ebx } = vcpu.getRegisters();
  expect([eax, ebx]).toEqual([8 * 0x30 + 2, CODE]);
  vcpu.dispose();
});
