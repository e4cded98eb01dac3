/**
 * Goal: RF is pushed as the manual says and holds instruction breakpoints back for one instruction, wherever blocks end.
 * Method: handlers keep the flags that were pushed; programs with a breakpoint, run in one go and cut in every place.
 * Source: Intel SDM volume 3, 17.3.1.1.
 */
import { afterEach, describe, expect, test } from '@jest/globals';
import type { Vcpu } from '../../emulator/vcpu.js';
import { CODE, guestOf, le32, setHandler, TSS } from './guest-code.js';
import { DATA, HANDLERS, HLT } from './run-code.js';

const RF = 0x10000;
const WITH_ERROR = new Set([13, 14]);
const INT_21 = [0xcd, 0x21];
const NOP = 0x90;

const open: Vcpu[] = [];
afterEach(() => {
  for (const vcpu of open.splice(0)) vcpu.dispose();
});

/** A guest whose handlers put the flags that were pushed into EBX and the address into EBP, and halt. */
function guest(code: readonly number[]): Vcpu {
  const { vcpu } = guestOf(code);
  open.push(vcpu);
  for (const vector of [0, 1, 3, 4, 6, 13, 14, 0x21]) {
    // add esp, 4 when there is an error code; pop ebp; pop ebx; pop ebx; hlt
    const error = WITH_ERROR.has(vector) ? [0x83, 0xc4, 4] : [];
    setHandler(vcpu, vector, HANDLERS + 16 * vector, [...error, 0x5d, 0x5b, 0x5b, HLT]);
  }
  return vcpu;
}

/** Run to the end in slices of `slice` instructions. */
function finish(vcpu: Vcpu, slice: number): void {
  for (let limit = slice; vcpu.run(limit) !== 'halted'; limit += slice) expect(limit).toBeLessThan(1000);
}

function pushed(code: readonly number[], slice = 1000): { rf: boolean; at: number } {
  const vcpu = guest(code);
  finish(vcpu, slice);
  const { ebx, ebp } = vcpu.getRegisters();
  return { rf: (ebx & RF) !== 0, at: ebp - CODE };
}

/** push flags with RF; push cs; push the address behind; iretd */
function irets(rf = true): number[] {
  const start = [0x68, ...le32(rf ? RF + 2 : 2), 0x6a, 8, 0x68];
  return [...start, ...le32(CODE + start.length + 5), 0xcf];
}

describe('what is pushed', () => {
  test.each([
    ['#UD', [0x0f, 0x0b], true],
    ['#DE', [0x31, 0xc9, 0xf7, 0xf1], true],
    ['#GP', [0x66, 0xb8, 0x34, 0x12, 0x8e, 0xd8], true],
    ['INT n', INT_21, false],
    ['INT3', [0xcc], false],
    ['INTO', [0xb0, 0x7f, 0x04, 0x7f, 0xce], false],
    ['single step', [0x9c, 0x81, 0x0c, 0x24, ...le32(0x100), 0x9d, NOP, NOP], false],
  ] as const)('%s', (_name, code, rf) => {
    expect(pushed([NOP, ...code]).rf).toBe(rf);
  });

  test('a task that faulted is saved with RF', () => {
    // A task gate for #UD, to a task at 7000h whose code is HLT.
    const vcpu = guest([0x0f, 0x0b]);
    vcpu.ram.writeU32(0x2028 + 8, (0x7000 << 16) | 0x67);
    vcpu.ram.writeU32(0x2028 + 12, 0x8900);
    const { gdtLimit } = vcpu.getRegisters();
    vcpu.setRegisters({ ...vcpu.getRegisters(), gdtLimit: gdtLimit + 8 });
    vcpu.ram.writeU32(0x3000 + 8 * 6, 0x30 << 16);
    vcpu.ram.writeU32(0x3000 + 8 * 6 + 4, 0x8500);
    const fields: [number, number][] = [[0x20, HANDLERS], [0x24, 2], [0x38, 0x8000]]; // prettier-ignore
    for (const at of [0x48, 0x50, 0x54, 0x58, 0x5c]) fields.push([at, 0x10]);
    for (const [at, value] of [...fields, [0x4c, 8]] as [number, number][]) vcpu.ram.writeU32(0x7000 + at, value);
    vcpu.ram.write(HANDLERS, Uint8Array.of(HLT));
    finish(vcpu, 1000);
    expect(vcpu.ram.readU32(TSS + 0x24)! & RF).toBe(RF);
  });
});

describe('one instruction', () => {
  const after = irets().length;

  test.each([1, 2, 3, 1000])('clears it: INT n behind another instruction, slices of %d', (slice) => {
    expect(pushed([...irets(), NOP, ...INT_21], slice)).toEqual({ rf: false, at: after + 3 });
    expect(pushed([...irets(), ...INT_21], slice)).toEqual({ rf: false, at: after + 2 });
  });

  test.each([1, 2, 3, 1000])('clears it, a jump, too, slices of %d', (slice) => {
    expect(pushed([...irets(), 0xeb, 0, ...INT_21], slice)).toEqual({ rf: false, at: after + 4 });
    expect(pushed([...irets(), 0x75, 0, ...INT_21], slice)).toEqual({ rf: false, at: after + 4 });
  });

  /** mov eax, CODE + at; mov dr0, eax; mov eax, 401h; mov dr7, eax */
  const armed = (at: number): number[] => [
    0xb8,
    ...le32(CODE + at),
    0x0f,
    0x23,
    0xc0,
    0xb8,
    ...le32(0x401),
    0x0f,
    0x23,
    0xf8,
  ];
  const length = armed(0).length;
  /** The same IRETD, at another place. */
  function resuming(at: number): number[] {
    const code = irets();
    code.splice(8, 4, ...le32(CODE + at + code.length));
    return code;
  }

  test.each([1, 2, 3, 1000])('is what a breakpoint is held back for, slices of %d', (slice) => {
    const begin = length + after;
    const code = (breakpoint: number): number[] => [
      ...armed(breakpoint),
      ...resuming(length),
      NOP,
      NOP,
      NOP,
      ...INT_21,
    ];
    expect(pushed(code(begin), slice).at).toBe(begin + 5);
    expect(pushed(code(begin + 1), slice).at).toBe(begin + 1);
    expect(pushed(code(begin + 2), slice).at).toBe(begin + 2);
  });

  test.each([1, 2, 3, 1000])('is PAUSE, too: a breakpoint behind it is met, slices of %d', (slice) => {
    const begin = length + after;
    const code = [...armed(begin + 2), ...resuming(length), 0xf3, 0x90, NOP, ...INT_21];
    expect(pushed(code, slice).at).toBe(begin + 2);
  });

  test.each([1, 2, 3, 1000])('is HLT, too: what interrupts it pushes RF clear, slices of %d', (slice) => {
    // push flags with RF and IF instead; then HLT, and another in the handler
    const code = irets();
    code.splice(1, 4, ...le32(RF + 0x202));
    const vcpu = guest([...code, HLT]);
    finish(vcpu, slice);
    vcpu.inject(0x21);
    for (let limit = vcpu.icount + 1; vcpu.run(limit) !== 'halted'; limit++) expect(limit).toBeLessThan(1000);
    expect(vcpu.getRegisters()).toMatchObject({ ebp: CODE + after + 1, ebx: 0x202 });
  });

  test.each([1, 2, 3, 1000])('is a whole REP MOVSB, slices of %d', (slice) => {
    const setUp = [0xbe, ...le32(DATA), 0xbf, ...le32(DATA + 64), 0xb9, ...le32(5)]; // mov esi; mov edi; mov ecx, 5
    const begin = setUp.length + length + after;
    const code = [...setUp, ...armed(begin), ...resuming(setUp.length + length), 0xf3, 0xa4, NOP, ...INT_21];
    expect(pushed(code, slice)).toEqual({ rf: false, at: begin + 5 });
  });
});
