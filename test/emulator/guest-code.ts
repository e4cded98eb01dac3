/**
 * Small guests for the vcpu tests: machine code in flat 32-bit protected mode, with a bus that records.
 *
 *   1000h code   2000h GDT   3000h IDT   4000h TSS   8000h top of the stack
 */
import { Vcpu, type Registers, type VcpuBus, type VcpuOptions } from '../../emulator/vcpu.js';

export const CODE = 0x1000;
export const GDT = 0x2000;
export const IDT = 0x3000;
export const TSS = 0x4000;
export const STACK = 0x8000;
export const RAM_BYTES = 4 * 1024 * 1024;

const CODE32 = 0xcf9b00;
const DATA32 = 0xcf9300;

/** What the guest asked of the bus: kind, address, size, value written, icount at the time. */
export type Access = [
  kind: 'in' | 'out' | 'read' | 'write',
  address: number,
  size: number,
  value: number,
  icount: number,
];

export class RecordingBus implements VcpuBus {
  readonly accesses: Access[] = [];
  vcpu: Vcpu | undefined;
  /** Answers reads; the default is open bus. */
  answer: (address: number, size: number) => number = () => 0xffffffff;
  /** Called after each access was recorded. */
  after: (access: Access) => void = () => undefined;

  portIn(port: number, size: number): number {
    this.#record('in', port, size, 0);
    return this.answer(port, size);
  }
  portOut(port: number, size: number, value: number): void {
    this.#record('out', port, size, value);
  }
  memoryRead(address: number, size: number): number {
    this.#record('read', address, size, 0);
    return this.answer(address, size);
  }
  memoryWrite(address: number, size: number, value: number): void {
    this.#record('write', address, size, value);
  }
  #record(kind: Access[0], address: number, size: number, value: number): void {
    const access: Access = [kind, address, size, value, this.vcpu?.icount ?? -1];
    this.accesses.push(access);
    this.after(access);
  }
}

export interface Guest {
  readonly vcpu: Vcpu;
  readonly bus: RecordingBus;
}

/** A segment descriptor: access byte and flags nibble as in the manual. */
function descriptor(base: number, limit: number, access: number, flags: number): number[] {
  return [
    limit & 255,
    (limit >> 8) & 255,
    base & 255,
    (base >> 8) & 255,
    (base >> 16) & 255,
    access,
    (flags << 4) | ((limit >> 16) & 15),
    (base >>> 24) & 255,
  ];
}

/** Selectors 08h and 10h: ring 0 code and data; 18h and 20h: ring 3; 28h: TSS with its I/O bitmap at 68h. */
const GDT_BYTES = [
  ...descriptor(0, 0, 0, 0),
  ...descriptor(0, 0xfffff, 0x9b, 0xc),
  ...descriptor(0, 0xfffff, 0x93, 0xc),
  ...descriptor(0, 0xfffff, 0xfb, 0xc),
  ...descriptor(0, 0xfffff, 0xf3, 0xc),
  ...descriptor(TSS, 0x68 + 0x2000, 0x89, 0),
];

export function flatRegisters(vcpu: Vcpu): Registers {
  const segment = { selector: 0x10, base: 0, limit: 0xffffffff, flags: DATA32 };
  return {
    ...vcpu.getRegisters(),
    eip: CODE,
    esp: STACK,
    cr0: 0x11,
    es: segment,
    cs: { selector: 8, base: 0, limit: 0xffffffff, flags: CODE32 },
    ss: segment,
    ds: segment,
    fs: segment,
    gs: segment,
    gdtBase: GDT,
    gdtLimit: GDT_BYTES.length - 1,
    idtBase: IDT,
    idtLimit: 0x7ff,
    tr: { selector: 0x28, base: TSS, limit: 0x68 + 0x2000, flags: 0x8b00 },
  };
}

/** A vcpu with `code` at 1000h, ready to run it. */
export function guestOf(code: readonly number[], options: Partial<VcpuOptions> = {}): Guest {
  const bus = new RecordingBus();
  const vcpu = new Vcpu({ ramBytes: RAM_BYTES, bus, ...options });
  bus.vcpu = vcpu;
  vcpu.ram.write(CODE, Uint8Array.from(code));
  vcpu.ram.write(GDT, Uint8Array.from(GDT_BYTES));
  vcpu.ram.writeU32(TSS + 4, STACK - 0x800);
  vcpu.ram.writeU16(TSS + 8, 0x10);
  vcpu.ram.writeU16(TSS + 0x66, 0x68);
  vcpu.setRegisters(flatRegisters(vcpu));
  return { vcpu, bus };
}

/** Interrupt gate for `vector` leading to `code`, which is placed at `address`. */
export function setHandler(vcpu: Vcpu, vector: number, address: number, code: readonly number[]): void {
  vcpu.ram.writeU32(IDT + 8 * vector, (8 << 16) | (address & 0xffff));
  vcpu.ram.writeU32(IDT + 8 * vector + 4, (address & 0xffff0000) | 0xee00);
  vcpu.ram.write(address, Uint8Array.from(code));
}

/** Four little-endian bytes. */
export function le32(value: number): number[] {
  return [value & 255, (value >>> 8) & 255, (value >>> 16) & 255, value >>> 24];
}

/** A loop that touches memory, flags and the FPU: 20 passes of about 30 instructions, then HLT. */
export const BUSY_LOOP: readonly number[] = [
  ...[0xb9, 20, 0, 0, 0], // mov ecx, 20
  ...[0xdb, 0xe3], // fninit
  ...[0x89, 0x0d, ...le32(0x6000)], // 1: mov [6000h], ecx
  ...[0xdb, 0x05, ...le32(0x6000)], // fild dword [6000h]
  ...[0xd9, 0xfa], // fsqrt
  ...[0xdd, 0x1c, 0xcd, ...le32(0x6100)], // fstp qword [6100h + 8 ecx]
  ...[0x69, 0xc1, ...le32(1103515245)], // imul eax, ecx, 1103515245
  ...[0x01, 0xc3], // add ebx, eax
  ...[0x11, 0xc2], // adc edx, eax
  ...[0x51, 0x57, 0x56], // push ecx, edi, esi
  ...[0xbe, ...le32(0x6000), 0xbf, ...le32(0x7000)], // mov esi, 6000h; mov edi, 7000h
  ...[0xb9, 9, 0, 0, 0, 0xf3, 0xa4], // mov ecx, 9; rep movsb
  ...[0x5e, 0x5f, 0x59], // pop esi, edi, ecx
  ...[0xe5, 0x40], // in eax, 40h
  ...[0x31, 0xc3], // xor ebx, eax
  ...[0x89, 0xd8, 0xe7, 0x41], // mov eax, ebx; out 41h, eax
  ...[0x49, 0x75, 0xbf], // dec ecx; jnz 1b
  0xf4, // hlt
];
