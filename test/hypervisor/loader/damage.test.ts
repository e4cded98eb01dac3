/**
 * Goal: no bytes at all, however damaged, make the loader do anything but start a guest inside RAM or refuse with a
 * ConfigError.
 * Method: every truncation and every single-bit flip of one image of each kind; random damage and random addresses.
 */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ConfigError } from '../../../emulator/errors.js';
import { IMAGE_FORMATS, loadImage, type ImageFormat } from '../../../hypervisor/loader/image.js';
import { bootSector, elf32, FakeRam, flatMultiboot, MEMORY_BYTES, multibootHeader } from './image-builders.js';

const CODE = Uint8Array.of(0xb0, 0x2a, 0xe6, 0xf4);
const KINDS: readonly Uint8Array[] = [
  elf32(0x10000c, [
    { physical: 0x100000, data: Uint8Array.from([...multibootHeader(3), ...CODE]), memoryBytes: 0x3000 },
    { physical: 0x8000, data: CODE },
  ]),
  elf32(0xc0100000, [{ virtual: 0xc0100000, physical: 0x100000, data: CODE, memoryBytes: 0x100 }]),
  flatMultiboot(0x100000, CODE, 64),
  bootSector(CODE),
];

const ram = new FakeRam();

/** Load, and check that the outcome is one of the two allowed. */
function attempt(bytes: Uint8Array, format?: ImageFormat): void {
  try {
    const modules = [{ bytes: CODE, string: 'm' }];
    const more = format === undefined ? { append: 'a', modules } : { append: '', modules: [], format };
    const state = loadImage({ bytes, memoryBytes: MEMORY_BYTES, name: 'x', ...more }, ram);
    expect(state.eip).toBeLessThan(MEMORY_BYTES);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
  }
  expect(ram.refused).toBe(0);
}

test('every truncation is survived', () => {
  for (const image of KINDS) {
    for (let length = 0; length <= image.length; length++) attempt(image.subarray(0, length));
  }
});

test('every single-bit flip is survived', () => {
  for (const image of KINDS) {
    for (let bit = 0; bit < Math.min(image.length, 256) * 8; bit++) {
      const damaged = image.slice();
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      attempt(damaged);
    }
  }
});

test('random words in the headers are survived, in every format', () => {
  const address = fc.oneof(
    fc.nat(0xffffffff),
    fc.constantFrom(0, 0x9fc00, 0xa0000, 0xfffff, 0x100000, 0x3fffff, 0x400000, 0x7fffffff, 0x80000000, 0xffffffff),
  );
  const damage = fc.array(fc.record({ at: fc.nat(255), value: address }), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(
      fc.nat(KINDS.length - 1),
      damage,
      fc.constantFrom(undefined, ...IMAGE_FORMATS),
      (kind, places, format) => {
        const damaged = KINDS[kind]!.slice();
        const view = new DataView(damaged.buffer);
        for (const { at, value } of places) view.setUint32(at % (damaged.length - 3), value, true);
        // Keep a damaged Multiboot header valid half of the time, so that its fields are reached.
        if (view.getUint32(0, true) === 0x1badb002) {
          view.setUint32(8, -(0x1badb002 + view.getUint32(4, true)) >>> 0, true);
        }
        attempt(damaged, format);
      },
    ),
    { numRuns: 1500 },
  );
});
