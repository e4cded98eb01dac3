/**
 * Goal: a non-maskable interrupt comes right after its instruction, whatever IF says, and never inside another's handler.
 * Method: an OUT to port 10h raises one; handlers count and note where they were called from; runs in slices, and moved
 * to another vcpu at each place.
 * Source: Intel SDM volume 3, 6.7 and 6.8.3.
 */
import { expect, test } from '@jest/globals';
import type { Vcpu } from '../../emulator/vcpu.js';
import { CODE, guestOf, setHandler, STACK, type Guest } from './guest-code.js';
import { HANDLERS, HLT } from './run-code.js';

const NOP = 0x90;
const OUT = [0xe6, 0x10]; // out 10h, al
const IRET = 0xcf;
/** inc ebx; pop esi; push esi: the number of calls, and from where. */
const COUNT = [0x43, 0x5e, 0x56];

function guest(code: readonly number[], handler: readonly number[]): Guest {
  const made = guestOf(code);
  made.bus.after = ([kind]) => {
    if (kind === 'out') made.vcpu.raiseNmi();
  };
  setHandler(made.vcpu, 2, HANDLERS, handler);
  return made;
}

function outcome(vcpu: Vcpu): { calls: number; from: number; icount: number } {
  const { ebx, esi } = vcpu.getRegisters();
  return { calls: ebx, from: esi - CODE, icount: vcpu.icount };
}

/** The whole program in slices of `slice` instructions, each on a vcpu of its own. */
function run(code: readonly number[], handler: readonly number[], slice = 1000): ReturnType<typeof outcome> {
  let { vcpu } = guest(code, handler);
  for (let limit = slice; vcpu.run(limit) !== 'halted'; limit += slice) {
    expect(limit).toBeLessThan(2000);
    const next = guest(code, handler).vcpu;
    for (let at = 0; at < STACK; at += 4) next.ram.writeU32(at, vcpu.ram.readU32(at)!);
    next.restoreState(vcpu.saveState());
    vcpu.dispose();
    vcpu = next;
  }
  const result = outcome(vcpu);
  vcpu.dispose();
  return result;
}

const SLICES = [1, 2, 3, 1000];

test.each(SLICES)('comes after the instruction, with interrupts disabled, slices of %d', (slice) => {
  expect(run([NOP, ...OUT, NOP, HLT], [...COUNT, IRET], slice)).toEqual({ calls: 1, from: 3, icount: 8 });
});

test.each(SLICES)('waits for the shadow of MOV SS and for IRET, slices of %d', (slice) => {
  // mov eax, ss; mov ss, eax; out 10h, al; nop; hlt
  const shadow = [0x8c, 0xd0, 0x8e, 0xd0, ...OUT, NOP, HLT];
  expect(run(shadow, [...COUNT, IRET], slice)).toMatchObject({ calls: 1, from: 6 });
  // The handler raises a second one on its first call only: test bl, 2; jnz; out; nop
  const handler = [0x43, 0xf6, 0xc3, 2, 0x75, 3, ...OUT, NOP, 0x5e, 0x56, IRET];
  expect(run([NOP, ...OUT, NOP, HLT], handler, slice)).toMatchObject({ calls: 2, from: 3 });
});

test.each(SLICES)('several during a handler are one, slices of %d', (slice) => {
  const handler = [0x43, 0xf6, 0xc3, 2, 0x75, 6, ...OUT, ...OUT, ...OUT, 0x5e, 0x56, IRET];
  expect(run([...OUT, NOP, HLT], handler, slice)).toMatchObject({ calls: 2, from: 2 });
});

test('wakes from HLT', () => {
  const { vcpu } = guest([HLT, NOP, HLT], [...COUNT, IRET]);
  expect(vcpu.run(100)).toBe('halted');
  vcpu.raiseNmi();
  expect([vcpu.run(100), outcome(vcpu)]).toEqual(['halted', { calls: 1, from: 1, icount: 7 }]);
  vcpu.dispose();
});
