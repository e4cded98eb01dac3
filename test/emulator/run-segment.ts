/**
 * One instruction with segments of any limit and type, in any mode, up to the exception that follows.
 *
 *   1000h NOP, the instruction, UD2   2000h GDT   3000h IDT   4000h TSS   5000h handlers (HLT)   20000h data
 */
import { expect } from '@jest/globals';
import type { Registers } from '../../emulator/vcpu.js';
import { CODE, GDT, guestOf, IDT, setHandler, STACK } from './guest-code.js';

export const DATA_BASE = 0x20000;
const HANDLERS = 0x5000;
const HANDLER_BYTES = 16;
const HLT = 0xf4;
/** JMP to itself. */
const STAY = [0xeb, 0xfe];
const CONFORMING = 0x38;
const VECTORS = [3, 5, 6, 10, 11, 12, 13, 14, 17];
const WITH_ERROR = new Set([10, 11, 12, 13, 14, 17]);
const DIRECTORY = 0x10000;
const TABLE = 0x11000;

type Mode = 'ring3' | 'ring3-16' | 'ring0' | 'real' | 'v86';
type Segment = Omit<Registers['ds'], 'selector'>;
type SegmentName = 'es' | 'ss' | 'ds' | 'fs' | 'gs';

export interface SegmentCase {
  readonly code: readonly number[];
  readonly mode?: Mode;
  readonly segments?: Partial<Record<SegmentName, Segment>>;
  readonly registers?: Partial<Registers>;
  /** Descriptor flags and limit of CS where they are not flat ones. */
  readonly codeFlags?: number;
  readonly codeLimit?: number;
  /** What the data is filled with. */
  readonly fill?: number;
  /** A page that is not mapped; paging is on. */
  readonly missing?: number;
  /** One more descriptor, of a data segment. */
  readonly descriptor?: { readonly at: number; readonly base: number; readonly limit: number; readonly flags: number };
  /** What lies at some addresses, after everything else has been written. */
  readonly words?: Readonly<Record<number, number>>;
  /** Handlers keep their privilege and their stack: they are conforming code of selector 38h. */
  readonly conforming?: boolean;
}

interface Found {
  readonly vector: number;
  /** What was pushed: undefined in real mode and for vectors without one. */
  readonly error: number | undefined;
  /** Offset of the instruction that EIP was pushed for, behind CODE. */
  readonly at: number;
  readonly retired: number;
  /** General registers before the run, and when the handler is reached. */
  readonly before: Partial<Registers>;
  readonly after: Partial<Registers>;
  readonly byte: (address: number) => number;
  /** All registers when the handler is reached. */
  readonly registers: Registers;
  /** A dword of the memory then. */
  readonly word: (address: number) => number;
}

const GENERAL = ['eax', 'ecx', 'edx', 'ebx', 'ebp', 'esi', 'edi'] as const;

function start(registers: Registers, mode: Mode): Registers {
  const user = { selector: 0x23, base: 0, limit: 0xffffffff, flags: 0xcff300 };
  const kernel = { ...user, selector: 0x10, flags: 0xcf9300 };
  const small = { selector: 0, base: 0, limit: 0xffff, flags: mode === 'v86' ? 0xf300 : 0x9300 };
  const all = (data: typeof user, code: typeof user): Registers => ({
    ...registers,
    ...{ es: data, ss: data, ds: data, fs: data, gs: data, cs: code, cr4: 0x600 },
  });
  switch (mode) {
    case 'ring3':
      return all(user, { ...user, selector: 0x1b, flags: 0xcffb00 });
    case 'ring3-16':
      return all(user, { ...user, selector: 0x1b, limit: 0xffff, flags: 0x00fb00 });
    case 'ring0':
      return all(kernel, { ...kernel, selector: 8, flags: 0xcf9b00 });
    case 'real':
      return { ...all(small, small), cr0: 0x10 };
    case 'v86':
      return { ...all(small, small), eflags: 0x20002 };
  }
}

function setRealHandler(vcpu: ReturnType<typeof guestOf>['vcpu'], vector: number): void {
  vcpu.ram.writeU32(IDT + 4 * vector, HANDLERS + HANDLER_BYTES * vector);
  vcpu.ram.write(HANDLERS + HANDLER_BYTES * vector, Uint8Array.of(HLT));
}

function makeConforming(vcpu: ReturnType<typeof guestOf>['vcpu']): void {
  vcpu.ram.writeU32(GDT + CONFORMING, 0xffff);
  vcpu.ram.writeU32(GDT + CONFORMING + 4, 0xcf9f00);
  for (const vector of VECTORS) vcpu.ram.writeU16(IDT + 8 * vector + 2, CONFORMING);
}

function general(registers: Registers): Partial<Registers> {
  return Object.fromEntries(GENERAL.map((name) => [name, registers[name]]));
}

/** Run the instruction. The general registers are 0 unless given, ESP is STACK - 256. */
export function runSegment(given: SegmentCase): Found {
  const { mode = 'ring3', segments = {}, descriptor } = given;
  const { vcpu } = guestOf([0x90, ...given.code, 0x0f, 0x0b]);
  vcpu.ram.write(DATA_BASE, new Uint8Array(0x20000).fill(given.fill ?? 0));
  if (descriptor) {
    const { at, base, limit, flags } = descriptor;
    vcpu.ram.writeU32(at, (limit & 0xffff) | ((base & 0xffff) << 16));
    vcpu.ram.writeU32(at + 4, (base >>> 16) | flags);
  }
  const first = start(vcpu.getRegisters(), mode);
  const named = Object.entries(segments).map(([name, segment]) => [
    name,
    { ...first[name as SegmentName], ...segment },
  ]);
  const zero = Object.fromEntries(GENERAL.map((name) => [name, 0]));
  const paging = given.missing === undefined ? {} : { cr3: DIRECTORY, cr0: 0x80000011 };
  vcpu.setRegisters({
    ...first,
    ...{ ...zero, esp: STACK - 0x100, gdtLimit: 0x3f, ...paging },
    ...(Object.fromEntries(named) as Partial<Registers>),
    cs: { ...first.cs, flags: given.codeFlags ?? first.cs.flags, limit: given.codeLimit ?? first.cs.limit },
    ...given.registers,
  });
  vcpu.ram.writeU32(DIRECTORY, TABLE | 7);
  for (let page = 0; page < 1024; page++)
    vcpu.ram.writeU32(TABLE + 4 * page, (page << 12) | (page << 12 === given.missing ? 0 : 7));
  for (const vector of VECTORS)
    if (mode === 'real') setRealHandler(vcpu, vector);
    else setHandler(vcpu, vector, HANDLERS + HANDLER_BYTES * vector, given.conforming ? STAY : [HLT]);
  if (given.conforming) makeConforming(vcpu);
  for (const [address, value] of Object.entries(given.words ?? {})) vcpu.ram.writeU32(Number(address), value);
  const before = vcpu.getRegisters();
  expect(vcpu.run(1000)).toBe(given.conforming ? 'target' : 'halted');
  const registers = vcpu.getRegisters();
  const vector = (registers.eip - (given.conforming ? 0 : 1) - HANDLERS) / HANDLER_BYTES;
  const withError = mode !== 'real' && WITH_ERROR.has(vector);
  const frame = registers.ss.base + (mode === 'real' ? registers.esp & 0xffff : registers.esp);
  const word = (index: number): number => vcpu.ram.readU32(frame + 4 * index)!;
  const eip = mode === 'real' ? word(0) & 0xffff : word(withError ? 1 : 0);
  const found = {
    vector,
    error: withError ? word(0) : undefined,
    at: eip - CODE,
    retired: vcpu.icount - 1,
    before: general(before),
    after: general(registers),
    byte: (address: number): number => ram[address]!,
    registers,
    word: (address: number): number => new DataView(ram.buffer, ram.byteOffset).getUint32(address, true),
  };
  const ram = vcpu.ram.read(0, DATA_BASE + 0x20000)!;
  vcpu.dispose();
  return found;
}
