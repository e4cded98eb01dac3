/**
 * Goal: paging with physical address extension, which most kernels for 686 use, works as the manual says and as exactly
 * as without: rights, large pages, accessed and dirty bits, faults, and a state that may be cut and saved anywhere.
 * Method: small guests with 8-byte entries, whose tables, faults and registers are known.
 */
import { afterEach, describe, expect, test } from '@jest/globals';
import type { Vcpu } from '../../emulator/vcpu.js';
import { BUSY_LOOP, CODE, guestOf, le32, RAM_BYTES, setHandler, type Guest } from './guest-code.js';

const HLT = 0xf4;
/** Four pointers to directories; the directory of the first GiB; the table of its first 2 MiB. */
const [POINTERS, DIRECTORY, TABLE] = [0x10000, 0x11000, 0x12000];
const HANDLER = 0x7000;
const [PRESENT, ALL, LARGE] = [1, 7, 0x80];
const [ACCESSED, DIRTY] = [0x20, 0x40];
const CR4_PAE = 0x20;
const LINEAR = 0x80000;

const open: Vcpu[] = [];
afterEach(() => {
  for (const vcpu of open.splice(0)) vcpu.dispose();
});

function setEntry(vcpu: Vcpu, table: number, index: number, low: number, high = 0): void {
  vcpu.ram.writeU32(table + 8 * index, low);
  vcpu.ram.writeU32(table + 8 * index + 4, high);
}
function entry(vcpu: Vcpu, table: number, index: number): number {
  return vcpu.ram.readU32(table + 8 * index)!;
}

/** `code` with the first 2 MiB mapped onto themselves in pages of 4 KiB; a page fault's handler pops its code into EBX. */
function paeGuest(code: readonly number[]): Guest {
  const made = guestOf(code);
  open.push(made.vcpu);
  const { vcpu } = made;
  setEntry(vcpu, POINTERS, 0, DIRECTORY | PRESENT);
  setEntry(vcpu, DIRECTORY, 0, TABLE | ALL);
  for (let page = 0; page < 512; page++) setEntry(vcpu, TABLE, page, (page << 12) | ALL);
  setHandler(vcpu, 14, HANDLER, [0x5b, HLT]); // pop ebx; hlt
  vcpu.setRegisters({ ...vcpu.getRegisters(), cr3: POINTERS, cr4: CR4_PAE, cr0: 0x80010011, ebx: 0xffff });
  return made;
}

/** MOV EAX, [address] and MOV [address], EAX. */
const load = (address: number): number[] => [0xa1, ...le32(address)];
const store = (address: number): number[] => [0xa3, ...le32(address)];

test('is offered by CPUID and turned on by MOV CR4', () => {
  // cpuid; mov esi, edx; mov eax, 20h; mov cr4, eax; mov eax, POINTERS; mov cr3, eax; mov eax, cr0; bts eax, 31; mov cr0, eax
  const on = [0xb8, 1, 0, 0, 0, 0x0f, 0xa2, 0x89, 0xd6, 0xb8, 0x20, 0, 0, 0, 0x0f, 0x22, 0xe0];
  const paging = [0xb8, ...le32(POINTERS), 0x0f, 0x22, 0xd8, 0x0f, 0x20, 0xc0, 0x0f, 0xba, 0xe8, 31, 0x0f, 0x22, 0xc0];
  const { vcpu } = paeGuest([...on, ...paging, ...load(LINEAR), HLT]);
  setEntry(vcpu, TABLE, LINEAR >> 12, 0x30000 | ALL);
  vcpu.ram.writeU32(0x30000, 0x1234);
  vcpu.setRegisters({ ...vcpu.getRegisters(), cr0: 0x11, cr3: 0, cr4: 0 });
  expect(vcpu.run(Infinity)).toBe('halted');
  const { eax, esi, cr4 } = vcpu.getRegisters();
  expect([eax, esi & 0x40, cr4]).toEqual([0x1234, 0x40, CR4_PAE]);
});

describe('accessed and dirty bits', () => {
  test('are set when the instruction runs, in directory and table, and never in the pointers', () => {
    const { vcpu } = paeGuest([...load(LINEAR), ...store(LINEAR), HLT]);
    const flags = (): number[] => [entry(vcpu, DIRECTORY, 0) & 0xfff, entry(vcpu, TABLE, LINEAR >> 12) & 0xfff];
    expect(flags()).toEqual([ALL, ALL]);
    vcpu.run(1);
    expect(flags()).toEqual([ALL | ACCESSED, ALL | ACCESSED]);
    vcpu.run(2);
    expect(flags()).toEqual([ALL | ACCESSED, ALL | ACCESSED | DIRTY]);
    expect(entry(vcpu, POINTERS, 0)).toBe(DIRECTORY | PRESENT);
    expect(entry(vcpu, TABLE, CODE >> 12)).toBe(CODE | ALL | ACCESSED);
  });

  test('of a page of 2 MiB are in the directory', () => {
    const { vcpu } = paeGuest([...store(0x600000), HLT]);
    setEntry(vcpu, DIRECTORY, 3, 0x200000 | LARGE | ALL);
    vcpu.setRegisters({ ...vcpu.getRegisters(), eax: 0x5678 });
    expect(vcpu.run(Infinity)).toBe('halted');
    expect(vcpu.ram.readU32(0x200000)).toBe(0x5678);
    expect(entry(vcpu, DIRECTORY, 3)).toBe(0x200000 | LARGE | ALL | ACCESSED | DIRTY);
  });
});

describe('a page fault', () => {
  const [P, W, RSVD] = [1, 2, 8];
  const LARGE_AT = 0x800000;
  const none = [TABLE, 0, ALL, 0] as const;
  const page = (low: number, high = 0) => [TABLE, LINEAR >> 12, low, high] as const;
  const large = (low: number, high = 0) => [DIRECTORY, LARGE_AT >> 21, low | LARGE | ALL, high] as const;
  test.each([
    ['no directory', 'load', LINEAR | 0x40000000, none, 0],
    ['no table', 'store', LINEAR + 0x200000, none, W],
    ['no page', 'load', LINEAR, page(0), 0],
    ['a page that may be read only', 'store', LINEAR, page(0x30000 | PRESENT), P | W],
    ['bit 63, no-execute, of a page', 'load', LINEAR, page(ALL, 0x80000000), P | RSVD],
    ['an address of more than 36 bits', 'load', LINEAR, page(ALL, 0x10), P | RSVD],
    ['bit 39 of a large page', 'load', LARGE_AT, large(0, 0x80), P | RSVD],
    ['bit 62 of a directory entry', 'store', LARGE_AT, large(0, 0x40000000), P | W | RSVD],
    ['bit 13 of a large page', 'load', LARGE_AT, large(0x2000), P | RSVD],
  ] as const)('by %s has its error code and address', (_, kind, address, [table, index, low, high], errorCode) => {
    const { vcpu } = paeGuest([...(kind === 'load' ? load : store)(address), HLT]);
    setEntry(vcpu, table, index, low, high);
    expect(vcpu.run(Infinity)).toBe('halted');
    const { ebx, cr2, eip } = vcpu.getRegisters();
    expect([ebx, cr2, eip]).toEqual([errorCode, address, HANDLER + 2]);
  });
});

describe('MOV to CR3', () => {
  const OTHER = 0x13000;
  // mov eax, OTHER; mov cr3, eax; hlt
  const code = [0xb8, ...le32(OTHER), 0x0f, 0x22, 0xd8, HLT];

  test.each([
    ['a writable pointer', 1, PRESENT | 2, 0, true],
    ['an accessed pointer', 1, PRESENT | 0x20, 0, true],
    ['a pointer beyond 36 bits', 3, PRESENT, 0x10, true],
    ['one that is not present, whatever it holds', 2, 0xfe, 0xffffffff, false],
    ['bits for caches', 2, PRESENT | 0x18, 0, false],
  ])('with %s', (_name, index, low, high, refused) => {
    const { vcpu } = paeGuest(code);
    setHandler(vcpu, 13, HANDLER + 16, [0x5b, HLT]);
    setEntry(vcpu, OTHER, 0, DIRECTORY | PRESENT);
    setEntry(vcpu, OTHER, index, DIRECTORY | low, high);
    expect(vcpu.run(Infinity)).toBe('halted');
    const { cr3, ebx } = vcpu.getRegisters();
    expect([cr3, ebx]).toEqual(refused ? [POINTERS, 0] : [OTHER, 0xffff]);
  });
});

describe('the four pointers are read when control registers are loaded, and not before', () => {
  const HIGH = LINEAR | 0x40000000;
  /** Pointer 1 leads to the directory that pointer 0 leads to. */
  const write = [0xc7, 0x05, ...le32(POINTERS + 8), ...le32(DIRECTORY | PRESENT)];
  const control = (from: number, to: number, bits: number): number[] => [
    ...[0x0f, 0x20, 0xc0 | (from << 3), 0x35, ...le32(bits)], // mov eax, crN; xor eax, bits
    ...[0x0f, 0x22, 0xc0 | (to << 3)], // mov crN, eax
  ];
  test.each([
    ['MOV CR3', control(3, 3, 0), true],
    ['MOV CR4 with another PGE', control(4, 4, 0x80), true],
    ['MOV CR4 with another PSE', control(4, 4, 0x10), true],
    ['MOV CR0 with another CD', control(0, 0, 0x40000000), true],
    ['MOV CR4 with another TSD', control(4, 4, 4), false],
    ['MOV CR0 with another WP', control(0, 0, 0x10000), false],
    ['INVLPG', [0x0f, 0x01, 0x3d, ...le32(HIGH)], false],
  ])('%s', (_, code, read) => {
    const { vcpu } = paeGuest([...write, ...code, ...load(HIGH), HLT]);
    setEntry(vcpu, TABLE, LINEAR >> 12, 0x30000 | ALL);
    vcpu.ram.writeU32(0x30000, 0x1234);
    expect(vcpu.run(Infinity)).toBe('halted');
    const { eax, cr2 } = vcpu.getRegisters();
    if (read) expect(eax).toBe(0x1234);
    else expect(cr2).toBe(HIGH);
  });

  test('a saved state carries them', () => {
    const code = [...write, 0x90, ...load(HIGH), HLT];
    const [plain, source, moved] = [paeGuest(code).vcpu, paeGuest(code).vcpu, paeGuest(code).vcpu];
    source.run(1);
    moved.ram.write(0, source.ram.read(0, 0xa0000)!);
    moved.restoreState(source.saveState());
    for (const vcpu of [plain, moved]) expect(vcpu.run(Infinity)).toBe('halted');
    expect(moved.getRegisters().cr2).toBe(HIGH);
    expect(moved.saveState()).toEqual(plain.saveState());
  });

  test.each([
    ['MOV CR0 that turns paging on', [0xb8, ...le32(0x80000011), 0x0f, 0x22, 0xc0], { cr0: 0x11 }],
    ['MOV CR4 that turns the extension on', [0xb8, ...le32(CR4_PAE), 0x0f, 0x22, 0xe0], { cr4: 0 }],
  ])('%s refuses reserved bits', (_, code, registers) => {
    const { vcpu } = paeGuest([...code, HLT]);
    setHandler(vcpu, 13, HANDLER + 16, [0x5b, HLT]);
    setEntry(vcpu, POINTERS, 2, PRESENT | 2);
    // Without the extension the pointers are a directory of entries of 4 bytes.
    vcpu.ram.writeU32(POINTERS, 0x14000 | ALL);
    for (let page = 0; page < 1024; page++) vcpu.ram.writeU32(0x14000 + 4 * page, (page << 12) | ALL);
    vcpu.setRegisters({ ...vcpu.getRegisters(), ...registers });
    expect(vcpu.run(Infinity)).toBe('halted');
    expect(vcpu.getRegisters()).toMatchObject({ ...registers, ebx: 0 });
  });
});

test('what lies beyond 4 GiB reads as ones, and no device is asked', () => {
  const { vcpu, bus } = paeGuest([...load(LINEAR), ...store(LINEAR), HLT]);
  bus.answer = () => 0;
  setEntry(vcpu, TABLE, LINEAR >> 12, 0x30000 | ALL, 0xf);
  expect(vcpu.run(Infinity)).toBe('halted');
  expect(vcpu.getRegisters().eax).toBe(0xffffffff);
  expect(bus.accesses).toEqual([]);
  expect(vcpu.ram.readU32(0x30000)).toBe(0);
});

test('INVLPG drops a large page, another one keeps what it had', () => {
  // mov al, [600000h]; mov dword [DIRECTORY + 24], 87h; invlpg [7ff000h]; mov eax, [600000h]
  const change = [0xc7, 0x05, ...le32(DIRECTORY + 24), ...le32(LARGE | ALL)];
  const invlpg = (address: number): number[] => [0x0f, 0x01, 0x3d, ...le32(address)];
  const [values, flushes] = [
    [0x1111, 0x2222],
    [0x7ff000, 0x9ff000],
  ];
  const seen = flushes.map((address) => {
    const { vcpu } = paeGuest([...load(0x600000), ...change, ...invlpg(address), ...load(0x600000), HLT]);
    setEntry(vcpu, DIRECTORY, 3, 0x200000 | LARGE | ALL);
    vcpu.ram.writeU32(0x200000, values[0]!);
    vcpu.ram.writeU32(0, values[1]!);
    expect(vcpu.run(Infinity)).toBe('halted');
    return vcpu.getRegisters().eax;
  });
  expect(seen).toEqual([0x2222, 0x1111]);
});

test('a run cut, flushed, saved and restored anywhere ends in the same state', () => {
  const make = (): Vcpu => {
    const { vcpu } = paeGuest([...store(0x600000), ...BUSY_LOOP]);
    setEntry(vcpu, DIRECTORY, 3, 0x200000 | LARGE | ALL);
    setEntry(vcpu, TABLE, 6, 0x36000 | ALL);
    return vcpu;
  };
  const whole = make();
  whole.run(Infinity);
  let piece = make();
  for (let at = 1; piece.run(at) === 'target'; at += 13) {
    const next = make();
    next.ram.write(0, piece.ram.read(0, 0xa0000)!);
    next.ram.write(0xc0000, piece.ram.read(0xc0000, RAM_BYTES - 0xc0000)!);
    next.restoreState(piece.saveState());
    piece = next;
  }
  expect(piece.icount).toBe(whole.icount);
  expect(piece.saveState()).toEqual(whole.saveState());
  expect(piece.ramDigest()).toEqual(whole.ramDigest());
});
