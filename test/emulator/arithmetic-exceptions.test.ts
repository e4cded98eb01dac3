/**
 * Goal: FPU and SSE arithmetic tells its exceptions: flags at their instruction, #MF at the next waiting one, #XM before a
 * result is written; and what CPUID does not offer is undefined, INT n obeys its gate.
 * Method: guest code that ends in HLT or in a handler, whose vector, place and registers are looked at.
 * Source: Intel SDM volume 1, sections 8.5, 8.7, 11.5; volume 2, BSF, INT n, PSHUFB.
 */
import { describe, expect, test } from '@jest/globals';
import { guestOf, IDT, le32, setHandler } from './guest-code.js';
import { CR0_NE, CR4_SSE, DATA, HANDLERS, HLT, NO_EXCEPTION, runCode } from './run-code.js';

const FNINIT = [0xdb, 0xe3];
const FNSTSW_AX = [0xdf, 0xe0];
/** fldcw [DATA] */
const FLDCW = [0xd9, 0x2d, ...le32(DATA)];

describe('x87 arithmetic', () => {
  test.each([
    ['1 / 3 is inexact', [0xd9, 0xe8, 0xdf, 0x05, ...le32(DATA + 4), 0xde, 0xf9], 0x20],
    ['1 / 0 is a division by zero', [0xd9, 0xe8, 0xd9, 0xee, 0xde, 0xf9], 0x04],
    ['0 / 0 is invalid, not a division by zero', [0xd9, 0xee, 0xd9, 0xee, 0xde, 0xf9], 0x01],
    ['the root of -1 is invalid', [0xd9, 0xe8, 0xd9, 0xe0, 0xd9, 0xfa], 0x01],
    ['1 + 1 is none', [0xd9, 0xe8, 0xd8, 0xc0], 0],
    ['3 to 16 bits is none', [0xdf, 0x05, ...le32(DATA + 4), 0xdf, 0x1d, ...le32(DATA + 16)], 0],
  ] as const)('%s', (_, code, flags) => {
    const { vector, registers } = runCode([...FNINIT, ...code, ...FNSTSW_AX], [0x7f, 3, 0, 0, 3, 0]);
    expect([vector, registers.eax & 0xff]).toEqual([NO_EXCEPTION, flags]);
  });

  test('an integer that does not fit is invalid and the indefinite one, in 16, 32 and 64 bits', () => {
    const load = [0xdb, 0x05, ...le32(DATA + 4)]; // fild dword: 70000
    const { registers, word } = runCode(
      [...FNINIT, ...load, 0xdf, 0x1d, ...le32(DATA + 16), ...FNSTSW_AX],
      [0x7f, 3, 0, 0, ...le32(70_000)],
    );
    expect([registers.eax & 0xff, word(16) & 0xffff]).toEqual([1, 0x8000]);
  });

  test.each([
    ['signalling, of which only the quiet bit is left', [1, 0x80000000, 0x7fff], [0x7fc00000, 0, 0x7ff80000], 1],
    ['quiet', [0x12345fff, 0xc0000abc, 0xffff], [0xffc0000a, 0x5782468b, 0xfff80001], 0],
    ['unsupported', [1, 0, 0x7fff], [0xffc00000, 0, 0xfff80000], 1],
  ] as const)('a NaN is stored as float and double: %s', (_name, words, stored, flags) => {
    // fld tbyte [d]; fst dword [d + 16]; fstp qword [d + 20]
    const code = [0xdb, 0x2d, ...le32(DATA), 0xd9, 0x15, ...le32(DATA + 16), 0xdd, 0x1d, ...le32(DATA + 20)];
    const { word, registers } = runCode([...FNINIT, ...code, ...FNSTSW_AX], words.flatMap(le32));
    expect([[16, 20, 24].map(word), registers.eax & 0x3f]).toEqual([stored, flags]);
  });

  test('an unmasked exception sets the summary and is raised at the next waiting instruction', () => {
    const divide = [...FNINIT, ...FLDCW, 0xd9, 0xe8, 0xd9, 0xee, 0xde, 0xf9];
    const unmasked = [0x7b, 3]; // all but division by zero
    const quiet = runCode([...divide, ...FNSTSW_AX], unmasked);
    expect([quiet.vector, quiet.registers.eax & 0x80ff]).toEqual([NO_EXCEPTION, 0x8084]);
    for (const waiting of [
      [0xd9, 0xe8],
      [0xd8, 0xc0],
      [0xd9, 0xc0],
      [0xdf, 0x05, ...le32(DATA)],
      [0x9b],
      [0xd9, 0xe0],
    ]) {
      expect(runCode([...divide, ...waiting], unmasked)).toMatchObject({ vector: 16, at: divide.length });
    }
  });

  test.each([
    ['PADDB', [0x0f, 0xfc, 0xc1]],
    ['MOVQ to memory', [0x0f, 0x7f, 0x05, ...le32(DATA)]],
    ['MOVQ from memory', [0x0f, 0x6f, 0x05, ...le32(DATA)]],
    ['EMMS', [0x0f, 0x77]],
    ['CVTPI2PS of a register', [0x0f, 0x2a, 0xc1]],
  ])('one that waits is raised by MMX, too: %s', (_name, code) => {
    // fninit; fldcw [d]; fldz; fldz; fdivp, which is invalid
    const waiting = [0xdb, 0xe3, 0xd9, 0x2d, ...le32(DATA), 0xd9, 0xee, 0xd9, 0xee, 0xde, 0xf9];
    const { vector, at, word } = runCode([...waiting, ...code], [0x7e, 0x03, 0xaa, 0xbb]);
    expect([vector, at, word(0)]).toEqual([16, waiting.length, 0xbbaa037e]);
  });

  describe('the summary follows the control word', () => {
    const DIVIDE = [...FNINIT, 0xd9, 0xe8, 0xd9, 0xee, 0xde, 0xf9]; // 1 / 0, masked
    const AREA = DATA + 32;
    const memory = (field: number): number[] => [(field << 3) | 5, ...le32(AREA)];
    /** The status word after each of two loads of control words, the first unmasks division by zero. */
    function summaries(store: readonly number[], load: readonly number[]): number[] {
      const toggle = [0x80, 0x35, ...le32(AREA), 4]; // xor byte [AREA], 4
      const part = [...toggle, ...load, ...FNSTSW_AX];
      const { registers, vector } = runCode([...DIVIDE, ...store, ...part, 0x89, 0xc3, ...part]); // mov ebx, eax
      expect(vector).toBe(NO_EXCEPTION);
      return [registers.ebx & 0x80ff, registers.eax & 0x80ff];
    }

    test.each([
      ['FXRSTOR', [0x0f, 0xae, ...memory(0)], [0x0f, 0xae, ...memory(1)]],
      ['FLDENV', [0xd9, ...memory(6), 0xd9, ...memory(4)], [0xd9, ...memory(4)]],
      ['FRSTOR', [0xdd, ...memory(6), 0xdd, ...memory(4)], [0xdd, ...memory(4)]],
    ])('%s', (_, store, load) => {
      expect(summaries(store, load)).toEqual([0x8084, 4]);
    });

    test('FLDCW, which waits', () => {
      const unmask = [...DIVIDE, ...FLDCW];
      const { registers, vector } = runCode([...unmask, ...FNSTSW_AX], [0x7b, 3]);
      expect([vector, registers.eax & 0x80ff]).toEqual([NO_EXCEPTION, 0x8084]);
      expect(runCode([...unmask, ...FLDCW], [0x7b, 3])).toMatchObject({ vector: 16, at: unmask.length });
    });
  });

  test('constants are rounded as the control word says', () => {
    const pi = (control: number): number =>
      runCode([...FNINIT, ...FLDCW, 0xd9, 0xeb, 0xdb, 0x3d, ...le32(DATA + 16)], [0x7f, control]).word(16) & 0xff;
    expect([0x03, 0x07, 0x0b, 0x0f].map(pi)).toEqual([0x35, 0x34, 0x35, 0x34]);
  });
});

describe('SSE arithmetic', () => {
  const ldmxcsr = [0x0f, 0xae, 0x15, ...le32(DATA)];
  const stmxcsr = [0x0f, 0xae, 0x1d, ...le32(DATA + 16)];
  const one = [0, 0, 0x80, 0x3f];
  /** movss xmm0, [DATA+4]; movss xmm1, [DATA+8] */
  const load = [0xf3, 0x0f, 0x10, 0x05, ...le32(DATA + 4), 0xf3, 0x0f, 0x10, 0x0d, ...le32(DATA + 8)];
  const divss = [0xf3, 0x0f, 0x5e, 0xc1];
  /** movss [DATA+20], xmm0 */
  const store = [0xf3, 0x0f, 0x11, 0x05, ...le32(DATA + 20)];

  test('tells its exceptions in MXCSR', () => {
    const flags = (divisor: readonly number[]): number =>
      runCode([...ldmxcsr, ...load, ...divss, ...stmxcsr], [...le32(0x1f80), ...one, ...divisor]).word(16) & 0x3f;
    expect(flags([0, 0, 0x40, 0x40])).toBe(0x20); // 1 / 3
    expect(flags([0, 0, 0, 0])).toBe(0x04);
    expect(flags(one)).toBe(0);
  });

  test('raises an unmasked one before it writes, as #XM or, without CR4.OSXMMEXCPT, as #UD', () => {
    const before = [...ldmxcsr, ...load];
    const data = [...le32(0x1d80), ...one, 0, 0, 0, 0];
    expect(runCode([...before, ...divss], data)).toMatchObject({ vector: 19, at: before.length });
    expect(runCode([...before, ...divss], data, 0x200)).toMatchObject({ vector: 6, at: before.length });
    // The handler finds the operand: 1.0, and the flag.
    const { vcpu } = guestOf([...before, ...divss, HLT]);
    vcpu.ram.write(DATA, Uint8Array.from(data));
    vcpu.setRegisters({ ...vcpu.getRegisters(), cr0: CR0_NE, cr4: CR4_SSE });
    setHandler(vcpu, 19, HANDLERS, [...store, ...stmxcsr, HLT]);
    expect(vcpu.run(100_000)).toBe('halted');
    expect([vcpu.ram.readU32(DATA + 20), vcpu.ram.readU32(DATA + 16)! & 0x3f]).toEqual([0x3f800000, 4]);
    vcpu.dispose();
  });

  test.each([0x58, 0x59, 0x5c, 0x5e])(
    'gives the first of two NaNs, made quiet, and tells of a signalling one: 0F %x',
    (opcode) => {
      // The second has the larger significand.
      const [first, second] = [le32(0x7f812345), le32(0xffc12345)];
      const single = [...ldmxcsr, ...load, 0xf3, 0x0f, opcode, 0xc1, ...store, ...stmxcsr];
      const result = runCode(single, [...le32(0x1f80), ...first, ...second]);
      expect([result.word(20), result.word(16) & 0x3f]).toEqual([0x7fc12345, 1]);
      expect(runCode(single, [...le32(0x1f80), ...second, ...first]).word(20)).toBe(0xffc12345);
      expect(runCode(single, [...le32(0x1f80), ...first, ...one]).word(20)).toBe(0x7fc12345);
      expect(runCode(single, [...le32(0x1f80), ...one, ...first]).word(20)).toBe(0x7fc12345);
      // movupd xmm0, [d]; movupd xmm1, [d + 16]; the operation; movupd [d], xmm0
      const doubles = [...le32(1), ...le32(0x7ff00000), ...le32(0), ...le32(0x40000000)];
      const others = [...le32(0), ...le32(0xffffffff), ...le32(7), ...le32(0xfff80000)];
      const access = (way: number, digit: number, offset: number): number[] => [
        0x66,
        0x0f,
        way,
        5 | (digit << 3),
        ...le32(DATA + offset),
      ];
      const packed = [...access(0x10, 0, 0), ...access(0x10, 1, 16), 0x66, 0x0f, opcode, 0xc1, ...access(0x11, 0, 0)];
      const { word } = runCode(packed, [...doubles, ...others]);
      expect([0, 4, 8, 12].map(word)).toEqual([1, 0x7ff80000, 7, 0xfff80000]);
    },
  );

  test('flushes tiny results to zero when told so, and x87 arithmetic never', () => {
    const tiny = [0, 0, 0x80, 0x00]; // 2^-126
    const two = [0, 0, 0, 0x40];
    const data = [...le32(0x9f80), ...tiny, ...two];
    const flushed = runCode([...ldmxcsr, ...load, ...divss, ...store], data);
    expect(flushed.word(20)).toBe(0);
    const kept = runCode(
      [
        ...FNINIT,
        ...ldmxcsr,
        0xd9,
        0x05,
        ...le32(DATA + 4),
        0xd8,
        0x35,
        ...le32(DATA + 8),
        0xd9,
        0x1d,
        ...le32(DATA + 20),
      ],
      data,
    );
    expect(kept.word(20)).toBe(0x400000);
  });
});

describe('what CPUID does not offer', () => {
  test.each([
    ['PSHUFB', [0x66, 0x0f, 0x38, 0x00, 0xc1]],
    ['PINSRD', [0x66, 0x0f, 0x3a, 0x22, 0xc0, 0x00]],
    ['MOVBE', [0x0f, 0x38, 0xf0, 0x05, ...le32(DATA)]],
    ['CRC32', [0xf2, 0x0f, 0x38, 0xf1, 0xc0]],
  ])('%s is undefined', (_, code) => {
    expect(runCode(code)).toMatchObject({ vector: 6, at: 0 });
  });

  test('REP BSF is BSF, not TZCNT', () => {
    // xor ecx, ecx; mov eax, 77h; rep bsf eax, ecx: the destination stays, ZF is set
    const { registers } = runCode([0x31, 0xc9, 0xb8, 0x77, 0, 0, 0, 0xf3, 0x0f, 0xbc, 0xc1]);
    expect([registers.eax, registers.eflags & 0x40]).toEqual([0x77, 0x40]);
  });
});

test('INT 6 is an interrupt, not an exception: its gate must allow it, and it returns after itself', () => {
  const allowed = runCode([0xcd, 0x06]);
  expect(allowed).toMatchObject({ vector: 6, at: 2 });
  const { vcpu } = guestOf([0xcd, 0x06, HLT]);
  setHandler(vcpu, 6, HANDLERS, [HLT]);
  vcpu.ram.writeU32(IDT + 8 * 6 + 4, (HANDLERS & 0xffff0000) | 0x8e00); // DPL 0
  setHandler(vcpu, 13, HANDLERS + 16, [0x58, HLT]); // pop eax: the error code
  const segment = { selector: 0x23, base: 0, limit: 0xffffffff, flags: 0xcff300 };
  const registers = vcpu.getRegisters();
  vcpu.setRegisters({
    ...registers,
    cs: { ...registers.cs, selector: 0x1b, flags: 0xcffb00 },
    ss: segment,
    ds: segment,
  });
  expect(vcpu.run(1000)).toBe('halted');
  expect(vcpu.getRegisters().eax).toBe(6 * 8 + 2);
  vcpu.dispose();
});
