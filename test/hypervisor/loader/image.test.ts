/**
 * Goal: an image is recognised by its content, placed where it says, and started as its format demands; what does
 * not fit is refused with a sentence that names the image.
 * Method: images assembled byte by byte; RAM and registers compared with the formats' own documents.
 */
import { describe, expect, test } from '@jest/globals';
import { ConfigError } from '../../../emulator/errors.js';
import { loadImage, recogniseImage, type ImageOptions } from '../../../hypervisor/loader/image.js';
import { bootSector, elf32, FakeRam, flatMultiboot, MEMORY_BYTES, multibootHeader } from './image-builders.js';

const CODE = Uint8Array.of(0xb0, 0x2a, 0xe6, 0xf4);

function options(bytes: Uint8Array, more: Partial<ImageOptions> = {}): ImageOptions {
  return { bytes, memoryBytes: MEMORY_BYTES, append: '', modules: [], name: 'guest', ...more };
}

/** The sentence with which an image is refused. */
function refusal(bytes: Uint8Array, more: Partial<ImageOptions> = {}): string {
  try {
    loadImage(options(bytes, more), new FakeRam());
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as ConfigError).message;
  }
  throw new Error('the image was taken');
}

describe('recognition', () => {
  test('tells the formats apart by content', () => {
    const linux = bootSector();
    const kernel = new Uint8Array(1024);
    kernel.set(linux);
    kernel.set(Buffer.from('HdrS'), 0x202);
    const segment = { physical: 0x100000, data: Uint8Array.from([...multibootHeader(0), ...CODE]) };
    expect(recogniseImage(bootSector())).toBe('boot-sector');
    expect(recogniseImage(kernel)).toBe('linux');
    expect(recogniseImage(elf32(0x100000, [{ physical: 0x100000, data: CODE }]))).toBe('elf32');
    expect(recogniseImage(elf32(0x100000, [segment]))).toBe('multiboot');
    expect(recogniseImage(flatMultiboot(0x100000, CODE))).toBe('multiboot');
    expect(recogniseImage(CODE)).toBeNull();
  });

  test('a Multiboot magic with a wrong checksum, unaligned or beyond 8192 bytes is no header', () => {
    const wrong = multibootHeader(0);
    wrong[8]! ^= 1;
    const unaligned = Uint8Array.from([0, 0, ...multibootHeader(0)]);
    const far = new Uint8Array(8192 + 4);
    far.set(multibootHeader(0), 8192 - 8);
    for (const bytes of [wrong, unaligned, far]) expect(recogniseImage(bytes)).toBeNull();
    far.set(multibootHeader(0), 8192 - 12);
    expect(recogniseImage(far)).toBe('multiboot');
  });

  test('a boot sector with a boot loader behind it is what firmware starts, though the loader has a Multiboot header', () => {
    const disk = new Uint8Array(8192);
    disk.set(bootSector());
    disk.set(multibootHeader(0), 1024);
    expect(recogniseImage(disk)).toBe('boot-sector');
    const elf = elf32(0x100000, [{ physical: 0x100000, data: multibootHeader(0) }]);
    const chance = new Uint8Array(1024);
    chance.set(elf);
    chance.set([0x55, 0xaa], 510);
    expect(recogniseImage(chance)).toBe('multiboot');
  });

  test.each([
    ['an empty file', new Uint8Array(0), 'is empty'],
    ['a text', Buffer.from('hello'), '--format flat'],
    ['a Linux kernel', Uint8Array.from([...bootSector(), 0, 0, ...Buffer.from('HdrS')]), 'Linux kernel'],
  ])('%s is refused by name', (_what, bytes, sentence) => {
    expect(refusal(bytes)).toContain('IMAGE guest: ');
    expect(refusal(bytes)).toContain(sentence);
  });
});

describe('boot sector', () => {
  test('is at 0000:7c00 in real mode with the first hard disk in DL', () => {
    const ram = new FakeRam();
    const state = loadImage(options(Uint8Array.from([...bootSector(CODE), 1, 2, 3])), ram);
    expect(state).toMatchObject({ mode: 'real', eip: 0x7c00, edx: 0x80, cr0: 0x10, eflags: 2 });
    expect(state.cs).toEqual({ selector: 0, base: 0, limit: 0xffff, flags: 0x9b00 });
    expect(state.idt).toEqual({ base: 0, limit: 0x3ff });
    expect(ram.bytes.subarray(0x7c00, 0x7e00)).toEqual(bootSector(CODE));
    expect(ram.bytes[0x7e00]).toBe(0);
  });

  test('finds the BIOS data and vectors that end in a triple fault', () => {
    const ram = new FakeRam();
    loadImage(options(bootSector()), ram);
    expect([ram.u16(0x400), ram.u16(0x40e), ram.u16(0x413)]).toEqual([0x3f8, 0x9fc0, 639]);
    for (const vector of [0, 0x10, 0x13, 0xff]) expect(ram.u32(vector * 4)).toBe(0x9fc00010);
    // lidt cs:[0x20], whose limit is 0; int3
    expect([...ram.bytes.subarray(0x9fc10, 0x9fc17)]).toEqual([0x2e, 0x0f, 0x01, 0x1e, 0x20, 0, 0xcc]);
    expect([...ram.bytes.subarray(0x9fc20, 0x9fc26)]).toEqual([0, 0, 0, 0, 0, 0]);
  });
});

describe('i386 ELF', () => {
  test('goes to its physical addresses, with zeros behind, and starts flat at its entry', () => {
    const ram = new FakeRam();
    const segments = [
      { virtual: 0xc0100000, physical: 0x100000, data: CODE, memoryBytes: 0x1000 },
      { physical: 0x8000, data: Uint8Array.of(1, 2, 3) },
    ];
    const state = loadImage(options(elf32(0xc0100002, segments)), ram);
    expect(state).toMatchObject({ mode: 'protected', eip: 0x100002, eax: 0, ebx: 0, cr0: 0x11, eflags: 2 });
    expect(state.cs).toEqual({ selector: 8, base: 0, limit: 0xffffffff, flags: 0xcf9b00 });
    for (const segment of [state.ds, state.es, state.ss, state.fs, state.gs]) {
      expect(segment).toEqual({ selector: 16, base: 0, limit: 0xffffffff, flags: 0xcf9300 });
    }
    expect([...ram.bytes.subarray(0x100000, 0x100005)]).toEqual([...CODE, 0]);
    expect([...ram.bytes.subarray(0x8000, 0x8003)]).toEqual([1, 2, 3]);
    expect(state.esp).toBeGreaterThan(0x1000);
    expect(state.esp).toBeLessThanOrEqual(0x90000);
  });

  test('the selectors it starts with are in the table that GDTR names', () => {
    const ram = new FakeRam();
    const { gdt } = loadImage(options(elf32(0x100000, [{ physical: 0x100000, data: CODE }])), ram);
    expect(gdt.limit).toBe(23);
    expect([0, 4, 8, 12, 16, 20].map((offset) => ram.u32(gdt.base + offset))).toEqual([
      0, 0, 0xffff, 0xcf9b00, 0xffff, 0xcf9300,
    ]);
  });

  test('zeros of a segment replace what lay there before', () => {
    const ram = new FakeRam();
    const segments = [
      { physical: 0x100000, data: CODE },
      { physical: 0x100002, data: Uint8Array.of(9), memoryBytes: 8 },
      { physical: 0x400, data: new Uint8Array(0), memoryBytes: 0x100 },
    ];
    loadImage(options(elf32(0x100000, segments)), ram);
    expect([...ram.bytes.subarray(0x100000, 0x100004)]).toEqual([0xb0, 0x2a, 9, 0]);
    expect([ram.u16(0x400), ram.u16(0x413)]).toEqual([0, 0]);
  });

  test('the stack keeps clear of the image wherever that lies', () => {
    const place = (physical: number, memoryBytes: number): number =>
      loadImage(options(elf32(physical, [{ physical, data: CODE, memoryBytes }])), new FakeRam()).esp;
    expect(place(0x80000, 0x10000)).toBeLessThanOrEqual(0x80000);
    expect(place(0x80000, 0x8000)).toBe(0x8c000);
    expect(place(0x500, 0x9fc00 - 0x500)).toBe(0xa0000);
  });

  const one = (physical: number, memoryBytes = 4, type = 1): Uint8Array =>
    elf32(physical, [{ physical, data: CODE, memoryBytes, type }]);
  const sixtyFour = one(0x100000);
  sixtyFour[4] = 2;
  const bigEndian = one(0x100000);
  bigEndian[5] = 2;
  test.each([
    ['a 64-bit file', sixtyFour, 'must be a 32-bit ELF file'],
    ['a big-endian file', bigEndian, 'little-endian'],
    ['another machine', elf32(0x100000, [{ physical: 0x100000, data: CODE }], 40), 'not for machine 40'],
    ['an object file', elf32(0x100000, [{ physical: 0x100000, data: CODE }], 3, 1), 'type 2'],
    ['a dynamic executable', one(0x100000, 4, 3), 'statically linked'],
    ['no loadable segment', one(0x100000, 4, 4), 'at least one loadable segment'],
    ['a segment in the video hole', one(0x9ff00, 0x1000), 'segment 0 at 0x9ff00 to 0xa0f00 must lie in RAM'],
    ['a segment beyond RAM', one(0x3ff000, 0x2000), '--memory'],
    ['a segment that wraps', one(0xfffff000, 0x2000), 'must lie in RAM'],
    ['an entry outside', elf32(0x200000, [{ physical: 0x100000, data: CODE }]), 'entry point 0x200000'],
    ['more file than memory', one(0x100000, 2), 'larger in the file than in memory'],
    ['a cut header', one(0x100000).subarray(0, 40), 'truncated'],
    ['cut program headers', one(0x100000).subarray(0, 60), 'truncated'],
    ['a cut segment', one(0x100000).subarray(0, 86), 'truncated: segment 0 ends at 0x58 of 0x56 bytes'],
  ])('%s is refused', (_what, bytes, sentence) => {
    expect(refusal(bytes)).toContain(sentence);
  });
});

describe('flat binary', () => {
  test('is taken only when asked for, at 1 MiB or where the user says', () => {
    const ram = new FakeRam();
    expect(loadImage(options(CODE, { format: 'flat' }), ram)).toMatchObject({ mode: 'protected', eip: 0x100000 });
    expect(ram.u32(0x100000)).toBe(0xf4e62ab0);
    expect(loadImage(options(CODE, { format: 'flat', loadAddress: 0x7000 }), ram).eip).toBe(0x7000);
    expect(refusal(CODE, { format: 'flat', loadAddress: MEMORY_BYTES - 2 })).toContain('must lie in RAM');
    expect(refusal(new Uint8Array(MEMORY_BYTES), { format: 'flat' })).toContain('--memory');
  });

  test('options that another format has no place for are refused', () => {
    expect(refusal(bootSector(), { append: 'n=1' })).toBe(
      '--append n=1: only a Multiboot or Linux kernel can have it; guest is of format boot-sector',
    );
    expect(refusal(bootSector(), { modules: [{ bytes: CODE, string: 'm' }] })).toContain('--module m: ');
    expect(refusal(bootSector(), { loadAddress: 0x7000 })).toContain('--load-address 0x7000: only with --format flat');
    for (const format of ['multiboot', 'elf32', 'boot-sector', 'linux'] as const) {
      expect(refusal(CODE, { format })).toContain('IMAGE guest: ');
    }
  });
});
