/**
 * Goal: faults, privileges and hidden features are those of the processor ft86 shows.
 * Method: each program ends in a fault whose handler stores vector and error code, or in HLT.
 */
import { afterEach, describe, expect, test } from '@jest/globals';
import type { Vcpu } from '../../emulator/vcpu.js';
import { CODE, guestOf, le32, setHandler, STACK, TSS, type Guest } from './guest-code.js';

const open: Vcpu[] = [];
afterEach(() => {
  for (const vcpu of open.splice(0)) vcpu.dispose();
});

/** Handlers that put the vector into EDI, the error code (or the EIP) into ESI and halt. */
function guest(code: readonly number[], vectors: readonly number[] = [0, 1, 3, 6, 13, 14]): Guest {
  const made = guestOf(code);
  open.push(made.vcpu);
  for (const vector of vectors)
    setHandler(made.vcpu, vector, 0x5000 + 32 * vector, [0xbf, vector, 0, 0, 0, 0x5e, 0xf4]); // mov edi; pop esi; hlt
  return made;
}

function outcome({ vcpu }: Guest): { vector: number; top: number; icount: number } {
  expect(vcpu.run(100000)).toBe('halted');
  const { edi, esi } = vcpu.getRegisters();
  return { vector: edi, top: esi, icount: vcpu.icount };
}

/** IRET frame into ring 3 with the given flags, then the code that follows it in memory. */
function toUser(flags: number, code: readonly number[]): number[] {
  const start = [0x6a, 0x23, 0x68, ...le32(STACK - 0x1000), 0x68, ...le32(flags), 0x6a, 0x1b, 0x68];
  return [...start, ...le32(CODE + start.length + 5), 0xcf, ...code];
}

/** Page directory at 10000h, one table at 11000h that maps 4 MiB to itself; `entries` override PTEs. */
function withPaging(vcpu: Vcpu, entries: Record<number, number>): void {
  vcpu.ram.writeU32(0x10000, 0x11007);
  for (let page = 0; page < 1024; page++) vcpu.ram.writeU32(0x11000 + 4 * page, entries[page] ?? (page << 12) | 7);
  vcpu.setRegisters({ ...vcpu.getRegisters(), cr3: 0x10000, cr0: 0x80010011 });
}

describe('faults', () => {
  test('#UD pushes the address of the instruction, which does not retire', () => {
    expect(outcome(guest([0x40, 0x0f, 0x0b]))).toEqual({ vector: 6, top: CODE + 1, icount: 4 });
  });

  test('#DE in mid-block', () => {
    expect(outcome(guest([0x31, 0xc9, 0xf7, 0xf1, 0x40, 0x40]))).toEqual({ vector: 0, top: CODE + 2, icount: 4 });
  });

  test('#GP carries the selector as its error code', () => {
    expect(outcome(guest([0x66, 0xb8, 0x34, 0x12, 0x8e, 0xd8]))).toEqual({ vector: 13, top: 0x1234, icount: 4 });
  });

  test('INT3 retires and pushes the next address', () => {
    expect(outcome(guest([0x40, 0xcc, 0x40]))).toEqual({ vector: 3, top: CODE + 2, icount: 5 });
  });

  test('an instruction breakpoint is a fault: its instruction does not retire', () => {
    // mov eax,bp; mov dr0,eax; mov eax,401h; mov dr7,eax; nop; bp: nop
    const code = [0xb8, ...le32(CODE + 17), 0x0f, 0x23, 0xc0, 0xb8, ...le32(0x401), 0x0f, 0x23, 0xf8, 0x90, 0x90];
    expect(outcome(guest(code))).toEqual({ vector: 1, top: CODE + 17, icount: 5 + 3 });
  });

  test('single step is a trap: its instruction retires', () => {
    // pushf; or dword [esp],100h; popf; nop
    const code = [0x9c, 0x81, 0x0c, 0x24, ...le32(0x100), 0x9d, 0x90, 0x90];
    expect(outcome(guest(code))).toEqual({ vector: 1, top: CODE + 10, icount: 4 + 3 });
  });

  test.each([
    ['read of a missing page', 0, [0xa1, ...le32(0x20000)], 0],
    ['write to a missing page', 0, [0xa3, ...le32(0x20000)], 2],
    ['write to a read-only page', 0x20005, [0xa3, ...le32(0x20000)], 3],
  ] as const)('#PF error code and CR2: %s', (_name, entry, code, error) => {
    const made = guest([0x40, ...code]);
    withPaging(made.vcpu, { 0x20: entry });
    expect(outcome(made)).toEqual({ vector: 14, top: error, icount: 4 });
    expect(made.vcpu.getRegisters().cr2).toBe(0x20000);
  });

  test('#PF from user mode sets the U bit; supervisor pages are protected', () => {
    // IRET to ring 3 has made DS null: mov eax, 23h; mov ds, eax; mov eax, [20000h]
    const made = guest(toUser(0x202, [0xb8, ...le32(0x23), 0x8e, 0xd8, 0xa1, ...le32(0x20000)]));
    withPaging(made.vcpu, { 0x20: 0x20003 });
    expect(outcome(made)).toMatchObject({ vector: 14, top: 5 });
  });

  test('a fetch from a missing page faults exactly, also when the block began before it', () => {
    const made = guest([0xe9, ...le32(0x1fffd - CODE - 5)]); // jmp 1fffdh
    made.vcpu.ram.write(0x1fffd, Uint8Array.of(0x40, 0x40, 0x40));
    withPaging(made.vcpu, { 0x20: 0 });
    expect(outcome(made)).toEqual({ vector: 14, top: 0, icount: 4 + 3 });
    expect(made.vcpu.getRegisters().cr2).toBe(0x20000);
  });

  test('code outside RAM is open bus: #UD, exact even when a block runs up to it', () => {
    const made = guest([0xb8, ...le32(0xe0000000), 0xff, 0xe0]); // mov eax; jmp eax
    expect(outcome(made)).toEqual({ vector: 6, top: 0xe0000000, icount: 4 + 1 });
    const border = guest([0xe9, ...le32(0x9fffe - CODE - 5)]);
    border.vcpu.ram.write(0x9fffe, Uint8Array.of(0x40, 0x40));
    expect(outcome(border)).toEqual({ vector: 6, top: 0xa0000, icount: 3 + 3 });
  });

  test('page tables that lead beyond 4 GiB, or lie outside RAM, read open bus', () => {
    const pse36 = guest([0xa1, ...le32(0x400000), 0x89, 0xc3, 0xf4]); // mov eax,[400000h]; mov ebx,eax; hlt
    withPaging(pse36.vcpu, {});
    pse36.vcpu.ram.writeU32(0x10004, 0x2000 | 0x87); // address bit 32
    pse36.vcpu.setRegisters({ ...pse36.vcpu.getRegisters(), cr4: 0x10 });
    pse36.vcpu.run(100);
    expect(pse36.vcpu.getRegisters().ebx).toBe(0xffffffff);
    const outside = guest([0xa1, ...le32(0x400000), 0xf4]);
    withPaging(outside.vcpu, {});
    outside.vcpu.ram.writeU32(0x10004, 0xe0000007);
    expect(['halted', 'triple-fault']).toContain(outside.vcpu.run(100));
  });
});

describe('privileges', () => {
  test.each([
    ['IOPL 3 allows', 0x3202, 0xff, null],
    ['IOPL 0 and a clear bit allow', 0x202, 0x00, null],
    ['IOPL 0 and a set bit refuse', 0x202, 0xff, 13],
  ])('IN from user mode: %s', (_name, flags, bitmap, vector) => {
    const made = guest(toUser(flags, [0xe4, 0x40, 0x0f, 0x0b])); // in al,40h; ud2
    made.vcpu.ram.write(TSS + 0x68, new Uint8Array(64).fill(bitmap));
    expect(outcome(made).vector).toBe(vector ?? 6);
    expect(made.bus.accesses.length).toBe(vector === null ? 1 : 0);
  });

  test('a wide port access needs all its bits in the bitmap', () => {
    const made = guest(toUser(0x202, [0xe5, 0x46, 0x0f, 0x0b])); // in eax,46h: ports 46h to 49h
    made.vcpu.ram.write(TSS + 0x68 + 8, Uint8Array.of(0x3f, 0x02)); // 49h refused
    expect(outcome(made)).toMatchObject({ vector: 13, top: 0 });
  });

  test('HLT in user mode is #GP', () => {
    expect(outcome(guest(toUser(0x202, [0xf4])))).toMatchObject({ vector: 13, top: 0 });
  });
});

describe('what CPUID hides does not work', () => {
  test.each([
    ['RDRAND', [0x0f, 0xc7, 0xf0], 6],
    ['RDSEED', [0x0f, 0xc7, 0xf8], 6],
    ['RDTSCP', [0x0f, 0x01, 0xf9], 6],
    ['RDPMC', [0x31, 0xc9, 0x0f, 0x33], 13],
    ['RDMSR of EFER', [0xb9, ...le32(0xc0000080), 0x0f, 0x32], 13],
    ['WRMSR of EFER', [0xb9, ...le32(0xc0000080), 0x0f, 0x30], 13],
    ['CR4.OSXSAVE', [0xb8, ...le32(1 << 18), 0x0f, 0x22, 0xe0], 13],
    ['CR4.SMEP', [0xb8, ...le32(1 << 20), 0x0f, 0x22, 0xe0], 13],
    ['XGETBV', [0x31, 0xc9, 0x0f, 0x01, 0xd0], 6],
    ['VMCALL', [0x0f, 0x01, 0xc1], 6],
    ['SYSCALL', [0x0f, 0x05], 6],
    ['SYSENTER', [0x0f, 0x34], 6],
    ['SYSEXIT', [0x0f, 0x35], 6],
    ['MONITOR', [0x31, 0xc9, 0x0f, 0x01, 0xc8], 6],
    ['MWAIT', [0x31, 0xc9, 0x0f, 0x01, 0xc9], 6],
    ['RDPID', [0xf3, 0x0f, 0xc7, 0xf8], 6],
  ] as const)('%s', (_name, code, vector) => {
    expect(outcome(guest([...code, 0x90, 0xf4])).vector).toBe(vector);
  });

  // Firmware of a P6 sets its memory types (MTRR) and does not ask CPUID.
  test.each([0xfe, 0x200, 0x20f, 0x250, 0x259, 0x26f, 0x2ff])('MSR %i: WRMSR does nothing, RDMSR reads 0', (number) => {
    const { vcpu } = guest([0xb9, ...le32(number), 0x31, 0xd2, 0xb8, ...le32(6), 0x0f, 0x30, 0x0f, 0x32, 0xf4]);
    vcpu.run(100);
    const { eax, edx } = vcpu.getRegisters();
    expect({ halted: vcpu.halted, eax, edx }).toEqual({ halted: true, eax: 0, edx: 0 });
  });

  test.each([0x02, 0x210, 0x400, 0x12345678, 0xc0000082])('MSR %i: RDMSR and WRMSR are #GP', (number) => {
    for (const opcode of [0x30, 0x32]) {
      const made = guest([0xb9, ...le32(number), 0x31, 0xc0, 0x31, 0xd2, 0x0f, opcode]); // mov ecx; xor eax,eax; xor edx,edx
      expect(outcome(made)).toMatchObject({ vector: 13, top: 0, icount: 3 + 3 });
    }
  });

  test.each([
    ['kept', 0xfee00900, 0, false],
    ['a reserved bit', 0xfee00901, 0, true],
    ['x2APIC', 0xfee00d00, 0, true],
    ['beyond 36 bits', 0xfee00900, 0x10, true],
  ])('the APIC base: %s', (_name, low, high, refused) => {
    // mov ecx,1bh; mov eax,low; mov edx,high; wrmsr; rdmsr; hlt
    const code = [0xb9, 0x1b, 0, 0, 0, 0xb8, ...le32(low), 0xba, ...le32(high), 0x0f, 0x30, 0x0f, 0x32, 0xf4];
    const made = guest(code);
    expect(made.vcpu.run(100)).toBe('halted');
    const { eax, edx, edi } = made.vcpu.getRegisters();
    expect([edi === 13, eax, edx]).toEqual([refused, low, high]);
  });

  test('model-specific registers of a Pentium III without a meaning here read zero and ignore writes', () => {
    // mov ecx,8bh; mov eax,-1; wrmsr; rdmsr; hlt
    const made = guest([0xb9, ...le32(0x8b), 0xb8, ...le32(0xffffffff), 0x0f, 0x30, 0x0f, 0x32, 0xf4]);
    made.vcpu.run(100);
    expect(made.vcpu.getRegisters()).toMatchObject({ eax: 0, edx: 0 });
  });

  test('CPUID shows the table of cpuid.ts', () => {
    // xor eax,eax; cpuid; mov esi,ebx; mov eax,1; cpuid; hlt
    const made = guest([0x31, 0xc0, 0x0f, 0xa2, 0x89, 0xde, 0xb8, 1, 0, 0, 0, 0x0f, 0xa2, 0xf4]);
    made.vcpu.run(100);
    const { eax, ebx, ecx, edx, esi } = made.vcpu.getRegisters();
    expect(Buffer.from(le32(esi)).toString()).toBe('ft86');
    expect([eax, ebx, ecx, edx]).toEqual([0x683, 0, 0, 0x0780a37d]);
  });
});
