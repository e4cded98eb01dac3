/**
 * Goal: a Linux kernel is placed and entered as the 32-bit boot protocol says, with initrd, command line and memory
 * map where it looks for them; what cannot run here is refused with a sentence that names the reason.
 * Method: kernels made by hand; RAM and registers compared with boot.rst and zero-page.rst.
 */
import { describe, expect, test } from '@jest/globals';
import { ConfigError } from '../../../emulator/errors.js';
import { loadImage, type ImageOptions } from '../../../hypervisor/loader/image.js';
import { elf32, FakeRam, MEMORY_BYTES } from './image-builders.js';
import { bzImage, packed, PAYLOAD_OFFSET, RUN_ADDRESS, seal, type TestKernel } from './linux-builders.js';

function options(bytes: Uint8Array, more: Partial<ImageOptions> = {}): ImageOptions {
  return { bytes, memoryBytes: MEMORY_BYTES, append: '', modules: [], name: 'kernel', ...more };
}

/** The sentence with which something is refused. */
function refusal(bytes: Uint8Array, more: Partial<ImageOptions> = {}): string {
  try {
    loadImage(options(bytes, more), new FakeRam());
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as ConfigError).message;
  }
  throw new Error('it was taken');
}

describe('a compressed kernel', () => {
  test('is entered at 1 MiB in flat protected mode with ESI at its parameters', () => {
    const ram = new FakeRam();
    const kernel = bzImage();
    const state = loadImage(options(kernel), ram);
    expect(state).toMatchObject({ mode: 'protected', eip: 0x100000, ebx: 0, ebp: 0, edi: 0, cr0: 0x11, eflags: 2 });
    expect(ram.bytes.subarray(0x100000, 0x101000)).toEqual(kernel.subarray(2048));
    expect(ram.u32(state.esi + 0x202)).toBe(0x53726448);
    const flat = { base: 0, limit: 0xffffffff };
    expect(state.cs).toEqual({ ...flat, selector: 0x10, flags: 0xcf9b00 });
    for (const data of [state.ds, state.es, state.ss]) {
      expect(data).toEqual({ ...flat, selector: 0x18, flags: 0xcf9300 });
    }
  });

  test('finds the selectors of its entry state in the GDT', () => {
    const ram = new FakeRam();
    const { gdt } = loadImage(options(bzImage()), ram);
    expect(gdt.limit).toBe(31);
    expect([ram.u32(gdt.base + 0x10), ram.u32(gdt.base + 0x14)]).toEqual([0x0000ffff, 0x00cf9b00]);
    expect([ram.u32(gdt.base + 0x18), ram.u32(gdt.base + 0x1c)]).toEqual([0x0000ffff, 0x00cf9300]);
  });

  test('is told its command line, the memory map, the screen and who loaded it', () => {
    const ram = new FakeRam();
    const { esi } = loadImage(options(bzImage(), { append: 'console=ttyS0 ünicode' }), ram);
    expect(ram.string(ram.u32(esi + 0x228))).toBe('console=ttyS0 ünicode');
    expect(ram.bytes[esi + 0x210]).toBe(0xff);
    expect([ram.bytes[esi + 6], ram.bytes[esi + 7], ram.bytes[esi + 14]]).toEqual([3, 80, 25]);
    expect(ram.u32(esi + 0x1e0)).toBe((MEMORY_BYTES - 0x100000) / 1024);
    const map = Array.from({ length: ram.bytes[esi + 0x1e8]! }, (_, i) => {
      const at = esi + 0x2d0 + 20 * i;
      return [ram.u32(at), ram.u32(at + 8), ram.u32(at + 16)];
    });
    expect(map).toEqual([
      [0, 0x9fc00, 1],
      [0x9fc00, 0x400, 2],
      [0xf0000, 0x10000, 2],
      [0x100000, MEMORY_BYTES - 0x100000, 1],
    ]);
  });

  test('older than 2.10 says nothing about where it unpacks itself', () => {
    const old: TestKernel = { version: 0x204, setupSectors: 0, runAddress: 0xffffffff, runBytes: 0xffffffff };
    const kernel = bzImage({ ...old, codeBytes: 512 });
    // A setup of 0 sectors means 4.
    const file = seal(Uint8Array.from([...kernel.subarray(0, 512), ...new Uint8Array(2048), ...kernel.subarray(512)]));
    file.set(kernel.subarray(0x1f1, 512), 0x1f1);
    file.set(kernel.subarray(0x200, 0x260), 0x200);
    expect(loadImage(options(file), new FakeRam()).eip).toBe(0x100000);
  });
});

describe('an initrd', () => {
  const initrd = new Uint8Array(5000).map((_, i) => i % 253);

  test('lies page-aligned at the top of RAM and is named in the parameters', () => {
    const ram = new FakeRam();
    const { esi } = loadImage(options(bzImage(), { initrd }), ram);
    const address = ram.u32(esi + 0x218);
    expect(address).toBe(MEMORY_BYTES - 8192);
    expect(ram.u32(esi + 0x21c)).toBe(5000);
    expect(ram.bytes.subarray(address, address + 5000)).toEqual(initrd);
  });

  test('does not lie above what the kernel allows', () => {
    const ram = new FakeRam();
    const { esi } = loadImage(options(bzImage({ initrdAddressMax: 0x37ffff }), { initrd }), ram);
    expect(ram.u32(esi + 0x218)).toBe(0x380000 - 8192);
  });

  test('that fits exactly above the kernel is taken, one page more is refused', () => {
    const room = MEMORY_BYTES - RUN_ADDRESS - 0x100000;
    const ram = new FakeRam();
    const { esi } = loadImage(options(bzImage(), { initrd: new Uint8Array(room) }), ram);
    expect(ram.u32(esi + 0x218)).toBe(RUN_ADDRESS + 0x100000);
    const sentence = refusal(bzImage(), { initrd: new Uint8Array(room + 1) });
    expect(sentence).toContain(`--initrd ${room + 1} bytes`);
    expect(sentence).toContain('--memory');
    expect(refusal(bzImage(), { initrd: new Uint8Array(2 * MEMORY_BYTES) })).toContain('--initrd');
  });

  test('is for Linux only, and not empty', () => {
    expect(refusal(bzImage(), { initrd: new Uint8Array(0) })).toContain('must not be empty');
    const other = elf32(0x100000, [{ physical: 0x100000, data: Uint8Array.of(0xf4) }]);
    expect(refusal(other, { initrd })).toContain('only a Linux kernel can have it');
  });
});

describe('the payload', () => {
  const CODE = Uint8Array.of(0xfa, 0xf4);
  const vmlinux = elf32(RUN_ADDRESS, [
    { virtual: 0xc0000000 + RUN_ADDRESS, physical: RUN_ADDRESS, data: CODE, memoryBytes: 0x2000 },
  ]);
  const kernel = bzImage({ payload: packed(vmlinux.length) });

  test('is placed at its own addresses and entered instead of the decompressor', () => {
    const ram = new FakeRam();
    const state = loadImage(options(kernel, { payload: vmlinux, append: 'quiet' }), ram);
    expect(state).toMatchObject({ eip: RUN_ADDRESS, cs: { selector: 0x10 } });
    expect(ram.bytes.subarray(RUN_ADDRESS, RUN_ADDRESS + 2)).toEqual(CODE);
    expect(ram.bytes[0x100000]).toBe(0);
    expect(ram.string(ram.u32(state.esi + 0x228))).toBe('quiet');
  });

  test('must be this kernel’s own, an ELF file, and for Linux', () => {
    expect(refusal(kernel, { payload: Uint8Array.from([...vmlinux, 0]) })).toContain('unpacked payload of kernel');
    expect(refusal(bzImage({ payload: packed(9) }), { payload: new Uint8Array(9) })).toContain('ELF file');
    expect(refusal(bzImage({ version: 0x207 }), { payload: vmlinux })).toContain('has none');
    const elf = elf32(0x100000, [{ physical: 0x100000, data: CODE }]);
    expect(refusal(elf, { payload: vmlinux })).toContain('--payload');
  });

  test('whose place reaches beyond the code is damage', () => {
    const damaged = bzImage({ payload: packed(1) });
    new DataView(damaged.buffer).setUint32(0x24c, 4096 - PAYLOAD_OFFSET + 1, true);
    expect(refusal(seal(damaged))).toContain('payload reaches beyond');
  });
});

describe('a kernel that cannot run here is refused', () => {
  test.each<[string, TestKernel, string]>([
    ['64-bit', { extendedLoadFlags: 1 }, 'must be a 32-bit Linux kernel'],
    ['loaded low', { loadFlags: 0 }, '(zImage)'],
    ['too old', { version: 0x201 }, 'older than 2.02'],
    ['too large for RAM', { runBytes: MEMORY_BYTES }, 'give more with --memory'],
    ['unpacked below 1 MiB', { runAddress: 0x1000 }, 'needs RAM from 0x1000'],
    ['without code', { codeBytes: 0 }, 'no protected-mode code'],
  ])('%s', (_what, kernel, sentence) => {
    expect(refusal(bzImage(kernel))).toContain(sentence);
  });

  test('with a command line that is too long or holds a zero byte', () => {
    const most = 'x'.repeat(255);
    expect(loadImage(options(bzImage(), { append: most }), new FakeRam()).eip).toBe(0x100000);
    expect(refusal(bzImage(), { append: `${most}x` })).toContain('must be at most 255 bytes for this kernel');
    expect(refusal(bzImage(), { append: 'a\0b' })).toContain('zero bytes');
  });

  test('with modules', () => {
    const modules = [{ bytes: Uint8Array.of(1), string: 'm' }];
    expect(refusal(bzImage(), { modules })).toContain('only a Multiboot kernel can have it');
  });

  test('whose last paragraph is short, as other builders leave it, is taken; a checksum would be cut', () => {
    const kernel = bzImage({ release: 'private' });
    expect(loadImage(options(kernel.subarray(0, -15)), new FakeRam()).eip).toBe(0x100000);
    expect(refusal(kernel.subarray(0, -16))).toContain('truncated');
    expect(refusal(bzImage().subarray(0, -1))).toContain('truncated');
  });

  test('truncated anywhere', () => {
    const kernel = bzImage({ codeBytes: 1024 });
    for (let length = 0x206; length < kernel.length; length += 7) {
      expect(refusal(kernel.subarray(0, length))).toMatch(/truncated|older/);
    }
  });
});

describe('the checksum', () => {
  test('tells every flipped bit behind the header', () => {
    const kernel = bzImage({ codeBytes: 64, setupSectors: 1 });
    for (let bit = 0x400 * 8; bit < kernel.length * 8; bit++) {
      const damaged = kernel.slice();
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      expect(refusal(damaged)).toContain('checksum of this Linux kernel is wrong');
    }
  });

  test('does not cover what an EFI signature changes, nor what lies behind the code', () => {
    const kernel = bzImage();
    const view = new DataView(kernel.buffer);
    view.setUint32(0x3c, 0x40, true);
    view.setUint32(0x40, 0x4550, true);
    seal(kernel);
    view.setUint32(0x40 + 24 + 64, 0x12345678, true);
    view.setUint32(0x40 + 24 + 128, kernel.length, true);
    view.setUint32(0x40 + 24 + 132, 8, true);
    const signed = Uint8Array.from([...kernel, 1, 2, 3, 4, 5, 6, 7, 8]);
    expect(loadImage(options(signed), new FakeRam()).eip).toBe(0x100000);
  });

  test('is not looked for where kernels carry none', () => {
    for (const release of ['6.16.0', '7.0.1', 'private']) {
      const kernel = bzImage({ release });
      kernel[kernel.length - 1]! ^= 1;
      expect(loadImage(options(kernel), new FakeRam()).eip).toBe(0x100000);
    }
  });
});
