/**
 * Goal: a store of the FPU that faults leaves the status word and the stack as they were; tried again, it tells its exceptions.
 * Method: the store goes to a page that may not be written; the handler keeps the status word, allows the page, and returns.
 * Source: Intel SDM volume 3, 6.5 (faults: the state before the instruction); volume 1, 8.1.3.2 (C1), 8.5.1 to 8.5.6.
 */
import { expect, test } from '@jest/globals';
import { guestOf, le32, setHandler } from './guest-code.js';
import { HLT } from './run-code.js';

const PAGE_FAULT = 14;
const HANDLER = 0x5000;
const [DIRECTORY, TABLE, TARGET, OPERANDS] = [0x10000, 0x11000, 0x22000, 0x23000];
const KEPT = 0x24000;
const [IE, OE, PE, SF, C1] = [1, 8, 0x20, 0x40, 0x200];
const TOP = 0x3800;
const PAGING = 0x80010011; // with WP
const LONG = [1, 0, 0, 0, 0, 0, 0, 0xc0, 0xff, 0x3f]; // 1.5 and a little
const HUGE = [0, 0, 0, 0, 0, 0, 0, 0x80, 0xfe, 0x7f];

/** The status word in the handler and behind the store, and how often it faulted. Without a number the stack is empty. */
function run(
  opcode: readonly number[],
  number: readonly number[] | undefined,
): { first: number; second: number; faults: number } {
  const load = number === undefined ? [] : [0xdb, 0x2d, ...le32(OPERANDS)];
  const store = [...opcode, ...le32(TARGET)];
  const code = [0xdb, 0xe3, ...load, ...store, 0xdf, 0xe0, HLT]; // fninit; fld; the store; fnstsw ax
  const { vcpu } = guestOf(code);
  vcpu.ram.writeU32(DIRECTORY, TABLE | 7);
  for (let page = 0; page < 1024; page++)
    vcpu.ram.writeU32(TABLE + 4 * page, (page << 12) | (page << 12 === TARGET ? 5 : 7));
  vcpu.ram.write(OPERANDS, Uint8Array.from(number ?? []));
  setHandler(vcpu, PAGE_FAULT, HANDLER, [
    ...[0xdd, 0x3d, ...le32(KEPT)], // fnstsw [KEPT]
    ...[0xff, 0x05, ...le32(KEPT + 4)], // inc dword [KEPT+4]
    ...[0x80, 0x0d, ...le32(TABLE + 4 * (TARGET >> 12)), 2], // or byte [the page's entry], 2: it may be written
    ...[0x0f, 0x01, 0x3d, ...le32(TARGET)], // invlpg
    ...[0x83, 0xc4, 4, 0xcf], // add esp, 4; iret
  ]);
  vcpu.setRegisters({ ...vcpu.getRegisters(), cr3: DIRECTORY, cr0: PAGING });
  expect(vcpu.run(1000)).toBe('halted');
  const [first, faults] = [vcpu.ram.readU16(KEPT)!, vcpu.ram.readU32(KEPT + 4)!];
  const second = vcpu.getRegisters().eax & 0xffff;
  vcpu.dispose();
  return { first, second, faults };
}

test.each<[string, number[], number[] | undefined, number]>([
  ['FST m32: inexact', [0xd9, 0x15], LONG, PE],
  ['FSTP m64: inexact', [0xdd, 0x1d], LONG, PE],
  ['FSTP m32: too large', [0xd9, 0x1d], HUGE, OE | PE | C1],
  ['FIST m16: inexact', [0xdf, 0x15], LONG, PE | C1],
  ['FISTP m32: inexact', [0xdb, 0x1d], LONG, PE | C1],
  ['FISTP m64: too large', [0xdf, 0x3d], HUGE, IE],
  ['FISTTP m32: inexact', [0xdb, 0x0d], LONG, PE],
  ['FSTP m32: an empty register', [0xd9, 0x1d], undefined, IE | SF],
  ['FIST m32: an empty register', [0xdb, 0x15], undefined, IE | SF],
  ['FSTP m80: an empty register', [0xdb, 0x3d], undefined, IE | SF],
])('%s', (_, opcode, number, flags) => {
  const { first, second, faults } = run(opcode, number);
  expect(faults).toBe(1);
  expect(first).toBe(number === undefined ? 0 : TOP);
  expect(second & ~TOP).toBe(flags);
});
