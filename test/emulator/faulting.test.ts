/**
 * Goal: an instruction that faults leaves nothing but the fault, finds it in the manual's order, and is the one reported.
 * Method: guest code in ring 3 with paging, whose handlers halt with vector, error code and address on the stack.
 * Source: Intel SDM volume 3, 6.5 (faults) and 6.12.1.2 (INT n); volume 2, INS and OUTS; volume 1, 19.5.
 */
import { afterEach, describe, expect, test } from '@jest/globals';
import type { Registers, Vcpu } from '../../emulator/vcpu.js';
import { CODE, guestOf, IDT, le32, setHandler, TSS, type Guest } from './guest-code.js';
import { DATA, HANDLERS, HLT } from './run-code.js';

const MISSING = 0x7000;
const STACK_TOP = 0xa000;
const KERNEL_STACK = 0xc000;

const open: Vcpu[] = [];
afterEach(() => {
  for (const vcpu of open.splice(0)) vcpu.dispose();
});

/** Ring 3 without rights to any port, 4 MiB mapped to themselves but for one page. */
function userGuest(code: readonly number[], registers: Partial<Registers> = {}, byInstruction = false): Guest {
  const made = guestOf([...code, 0x0f, 0x0b], { countByInstruction: byInstruction });
  const { vcpu } = made;
  open.push(vcpu);
  vcpu.ram.writeU32(0x10000, 0x11007);
  for (let page = 0; page < 1024; page++)
    vcpu.ram.writeU32(0x11000 + 4 * page, (page << 12) | (page === MISSING >> 12 ? 0 : 7));
  vcpu.ram.writeU32(TSS + 4, KERNEL_STACK);
  vcpu.ram.write(TSS + 0x68, new Uint8Array(64).fill(0xff));
  for (const vector of [6, 13, 14]) setHandler(vcpu, vector, HANDLERS + 16 * vector, [0xbb, vector, 0, 0, 0, HLT]); // mov ebx, vector; hlt
  const before = vcpu.getRegisters();
  const data = { ...before.ds, selector: 0x23, flags: 0xcff300 };
  vcpu.setRegisters({
    ...before,
    ...{ cr3: 0x10000, cr0: 0x80000031, cr4: 0x600, esp: STACK_TOP },
    ...{ cs: { ...before.cs, selector: 0x1b, flags: 0xcffb00 }, ss: data, ds: data, es: data },
    ...registers,
  });
  return made;
}

/** Vector, error code and address, as far as the vector has them. */
function fault({ vcpu }: Guest): number[] {
  expect(vcpu.run(1000)).toBe('halted');
  const { ebx, esp } = vcpu.getRegisters();
  const top = vcpu.ram.readU32(esp)!;
  return ebx === 6 ? [ebx, top - CODE] : [ebx, top, vcpu.ram.readU32(esp + 4)! - CODE];
}

describe('a load of 16 bytes that ends in a missing page leaves its register', () => {
  test.each([
    ['MOVUPS', [0x0f, 0x10]],
    ['MOVUPD', [0x66, 0x0f, 0x10]],
    ['MOVDQU', [0xf3, 0x0f, 0x6f]],
  ])('%s', (_, opcode) => {
    const at = MISSING - 8;
    const store = [0x0f, 0x11, 0x05, ...le32(DATA)]; // movups [DATA], xmm0
    const load = [...opcode, 0x05, ...le32(at)];
    const made = userGuest([...load, ...store]);
    made.vcpu.ram.write(at, Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8]));
    // The handler skips the load.
    const [low, high] = [CODE + load.length, 0];
    setHandler(made.vcpu, 14, HANDLERS + 0x400, [0x58, 0xc7, 0x04, 0x24, ...le32(low), 0xcf]); // pop eax; mov [esp]; iret
    expect(fault(made)).toEqual([6, load.length + store.length]);
    expect([0, 4, 8, 12].map((offset) => made.vcpu.ram.readU32(DATA + offset))).toEqual([0, 0, 0, high]);
    expect(made.vcpu.getRegisters().cr2).toBe(MISSING);
  });

  test('and loads all of it otherwise, with one access to a device each', () => {
    const load = [0x0f, 0x10, 0x05, ...le32(MISSING - 24), 0x0f, 0x10, 0x0d, ...le32(0x800008)];
    const made = userGuest([...load, 0x0f, 0x11, 0x05, ...le32(DATA), 0x0f, 0x11, 0x0d, ...le32(DATA + 16)]);
    made.vcpu.ram.writeU32(0x10000 + 8, 0x800087); // 800000h is beyond RAM
    made.vcpu.setRegisters({ ...made.vcpu.getRegisters(), cr4: 0x610 });
    made.bus.answer = (address) => address;
    const bytes = Uint8Array.from({ length: 16 }, (_, i) => i + 1);
    made.vcpu.ram.write(MISSING - 24, bytes);
    expect(fault(made)).toEqual([6, 28]);
    expect(made.vcpu.ram.view.subarray(DATA, DATA + 16)).toEqual(Buffer.from(bytes));
    expect([16, 20, 24, 28].map((offset) => made.vcpu.ram.readU32(DATA + offset))).toEqual(
      [8, 12, 16, 20].map((offset) => 0x800000 + offset),
    );
    expect(made.bus.accesses.map(([kind, address]) => [kind, address])).toEqual(
      [8, 12, 16, 20].map((offset) => ['read', 0x800000 + offset]),
    );
  });
});

describe('a port that is not allowed', () => {
  const [INSB, INSD, OUTSB, OUTSD] = [[0x6c], [0x6d], [0x6e], [0x6f]];
  const REP = 0xf3;

  test.each([
    ['INSB', INSB],
    ['INSD', INSD],
    ['OUTSB', OUTSB],
    ['OUTSD', OUTSD],
    ['REP INSB', [REP, ...INSB]],
    ['REP OUTSD', [REP, ...OUTSD]],
  ])('%s is #GP before its memory is looked at', (_, code) => {
    const registers = { edx: 0x80, ecx: 2, esi: MISSING, edi: MISSING };
    expect(fault(userGuest([0x90, ...code], registers))).toEqual([13, 0, 1]);
    const made = userGuest([0x90, ...code], { ...registers, esi: DATA, edi: DATA });
    made.vcpu.ram.writeU32(DATA, 0x12345678);
    expect(fault(made)).toEqual([13, 0, 1]);
    expect(made.vcpu.ram.readU32(DATA)).toBe(0x12345678);
    expect(made.bus.accesses).toEqual([]);
  });

  test('is not asked for by REP with ECX 0', () => {
    expect(fault(userGuest([REP, 0x6c, REP, 0x6f], { edx: 0x80, ecx: 0 }))).toEqual([6, 4]);
  });

  test('is counted to the instruction, like any fault', () => {
    for (const code of [INSB, OUTSD]) {
      const [fast, slow] = [false, true].map((slowly) => {
        const made = userGuest([0x40, 0x40, ...code, 0x40], { edx: 0x80, edi: DATA, esi: DATA }, slowly);
        return [...fault(made), made.vcpu.icount];
      });
      expect(fast).toEqual(slow);
    }
  });

  test('every element of REP INS is asked for', () => {
    const made = userGuest([REP, 0x6c], { edx: 0x80, ecx: 3, edi: DATA });
    made.vcpu.ram.write(TSS + 0x68 + 16, Uint8Array.of(0xfe));
    made.bus.answer = () => 7;
    made.bus.after = () => made.vcpu.ram.write(TSS + 0x68 + 16, Uint8Array.of(0xff));
    expect(fault(made)).toEqual([13, 0, 0]);
    expect([made.vcpu.ram.readU32(DATA), made.vcpu.getRegisters().ecx]).toEqual([7, 2]);
  });
});

describe('INT 6', () => {
  test('that its gate does not allow is #GP of its own, behind other instructions of its block, too', () => {
    for (const before of [[], [0x40], [0x40, 0x0f, 0xb6, 0xf2]]) {
      const made = userGuest([...before, 0xcd, 6]);
      made.vcpu.ram.writeU32(IDT + 8 * 6 + 4, 0x8e00); // DPL 0
      expect(fault(made)).toEqual([13, 6 * 8 + 2, before.length]);
    }
  });

  test('retires, wherever its block begins', () => {
    const counts = [false, true].flatMap((slowly) =>
      [1000, 1].map((slice) => {
        const { vcpu } = userGuest([0x40, 0x40, 0xcd, 6], {}, slowly);
        while (vcpu.run(vcpu.icount + slice) !== 'halted');
        return vcpu.icount;
      }),
    );
    expect(counts).toEqual([5, 5, 5, 5]);
  });
});
