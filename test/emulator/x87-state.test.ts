/**
 * Goal: instructions of the FPU that were replaced keep counting, saving and restoring exact.
 * Method: a program that uses each of them, with stack faults, goes on in a new vcpu after each of its
 * instructions; its #MF counts like any fault.
 */
import { afterEach, expect, test } from '@jest/globals';
import type { Vcpu } from '../../emulator/vcpu.js';
import { guestOf, le32, setHandler } from './guest-code.js';
import { OPCODES, type Operation } from './x87/run-x87.js';

const open: Vcpu[] = [];
afterEach(() => {
  for (const vcpu of open.splice(0)) vcpu.dispose();
});
function guest(code: readonly number[], countByInstruction = false): Vcpu {
  const { vcpu } = guestOf(code, { countByInstruction });
  setHandler(vcpu, 16, 0x5000, [0xdb, 0xe2, 0x83, 0xc3, 1, 0xcf]); // fnclex; add ebx, 1; iret
  vcpu.setRegisters({ ...vcpu.getRegisters(), cr0: 0x31 });
  open.push(vcpu);
  return vcpu;
}

function loadPi(operation: Operation): number[] {
  return [0xd9, 0xeb, 0xd9, OPCODES[operation]]; // fldpi; ...
}
const OPERATIONS = Object.keys(OPCODES) as Operation[];
/** All of them on a stack that fills up and runs over, then with everything unmasked. */
const PROGRAM: readonly number[] = [
  ...[0xdb, 0xe3, 0xd9, 0xe8], // fninit; fld1
  ...OPERATIONS.flatMap(loadPi),
  ...[0xdb, 0x3d, ...le32(0x6000)], // fstp tbyte [6000h]
  ...[0x66, 0xc7, 0x05, ...le32(0x6010), 0x40, 0x03], // mov word [6010h], 340h
  ...OPERATIONS.flatMap((operation) => [
    ...[0xdb, 0xe3, 0xd9, 0x2d, ...le32(0x6010)], // fninit; fldcw [6010h]
    ...[...loadPi(operation), 0xd9, OPCODES.fsin], // FSIN meets the waiting exception
  ]),
  ...[0xdb, 0x3d, ...le32(0x6020)], // fstp tbyte [6020h]
  ...[0xdf, 0xe0, 0xf4], // fnstsw ax; hlt
];

test('the program goes on from its state at every icount', () => {
  const whole = guest(PROGRAM);
  expect(whole.run(Infinity)).toBe('halted');
  expect(whole.getRegisters().ebx).toBeGreaterThan(3); // #MFs
  const moved = guest(PROGRAM);
  const reference = guest(PROGRAM, true);
  let current = moved;
  for (let at = 1; at < whole.icount; at++) {
    expect(current.run(at)).toBe('target');
    expect(reference.run(at)).toBe('target');
    expect(current.saveState()).toEqual(reference.saveState());
    const next = guest(PROGRAM);
    next.ram.write(0x6000, current.ram.read(0x6000, 0x3000) ?? new Uint8Array());
    next.restoreState(current.saveState());
    current = next;
    for (const used of open.splice(0)) if (![whole, reference, current].includes(used)) used.dispose();
    open.push(whole, reference, current);
  }
  expect(current.run(whole.icount)).toBe('halted');
  expect(current.saveState()).toEqual(whole.saveState());
  expect(current.ram.read(0x6000, 0x100)).toEqual(whole.ram.read(0x6000, 0x100));
});
