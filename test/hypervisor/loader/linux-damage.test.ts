/**
 * Goal: no bytes at all, however damaged, make the Linux loader do anything but start a guest inside RAM or refuse
 * with a ConfigError.
 * Method: every single-bit flip of the header, and random words in it, with the checksum made right again; each with
 * and without initrd and payload.
 */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ConfigError } from '../../../emulator/errors.js';
import { loadImage } from '../../../hypervisor/loader/image.js';
import { elf32, FakeRam, MEMORY_BYTES } from './image-builders.js';
import { bzImage, packed, RUN_ADDRESS, seal } from './linux-builders.js';

const vmlinux = elf32(RUN_ADDRESS, [{ physical: RUN_ADDRESS, data: Uint8Array.of(0xf4), memoryBytes: 64 }]);
const kernel = bzImage({ codeBytes: 512, payload: packed(vmlinux.length) });
const ram = new FakeRam();

/** Load, and check that the outcome is one of the two allowed. */
function attempt(bytes: Uint8Array, initrd: Uint8Array | null, payload: Uint8Array | null): void {
  try {
    const more = { append: 'quiet', modules: [], name: 'x', initrd, payload };
    const state = loadImage({ bytes, memoryBytes: MEMORY_BYTES, format: 'linux', ...more }, ram);
    expect(state.eip).toBeLessThan(MEMORY_BYTES);
    expect(state.esi).toBeLessThan(0x9fc00);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
  }
  expect(ram.refused).toBe(0);
}

test('every single-bit flip of the header is survived', () => {
  for (let bit = 0x1f1 * 8; bit < 0x270 * 8; bit++) {
    const damaged = kernel.slice();
    damaged[bit >> 3]! ^= 1 << (bit & 7);
    attempt(seal(damaged), Uint8Array.of(1), (bit & 1) === 0 ? vmlinux : null);
  }
});

test('random words in the header are survived', () => {
  const word = fc.oneof(
    fc.nat(0xffffffff),
    fc.constantFrom(0, 1, 0x9fc00, 0xfffff, 0x100000, 0x3fffff, 0x400000, 0x7fffffff, 0x80000000, 0xffffffff),
  );
  const damage = fc.array(fc.record({ at: fc.integer({ min: 0x1f1, max: 0x26c }), value: word }), {
    minLength: 1,
    maxLength: 4,
  });
  fc.assert(
    fc.property(damage, fc.nat(3 * 1024 * 1024), fc.boolean(), (places, initrdBytes, direct) => {
      const damaged = kernel.slice();
      const view = new DataView(damaged.buffer);
      for (const { at, value } of places) view.setUint32(at, value, true);
      attempt(seal(damaged), initrdBytes === 0 ? null : new Uint8Array(initrdBytes), direct ? vmlinux : null);
    }),
    { numRuns: 400 },
  );
});
