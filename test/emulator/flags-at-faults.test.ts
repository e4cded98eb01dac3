/**
 * Goal: a page fault pushes the flags from before its instruction, and the instruction finds them again when it is tried once more.
 * Method: behind an ADD in the same block, stores to a page that is missing and to one that is read-only; the handler mends the
 * page. What was pushed and what comes out must be what the same instruction makes of a page that was there.
 * Source: Intel SDM volume 3, 6.5 (faults: the state before the instruction).
 */
import { expect, test } from '@jest/globals';
import { flatRegisters, guestOf, le32, setHandler } from './guest-code.js';

const TARGET = 0x9000;
const DIRECTORY = 0x10000;
const TABLE = 0x11000;
const HANDLER = 0x20000;
const ENTRY = TABLE + 4 * (TARGET >> 12);
/** pop edi; mov edx, [esp + 8]; mov [ENTRY], TARGET | 3; invlpg [TARGET]; iret: EDX is what EFLAGS was. */
const MEND = [
  ...[0x5f, 0x8b, 0x54, 0x24, 0x08, 0xc7, 0x05, ...le32(ENTRY), ...le32(TARGET | 3)],
  ...[0x0f, 0x01, 0x3d, ...le32(TARGET), 0xcf],
];
const STATUS = 0x8d5;

interface Outcome {
  /** EFLAGS as the fault pushed it, or as it was before the instruction. */
  readonly before: number;
  readonly after: number;
  readonly stored: number;
}

/** ADD ESI, EBP; the instruction; PUSHFD; POP EBX; HLT. `entry` is the target's page table entry. */
function outcome(instruction: readonly number[], esi: number, entry: number): Outcome {
  const { vcpu } = guestOf([0x01, 0xee, ...instruction, 0x9c, 0x5b, 0xf4]);
  vcpu.ram.writeU32(DIRECTORY, TABLE | 3);
  for (let page = 0; page < 1024; page++) vcpu.ram.writeU32(TABLE + 4 * page, (page << 12) | 3);
  vcpu.ram.writeU32(ENTRY, entry);
  vcpu.ram.writeU32(TARGET, 0x5a3c96f1);
  setHandler(vcpu, 14, HANDLER, MEND);
  const registers = { esi, ebp: 0xc218d700, ecx: 3, edx: 0xffffffff };
  vcpu.setRegisters({ ...flatRegisters(vcpu), ...registers, cr3: DIRECTORY, cr0: 0x80010031 });
  expect(vcpu.run(1000)).toBe('halted');
  const { ebx, edx } = vcpu.getRegisters();
  const stored = vcpu.ram.readU32(TARGET)!;
  vcpu.dispose();
  return { before: edx & STATUS, after: ebx & STATUS, stored };
}

/** What ADD leaves. */
function flagsOfAdd(esi: number): number {
  const { vcpu } = guestOf([0x01, 0xee, 0xf4]);
  vcpu.setRegisters({ ...flatRegisters(vcpu), esi, ebp: 0xc218d700 });
  vcpu.run(10);
  const { eflags } = vcpu.getRegisters();
  vcpu.dispose();
  return eflags & STATUS;
}

const AT = le32(TARGET);

test.each([
  ['SETO', [0x0f, 0x90, 0x05, ...AT]],
  ['SETBE', [0x0f, 0x96, 0x05, ...AT]],
  ['SETP', [0x0f, 0x9a, 0x05, ...AT]],
  ['SETL', [0x0f, 0x9c, 0x05, ...AT]],
  ['SETG', [0x0f, 0x9f, 0x05, ...AT]],
  ['RCL of 8 bits by 1', [0xd0, 0x15, ...AT]],
  ['RCL by 1', [0xd1, 0x15, ...AT]],
  ['RCL of 16 bits by CL', [0x66, 0xd3, 0x15, ...AT]],
  ['RCL by a constant', [0xc1, 0x15, ...AT, 5]],
  ['RCR of 8 bits by a constant', [0xc0, 0x1d, ...AT, 3]],
  ['RCR by CL', [0xd3, 0x1d, ...AT]],
  ['ROL by CL', [0xd3, 0x05, ...AT]],
  ['SHL by CL', [0xd3, 0x25, ...AT]],
  ['SHLD by CL', [0x0f, 0xa5, 0x35, ...AT]],
  ['ADC', [0x11, 0x35, ...AT]],
  ['SBB', [0x19, 0x35, ...AT]],
  ['INC', [0xff, 0x05, ...AT]],
  ['NEG', [0xf7, 0x1d, ...AT]],
  ['LOCK ADC', [0xf0, 0x11, 0x35, ...AT]],
  ['LOCK DEC', [0xf0, 0xff, 0x0d, ...AT]],
  ['CMPXCHG', [0x0f, 0xb1, 0x35, ...AT]],
  ['XADD', [0x0f, 0xc1, 0x35, ...AT]],
  ['BTS', [0x0f, 0xab, 0x0d, ...AT]],
  ['BTC by a constant', [0x0f, 0xba, 0x3d, ...AT, 7]],
  ['LOCK BTR', [0xf0, 0x0f, 0xb3, 0x0d, ...AT]],
])('%s', (_, instruction) => {
  for (const esi of [1, 0x3de72900, 0x7fffffff]) {
    const { after, stored } = outcome(instruction, esi, TARGET | 3);
    const whole = { before: flagsOfAdd(esi), after, stored };
    expect(outcome(instruction, esi, 0)).toEqual(whole);
    expect(outcome(instruction, esi, TARGET | 1)).toEqual(whole);
  }
});
