/**
 * Goal: a Multiboot kernel finds exactly the machine state and the boot information its specification promises.
 * Method: kernels assembled byte by byte; the information structure is read back from RAM as a kernel would.
 */
import { describe, expect, test } from '@jest/globals';
import { ConfigError } from '../../../emulator/errors.js';
import { loadImage, type ImageOptions } from '../../../hypervisor/loader/image.js';
import { elf32, FakeRam, flatMultiboot, MEMORY_BYTES, multibootHeader } from './image-builders.js';

const CODE = Uint8Array.of(0xb0, 0x2a, 0xe6, 0xf4);
const ADDRESS = 0x100000;

function elfKernel(physical = ADDRESS, memoryBytes = 0x2000, flags = 3): Uint8Array {
  const data = Uint8Array.from([...multibootHeader(flags), ...CODE]);
  return elf32(physical + 12, [{ physical, data, memoryBytes }]);
}

function options(bytes: Uint8Array, more: Partial<ImageOptions> = {}): ImageOptions {
  return { bytes, memoryBytes: MEMORY_BYTES, append: '', modules: [], name: 'kernel.elf', ...more };
}

function refusal(bytes: Uint8Array, more: Partial<ImageOptions> = {}): string {
  try {
    loadImage(options(bytes, more), new FakeRam());
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as ConfigError).message;
  }
  throw new Error('the image was taken');
}

describe('machine state', () => {
  test('is that of the specification, section 3.2', () => {
    const state = loadImage(options(elfKernel()), new FakeRam());
    expect(state).toMatchObject({ mode: 'protected', eax: 0x2badb002, eip: ADDRESS + 12, cr0: 0x11, eflags: 2 });
    expect(state.cs).toMatchObject({ base: 0, limit: 0xffffffff, flags: 0xcf9b00 });
    expect(state.ss).toMatchObject({ base: 0, limit: 0xffffffff, flags: 0xcf9300 });
    expect(state.esp % 16).toBe(0);
    expect(state.esp).toBeLessThanOrEqual(0x90000);
  });
});

describe('boot information', () => {
  test('tells memory sizes, command line, loader and memory map', () => {
    const ram = new FakeRam();
    const { ebx } = loadImage(options(elfKernel(), { append: 'n=5 ünicode' }), ram);
    expect(ram.u32(ebx)).toBe(0x24d);
    expect(ram.u32(ebx + 4)).toBe(639);
    expect(ram.u32(ebx + 8)).toBe(3 * 1024);
    expect(ram.string(ram.u32(ebx + 16))).toBe('kernel.elf n=5 ünicode');
    expect(ram.string(ram.u32(ebx + 64))).toBe('ft86');
    const map = ram.u32(ebx + 48);
    const entries = [0, 1, 2, 3].map((i) => [0, 4, 8, 12, 16, 20].map((offset) => ram.u32(map + 24 * i + offset)));
    expect(ram.u32(ebx + 44)).toBe(96);
    expect(entries).toEqual([
      [20, 0, 0, 0x9fc00, 0, 1],
      [20, 0x9fc00, 0, 0x400, 0, 2],
      [20, 0xf0000, 0, 0x10000, 0, 2],
      [20, 0x100000, 0, 0x300000, 0, 1],
    ]);
  });

  test('without --append the command line is the name alone', () => {
    const ram = new FakeRam();
    const { ebx } = loadImage(options(elfKernel()), ram);
    expect(ram.string(ram.u32(ebx + 16))).toBe('kernel.elf');
    expect(ram.u32(ebx + 20)).toBe(0);
  });

  test('modules lie page-aligned above the kernel, in order, with their strings', () => {
    const ram = new FakeRam();
    const modules = [
      { bytes: new Uint8Array(5000).fill(1), string: 'one a=1' },
      { bytes: new Uint8Array(0), string: 'empty' },
      { bytes: Uint8Array.of(3), string: '' },
    ];
    const { ebx } = loadImage(options(elfKernel(), { modules }), ram);
    const table = ram.u32(ebx + 24);
    const read = [0, 16, 32].map((at) => [
      ram.u32(table + at),
      ram.u32(table + at + 4),
      ram.string(ram.u32(table + at + 8)),
    ]);
    expect(ram.u32(ebx + 20)).toBe(3);
    expect(read).toEqual([
      [0x102000, 0x102000 + 5000, 'one a=1'],
      [0x104000, 0x104000, 'empty'],
      [0x104000, 0x104001, ''],
    ]);
    expect(ram.bytes.subarray(0x102000, 0x102000 + 5000)).toEqual(modules[0]!.bytes);
    expect(ram.bytes[0x104000]).toBe(3);
  });

  test('lies below 1 MiB beside the kernel, or above it when the kernel fills low memory', () => {
    const beside = loadImage(options(elfKernel(0x1000, 0x8000)), new FakeRam());
    expect(beside.ebx).toBeGreaterThanOrEqual(0x9000);
    expect(beside.ebx).toBeLessThan(0x9fc00);
    const above = loadImage(options(elfKernel(0x1000, 0x9fc00 - 0x1000)), new FakeRam());
    expect(above.ebx).toBeGreaterThanOrEqual(0x100000);
  });

  test('what does not fit or cannot be a string is refused', () => {
    const large = { bytes: new Uint8Array(MEMORY_BYTES - 0x100000), string: 'm' };
    expect(refusal(elfKernel(), { modules: [large] })).toContain('module 0 at 0x102000');
    expect(refusal(elfKernel(), { append: 'a\0b' })).toContain('zero bytes');
    expect(refusal(elfKernel(), { append: 'x'.repeat(MEMORY_BYTES) })).toContain('no room in RAM');
  });
});

describe('flat kernels', () => {
  test('are placed by the header’s addresses, from wherever the header lies in the file', () => {
    const ram = new FakeRam();
    const lead = Uint8Array.from([9, 9, 9, 9, 7, 7, 7, 7]);
    const header = multibootHeader(0x10001, 0x200004, 0x200000, 0, 0x201000, 0x200024);
    const state = loadImage(options(Uint8Array.from([...lead, ...header, ...CODE])), ram);
    expect(state.eip).toBe(0x200024);
    expect(ram.u32(0x200000)).toBe(0x07070707);
    expect(ram.u32(0x200024)).toBe(0xf4e62ab0);
    expect(ram.u32(0x1ffffc)).toBe(0);
  });

  test('the zeros behind the data are reserved: modules come after them', () => {
    const ram = new FakeRam();
    const modules = [{ bytes: CODE, string: 'm' }];
    const { ebx } = loadImage(options(flatMultiboot(ADDRESS, CODE, 0x3000), { modules }), ram);
    expect(ram.u32(ram.u32(ebx + 24))).toBe(0x104000);
  });

  test('address fields win over the ELF header', () => {
    const data = Uint8Array.from([...flatMultiboot(0x200000, CODE)]);
    const image = elf32(0x100000, [{ physical: 0x100000, data }]);
    expect(loadImage(options(image), new FakeRam()).eip).toBe(0x200020);
  });

  const withAddresses = (...addresses: number[]): Uint8Array =>
    Uint8Array.from([...multibootHeader(0x10000, ...addresses), ...CODE]);
  test.each([
    ['no addresses and no ELF', multibootHeader(0), 'must have load addresses (flag 16)'],
    ['a cut header', multibootHeader(0x10000, 1, 2), 'truncated: its Multiboot header'],
    ['load_addr above the header', withAddresses(ADDRESS, ADDRESS + 4, 0, 0, ADDRESS + 32), 'load_addr 0x100004'],
    ['data before the file', withAddresses(ADDRESS + 4, ADDRESS, 0, 0, ADDRESS + 32), 'header_addr 0x100004'],
    ['data beyond the file', withAddresses(ADDRESS, ADDRESS, ADDRESS + 99, 0, ADDRESS + 32), 'truncated: its data'],
    ['an end below the start', withAddresses(ADDRESS, ADDRESS, ADDRESS - 1, 0, ADDRESS + 32), 'load_end_addr'],
    ['zeros that end too early', withAddresses(ADDRESS, ADDRESS, 0, ADDRESS + 4, ADDRESS + 32), 'bss_end_addr'],
    ['zeros beyond RAM', withAddresses(ADDRESS, ADDRESS, 0, 0xf0000000, ADDRESS + 32), 'must lie in RAM'],
    ['an entry outside', withAddresses(ADDRESS, ADDRESS, 0, 0, ADDRESS + 36), 'entry point 0x100024'],
  ])('%s is refused', (_what, bytes, sentence) => {
    expect(refusal(bytes)).toContain(sentence);
  });
});

describe('header flags', () => {
  test('an unknown requirement is refused, an unknown wish is not', () => {
    expect(refusal(elfKernel(ADDRESS, 0x2000, 0x8))).toContain('requires flags 0x8');
    expect(loadImage(options(elfKernel(ADDRESS, 0x2000, 0x20004)), new FakeRam()).eax).toBe(0x2badb002);
  });
});
