/**
 * Goal: a ROM below 4 GiB is read and executed like memory, cannot be changed by anything, and disturbs nothing else.
 * Method: small programs in or on a ROM with known content: every kind of store, page tables and descriptors in ROM;
 * the same run whole, in single steps, with flushes and in the reference mode.
 */
import { afterEach, describe, expect, test } from '@jest/globals';
import { InvariantError } from '../../emulator/errors.js';
import type { Vcpu, VcpuOptions } from '../../emulator/vcpu.js';
import { CODE, guestOf, le32, STACK, type Guest } from './guest-code.js';

const ROM_BYTES = 0x20000;
const ROM = 2 ** 32 - ROM_BYTES;
/** Behind the code a test puts at the ROM's start: byte n is 7n + 3. */
const PATTERN = ROM + 0x1000;
const HLT = 0xf4;

const open: Vcpu[] = [];
function guest(code: readonly number[], rom: Uint8Array, options: Partial<VcpuOptions> = {}): Guest {
  const made = guestOf(code, { rom, ...options });
  open.push(made.vcpu);
  return made;
}
afterEach(() => {
  for (const vcpu of open.splice(0)) vcpu.dispose();
});

/** A ROM with `parts` at their offsets and the pattern everywhere else. */
function romOf(parts: Readonly<Record<number, readonly number[]>> = {}): Uint8Array {
  const bytes = Uint8Array.from({ length: ROM_BYTES }, (_, index) => pattern(index));
  for (const [offset, part] of Object.entries(parts)) bytes.set(part, Number(offset));
  return bytes;
}

function pattern(index: number): number {
  return (7 * index + 3) & 0xff;
}

/** `bytes` bytes of the pattern at an address, little-endian. */
function patternAt(address: number, bytes: number): number {
  let value = 0;
  for (let i = bytes - 1; i >= 0; i--) value = value * 256 + pattern((address + i - ROM) & 0xffff_ffff);
  return value;
}

/** mov eax, [address]; hlt */
const READ = (address: number): number[] => [0xa1, ...le32(address), HLT];

describe('reading and executing', () => {
  test('the reset vector runs the far jump at its end, into RAM below 1 MiB', () => {
    const { vcpu, bus } = guest([], romOf({ [ROM_BYTES - 16]: [0xea, 0x00, 0xe0, 0x00, 0xf0] })); // jmp f000:e000
    vcpu.ram.write(0xfe000, Uint8Array.of(0xb8, 0x34, 0x12, HLT)); // mov ax,1234h; hlt
    vcpu.reset();
    expect(vcpu.run(Infinity)).toBe('halted');
    expect(vcpu.icount).toBe(3);
    expect(vcpu.getRegisters()).toMatchObject({ eax: 0x1234, cs: { selector: 0xf000, base: 0xf0000 } });
    expect(bus.accesses).toEqual([]);
  });

  test('without a ROM the reset vector is open bus: an undefined opcode, whose vector leads where RAM says', () => {
    const { vcpu } = guestOf([]);
    open.push(vcpu);
    vcpu.ram.write(4 * 6, Uint8Array.of(0x00, 0x05, 0x00, 0x00));
    vcpu.ram.write(0x500, Uint8Array.of(HLT));
    vcpu.reset();
    expect([vcpu.run(Infinity), vcpu.getRegisters().eip]).toEqual(['halted', 0x501]);
  });

  test('reads of all widths, aligned or not, see its bytes', () => {
    for (const offset of [0, 1, 3, 0xffd, 0xfff]) {
      const at = PATTERN + offset;
      // movzx ebx, byte; movzx ecx, word; mov edx, dword; fild qword; fistp qword [6000h]; hlt
      const code = [
        ...[0x0f, 0xb6, 0x1d, ...le32(at), 0x0f, 0xb7, 0x0d, ...le32(at), 0x8b, 0x15, ...le32(at)],
        ...[0x0f, 0x6f, 0x05, ...le32(at), 0x0f, 0x7f, 0x05, ...le32(0x6000), HLT], // movq
      ];
      const { vcpu, bus } = guest(code, romOf());
      vcpu.run(Infinity);
      const { ebx, ecx, edx } = vcpu.getRegisters();
      expect([ebx, ecx, edx]).toEqual([patternAt(at, 1), patternAt(at, 2), patternAt(at, 4)]);
      expect([vcpu.ram.readU32(0x6000), vcpu.ram.readU32(0x6004)]).toEqual([patternAt(at, 4), patternAt(at + 4, 4)]);
      expect(bus.accesses).toEqual([]);
    }
  });

  test('what lies just below it is still the bus', () => {
    const { vcpu, bus } = guest([0xa1, ...le32(ROM - 4), 0xa3, ...le32(ROM - 4), ...READ(ROM - 2)], romOf());
    bus.answer = () => 0x11223344;
    vcpu.run(Infinity);
    const below = [
      ['read', ROM - 4, 4, 0, 0],
      ['write', ROM - 4, 4, 0x11223344, 1],
    ];
    expect(bus.accesses.slice(0, 2)).toEqual(below);
    // An access across the border takes each half from where it is.
    expect(vcpu.getRegisters().eax >>> 16).toBe(patternAt(ROM, 2));
  });

  test('code runs from its first to its last byte, across pages', () => {
    const rom = romOf({ 0: [0xe9, ...le32(0xff8 - 5)], 0xff8: Array<number>(16).fill(0x40), 0x1008: [0xff, 0xe6] });
    rom.set([0x4b, HLT], ROM_BYTES - 2); // dec ebx; hlt
    const { vcpu } = guest([0xbe, ...le32(2 ** 32 - 2), 0xbf, ...le32(ROM), 0xff, 0xe7], rom);
    expect(vcpu.run(Infinity)).toBe('halted');
    expect(vcpu.icount).toBe(3 + 1 + 16 + 1 + 2);
    expect(vcpu.getRegisters()).toMatchObject({ eax: 16, ebx: 0xffffffff });
  });
});

/** Instructions that store at ESI = PATTERN; EAX is 11111111h, ECX 2, EDI = PATTERN as well. */
const STORES: readonly (readonly [name: string, code: readonly number[]])[] = [
  ['mov byte', [0x88, 0x06]],
  ['mov word', [0x66, 0x89, 0x06]],
  ['mov dword', [0x89, 0x06]],
  ['mov dword across a page', [0x89, 0x86, ...le32(0xffe)]],
  ['add', [0x01, 0x06]],
  ['lock xadd', [0xf0, 0x0f, 0xc1, 0x06]],
  ['xchg', [0x87, 0x06]],
  ['bts', [0x0f, 0xab, 0x0e]],
  ['cmpxchg', [0x0f, 0xb1, 0x16]],
  ['cmpxchg8b', [0x0f, 0xc7, 0x0e]],
  ['rep stosd', [0xf3, 0xab]],
  ['rep movsb', [0xf3, 0xa4]],
  ['movq', [0x0f, 0x7f, 0x06]],
  ['movups', [0x0f, 0x11, 0x46, 0x01]],
  ['fnsave', [0xdd, 0x36]],
  ['fxsave', [0x0f, 0xae, 0x06]],
  ['fstp tbyte', [0xd9, 0xe8, 0xdb, 0x3e]],
  ['push', [0x89, 0xf4, 0x50, 0xbc, ...le32(STACK)]],
  ['sgdt', [0x0f, 0x01, 0x06]],
  ['in from a port', [0x66, 0xba, 0x40, 0x00, 0x6d]],
];

describe('writing', () => {
  test.each(STORES)('%s changes nothing, reaches no device and goes on', (_name, code) => {
    const start = [0xb8, ...le32(0x11111111), 0xb9, ...le32(2), 0xbe, ...le32(PATTERN), 0xbf, ...le32(PATTERN)];
    // Each store is there twice: in the second one the engine knows the page already.
    const check = [0xa1, ...le32(PATTERN), 0x8b, 0x1d, ...le32(PATTERN + 4), 0x8b, 0x15, ...le32(PATTERN + 0xffe), HLT];
    const rom = romOf();
    const { vcpu, bus } = guest([...start, ...code, ...code, ...check], rom);
    vcpu.setRegisters({ ...vcpu.getRegisters(), cr4: 0x200 }); // SSE allowed
    const before = vcpu.ramDigest();
    expect(vcpu.run(Infinity)).toBe('halted');
    const { eax, ebx, edx } = vcpu.getRegisters();
    expect([eax, ebx, edx]).toEqual([PATTERN, PATTERN + 4, PATTERN + 0xffe].map((at) => patternAt(at, 4)));
    expect(bus.accesses.filter(([kind]) => kind === 'read' || kind === 'write')).toEqual([]);
    expect(vcpu.ramDigest()).toEqual(before);
  });

  test('a read-modify-write computes with the byte that is there', () => {
    const { vcpu } = guest([0xb0, 1, 0x00, 0x05, ...le32(PATTERN), 0x0f, 0xb6, 0x1d, ...le32(PATTERN), HLT], romOf());
    vcpu.run(Infinity);
    expect(vcpu.getRegisters().ebx).toBe(pattern(0x1000));
  });

  test('code in ROM that writes over itself and then runs on is what it was', () => {
    // mov byte [rom + 7], 0f4h; inc eax; inc eax; hlt
    const rom = romOf({ 0: [0xc6, 0x05, ...le32(ROM + 7), HLT, 0x40, 0x40, HLT] });
    const { vcpu } = guest([0xbf, ...le32(ROM), 0xff, 0xe7], rom);
    vcpu.run(Infinity);
    expect(vcpu.getRegisters().eax).toBe(2);
  });

  test('the accessed bit of a descriptor in ROM stays as it is', () => {
    // Descriptor 1: flat data, present, not accessed. lgdt [6000h]; mov ax, 8; mov fs, ax; hlt
    const rom = romOf({ 0x2000: [0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0x92, 0xcf, 0] });
    const code = [0x0f, 0x01, 0x15, ...le32(0x6000), 0x66, 0xb8, 8, 0, 0x8e, 0xe0];
    const { vcpu } = guest([...code, ...READ(ROM + 0x200c)], rom);
    vcpu.ram.write(0x6000, Uint8Array.of(15, 0, ...le32(ROM + 0x2000)));
    expect(vcpu.run(Infinity)).toBe('halted');
    expect(vcpu.getRegisters()).toMatchObject({ eax: 0x00cf9200, fs: { selector: 8, limit: 0xffffffff } });
  });
});

/** A directory at 10000h whose first 4 MiB are identity, through `table`, and whose last 4 MiB are one large page. */
function withPaging(made: Guest, table: number): void {
  const { vcpu } = made;
  vcpu.ram.writeU32(0x10000, table | 7);
  vcpu.ram.writeU32(0x10ffc, 0xffc00087);
  for (let page = 0; page < 1024; page++) vcpu.ram.writeU32(0x11000 + 4 * page, (page << 12) | 7);
  vcpu.setRegisters({ ...vcpu.getRegisters(), cr3: 0x10000, cr4: 0x10, cr0: 0x80010011 });
}

describe('with paging', () => {
  test('code and data in ROM through other addresses; a writable mapping does not make it writable', () => {
    const rom = romOf({ 0: [0xa1, ...le32(0x201000), 0xa3, ...le32(0x201004), 0x8b, 0x1d, ...le32(0x201004), HLT] });
    const made = guest([0xbf, ...le32(0x200000), 0xff, 0xe7], rom);
    withPaging(made, 0x11000);
    made.vcpu.ram.writeU32(0x11000 + 4 * 0x200, ROM | 7);
    made.vcpu.ram.writeU32(0x11000 + 4 * 0x201, PATTERN | 7);
    expect(made.vcpu.run(Infinity)).toBe('halted');
    const { eax, ebx } = made.vcpu.getRegisters();
    expect([eax, ebx]).toEqual([patternAt(PATTERN, 4), patternAt(PATTERN + 4, 4)]);
    // Accessed and dirty of the data page, accessed of the code page.
    const flags = [0x200, 0x201].map((page) => made.vcpu.ram.readU32(0x11000 + 4 * page)! & 0x60);
    expect(flags).toEqual([0x20, 0x60]);
  });

  test('page tables in ROM are walked, and their accessed bits stay as they are', () => {
    const table = Array.from({ length: 1024 }, (_, page) => le32((page << 12) | 7)).flat();
    const made = guest([0xa3, ...le32(0x6000), ...READ(ROM + 0x3000 + 4 * 6)], romOf({ 0x3000: table }));
    withPaging(made, ROM + 0x3000);
    expect(made.vcpu.run(Infinity)).toBe('halted');
    expect(made.vcpu.getRegisters().eax).toBe(0x6007);
  });
});

/** Runs from ROM, with a loop that reads ROM, writes to ROM and RAM, and asks a port. */
const LOOP = [
  ...[0xb9, 50, 0, 0, 0], // mov ecx, 50
  ...[0x03, 0x05, ...le32(PATTERN + 2)], // 1: add eax, [pattern + 2]
  ...[0x89, 0x05, ...le32(PATTERN + 2)], // mov [pattern + 2], eax
  ...[0x89, 0x04, 0x8d, ...le32(0x6000)], // mov [6000h + 4 ecx], eax
  ...[0xe7, 0x40, 0xe2, 0xe9], // out 40h, eax; loop 1b
  HLT,
];

describe('determinism', () => {
  const start = [0xbf, ...le32(ROM), 0xff, 0xe7];
  const whole = (options: Partial<VcpuOptions> = {}, every = Infinity): string => {
    const { vcpu, bus } = guest(start, romOf({ 0: LOOP }), options);
    for (let at = every; vcpu.run(at) === 'target'; at += every) {
      vcpu.flushTlb();
      vcpu.ramDigest();
      if (at % 2 === 0) vcpu.flushTranslations();
    }
    return JSON.stringify([vcpu.icount, bus.accesses, [...vcpu.saveState()], [...vcpu.ramDigest()]]);
  };

  test('slices, flushes and the reference mode see the same', () => {
    const plain = whole();
    expect(whole({}, 1)).toBe(plain);
    expect(whole({}, 7)).toBe(plain);
    expect(whole({ countByInstruction: true })).toBe(plain);
  });

  test('a state saved while running in ROM goes on in another vcpu with the same ROM', () => {
    const first = guest(start, romOf({ 0: LOOP }));
    first.vcpu.run(100);
    const second = guest([], romOf({ 0: LOOP }));
    second.vcpu.ram.write(0, first.vcpu.ram.read(0, 0xa0000)!);
    second.vcpu.restoreState(first.vcpu.saveState());
    first.vcpu.run(Infinity);
    second.vcpu.run(Infinity);
    expect(second.vcpu.saveState()).toEqual(first.vcpu.saveState());
    expect(second.vcpu.ramDigest()).toEqual(first.vcpu.ramDigest());
  });

  test('one bit of the ROM makes another digest', () => {
    const digests = [romOf(), romOf({ 5: [pattern(5) ^ 1] }), romOf().subarray(0x1000)].map((rom) =>
      Buffer.from(guest([], rom).vcpu.ramDigest()).toString('hex'),
    );
    expect(new Set(digests).size).toBe(3);
    const again = romOf();
    const { vcpu } = guest([], again);
    again.fill(0); // the vcpu has a copy of its own
    expect(Buffer.from(vcpu.ramDigest()).toString('hex')).toBe(digests[0]);
  });
});

test('a ROM of an impossible size is refused', () => {
  for (const bytes of [1, 4095, 1024 * 1024 + 4096]) {
    expect(() => guest([], new Uint8Array(bytes))).toThrow(InvariantError);
  }
  expect(guest([], new Uint8Array(1024 * 1024)).vcpu.ram.bytes).toBeGreaterThan(CODE);
});
