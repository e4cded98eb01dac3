/**
 * Goal: a BIOS file of a possible size gets its copy below 1 MiB, any other is the user's mistake.
 * Method: files of every size around the allowed ones, with content that tells where each byte came from.
 */
import { describe, expect, test } from '@jest/globals';
import { ConfigError, InvariantError } from '../../../emulator/errors.js';
import { checkFirmware, placeFirmwareShadow } from '../../../hypervisor/loader/firmware.js';
import { FakeRam } from './image-builders.js';

const KIB = 1024;

/** Byte n depends on n and on which 64 KiB it is in. */
function firmware(kib: number): Uint8Array {
  return Uint8Array.from({ length: kib * KIB }, (_, index) => (index + (index >> 16)) & 0xff);
}

describe('the size of a BIOS', () => {
  test.each([64, 128, 192, 256, 960, 1024])('%d KiB are accepted', (kib) => {
    expect(() => checkFirmware(firmware(kib), 'bios.bin')).not.toThrow();
  });

  test.each([0, 1, 512, 64 * KIB - 1, 64 * KIB + 1, 96 * KIB, 256 * KIB + 1, 1088 * KIB, 2048 * KIB])(
    '%d bytes are refused by name',
    (bytes) => {
      const attempt = (): void => checkFirmware(new Uint8Array(bytes), 'some.rom');
      expect(attempt).toThrow(ConfigError);
      expect(attempt).toThrow(/--bios.*some\.rom.*64 KiB to 1 MiB.*bytes/s);
    },
  );
});

describe('the copy below 1 MiB', () => {
  test.each([
    [64, 0xf0000],
    [128, 0xe0000],
    [192, 0xe0000],
    [256, 0xe0000],
    [1024, 0xe0000],
  ])('of %d KiB begins at %d and ends at 1 MiB', (kib, start) => {
    const ram = new FakeRam();
    const bytes = firmware(kib);
    placeFirmwareShadow(bytes, ram);
    const copied = 0x100000 - start;
    expect(Buffer.from(ram.bytes.subarray(start, 0x100000)).equals(bytes.subarray(-copied))).toBe(true);
    expect(ram.bytes.subarray(0, start).every((byte) => byte === 0)).toBe(true);
    expect(ram.bytes.subarray(0x100000).every((byte) => byte === 0)).toBe(true);
    expect(ram.refused).toBe(0);
  });

  test('RAM that refuses it is our own mistake', () => {
    expect(() => placeFirmwareShadow(firmware(64), { write: () => false })).toThrow(InvariantError);
  });
});
