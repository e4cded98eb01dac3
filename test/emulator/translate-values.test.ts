/**
 * Goal: ENTER, SGDT, SIDT, SMSW and ARPL compute and store what the manual says, or processors do where it leaves that open.
 * Method: one instruction up to HLT or a handler; the registers and the memory it leaves are looked at.
 * Source: Intel SDM volume 2, ARPL, ENTER, LGDT, SGDT, SIDT (operation), SMSW.
 */
import { describe, expect, test } from '@jest/globals';
import { guestOf, le32, setHandler } from './guest-code.js';
import { DATA, HANDLERS, HLT } from './run-code.js';

/** ModRM and address of [DATA] with reg field `field`. */
function memory(field: number): number[] {
  return [(field << 3) | 5, ...le32(DATA)];
}

describe('ENTER', () => {
  /** EBP after an ENTER that is `code`, on a stack of 16 or 32 bits, with ESP 127ff0h and EBP 5678aaaah before it. */
  function frame(code: readonly number[], code32: boolean, stack32: boolean): number {
    const { vcpu } = guestOf([...code, 4, 0, 0, HLT]);
    const registers = vcpu.getRegisters();
    const cs = { ...registers.cs, flags: code32 ? 0xcf9b00 : 0x8f9b00 };
    const ss = { ...registers.ss, flags: stack32 ? 0xcf9300 : 0x8f9300 };
    vcpu.setRegisters({ ...registers, cs, ss, esp: 0x127ff0, ebp: 0x5678aaaa });
    expect(vcpu.run(10)).toBe('halted');
    const { ebp } = vcpu.getRegisters();
    vcpu.dispose();
    return ebp;
  }

  test('gives EBP as many bits as its operand has, whatever the stack', () => {
    expect(frame([0xc8], true, true)).toBe(0x127fec);
    expect(frame([0xc8], true, false)).toBe(0x127fec);
    expect(frame([0x66, 0xc8], false, false)).toBe(0x127fec);
    expect(frame([0x66, 0xc8], true, true)).toBe(0x56787fee);
    expect(frame([0xc8], false, false)).toBe(0x56787fee);
  });

  test('keeps the upper half of ESP where SP wraps: in EBP and in the frame pointer that is pushed', () => {
    const { vcpu } = guestOf([0xc8, 8, 0, 1, HLT]);
    const registers = vcpu.getRegisters();
    vcpu.setRegisters({ ...registers, ss: { ...registers.ss, flags: 0x8f9300 }, esp: 0x120002, ebp: 0x5678aaaa });
    expect(vcpu.run(10)).toBe('halted');
    const { esp, ebp } = vcpu.getRegisters();
    expect([esp, ebp]).toEqual([0x12fff2, 0x12fffe]);
    expect(vcpu.ram.readU32(0xfffa)).toBe(0x12fffe);
    vcpu.dispose();
  });
});

describe('SGDT and SIDT', () => {
  test.each([
    ['SGDT', 0],
    ['SIDT', 1],
  ])('%s stores 32 bits of the base with operands of 16 bits, too', (_, digit) => {
    const { vcpu } = guestOf([0x66, 0x0f, 0x01, ...memory(digit), HLT]);
    vcpu.setRegisters({
      ...vcpu.getRegisters(),
      gdtBase: 0x81234567,
      idtBase: 0x81234567,
      gdtLimit: 0x89,
      idtLimit: 0x89,
    });
    expect(vcpu.run(10)).toBe('halted');
    expect(vcpu.ram.read(DATA, 8)).toEqual(Uint8Array.of(0x89, 0, 0x67, 0x45, 0x23, 0x81, 0, 0));
    vcpu.dispose();
  });
  test('LGDT takes 24 bits with operands of 16 bits', () => {
    const { vcpu } = guestOf([0x66, 0x0f, 0x01, ...memory(2), HLT]);
    vcpu.ram.write(DATA, Uint8Array.of(0x89, 0, 0x67, 0x45, 0x23, 0x81));
    expect(vcpu.run(10)).toBe('halted');
    expect(vcpu.getRegisters()).toMatchObject({ gdtBase: 0x234567, gdtLimit: 0x89 });
    vcpu.dispose();
  });
});

test('SMSW gives a register of 32 bits all of CR0, one of 16 bits its lower half', () => {
  const { vcpu } = guestOf([0x0f, 0x01, 0xe0, 0x66, 0x0f, 0x01, 0xe3, 0x0f, 0x01, ...memory(4), HLT]); // eax, bx, memory
  vcpu.setRegisters({ ...vcpu.getRegisters(), cr0: 0x60000019, eax: 0x12345678, ebx: 0x12345678 });
  expect(vcpu.run(10)).toBe('halted');
  expect(vcpu.getRegisters()).toMatchObject({ eax: 0x60000019, ebx: 0x12340019 });
  expect(vcpu.ram.readU32(DATA)).toBe(0x19);
  vcpu.dispose();
});

describe('ARPL', () => {
  /** Flags and what is in memory after ARPL [DATA], BX, which has 5550h + RPL; DS may be written or not. */
  function adjusted(first: number, rpl: number, flags: number): readonly unknown[] {
    const { vcpu } = guestOf([0x63, 0x1d, ...le32(DATA), HLT]);
    vcpu.ram.write(DATA, Uint8Array.of(first, 0x44, 0x33));
    setHandler(vcpu, 13, HANDLERS, [HLT]);
    const registers = vcpu.getRegisters();
    vcpu.setRegisters({ ...registers, ebx: 0x5550 + rpl, eflags: 0x97, ds: { ...registers.ds, flags } });
    expect(vcpu.run(10)).toBe('halted');
    const { eip, eflags } = vcpu.getRegisters();
    const [low, high, behind] = vcpu.ram.read(DATA, 3)!;
    vcpu.dispose();
    return [eip === HANDLERS + 1 ? 'fault' : (eflags & 0xd5).toString(16), low, high, behind];
  }

  test('changes the RPL in memory when it is less, and only then needs to write', () => {
    const [writable, readOnly] = [0xcf9300, 0xcf9100];
    expect(adjusted(0x40, 2, writable)).toEqual(['d5', 0x42, 0x44, 0x33]);
    expect(adjusted(0x42, 2, writable)).toEqual(['95', 0x42, 0x44, 0x33]);
    expect(adjusted(0x43, 1, writable)).toEqual(['95', 0x43, 0x44, 0x33]);
    expect(adjusted(0x43, 1, readOnly)).toEqual(['95', 0x43, 0x44, 0x33]);
    expect(adjusted(0x41, 2, readOnly)).toEqual(['fault', 0x41, 0x44, 0x33]);
  });
});
