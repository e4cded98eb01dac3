/**
 * Goal: a machine gets exactly the firmware and files that its configuration names.
 * Method: references that fit, and references that do not.
 */
import { expect, test } from '@jest/globals';
import { ConfigError } from '../../../emulator/errors.js';
import { BlobStore } from '../../../hypervisor/machine/blob-store.js';

const rom = Uint8Array.of(1, 2, 3);

test('what was added is found by its hash', () => {
  const store = new BlobStore();
  const reference = store.add(rom);
  expect(reference).toEqual({
    bytes: 3,
    sha256: '039058c6f2c0cb492c533b0a4d14ef77cc0f78abccced5287d84a1a2011cfb81',
  });
  expect(store.get('firmware', reference)).toBe(rom);
});

test('what nobody brought, or has another size, is a clear error', () => {
  const store = new BlobStore();
  const reference = store.add(rom);
  expect(() => new BlobStore().get('firmware', reference)).toThrow(ConfigError);
  expect(() => store.get('firmware', { ...reference, bytes: 4 })).toThrow('firmware');
});

test('a machine’s bytes are listed once each, in the order of their mention', () => {
  const store = new BlobStore();
  const [firmware, other] = [store.add(rom), store.add(Uint8Array.of(9))];
  const files = [
    { name: 'b', ...other },
    { name: 'a', ...firmware },
    { name: 'c', ...other },
  ];
  expect(store.of({ firmware, files })).toEqual([rom, Uint8Array.of(9)]);
  expect(store.of({ firmware: null, files: [] })).toEqual([]);
});
