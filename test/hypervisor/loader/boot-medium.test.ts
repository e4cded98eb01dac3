/**
 * Goal: a file starts the way its content says, and nothing is taken for what it is not.
 * Method: the beginnings and ends of each kind, at the edges of their sizes.
 */
import { describe, expect, test } from '@jest/globals';
import { MEDIUM_HEAD_BYTES, MEDIUM_TAIL_BYTES, recogniseMedium } from '../../../hypervisor/loader/boot-medium.js';

const NO_TAIL = new Uint8Array(MEDIUM_TAIL_BYTES);

function head(...parts: readonly (readonly [offset: number, bytes: readonly number[]])[]): Uint8Array {
  const bytes = new Uint8Array(MEDIUM_HEAD_BYTES);
  for (const [offset, part] of parts) bytes.set(part, offset);
  return bytes;
}

function tail(...bytes: readonly number[]): Uint8Array {
  const all = new Uint8Array(MEDIUM_TAIL_BYTES);
  all.set(bytes);
  return all;
}

const SIGNATURE = [510, [0x55, 0xaa]] as const;
const KIB = 1024;

describe('recogniseMedium', () => {
  test('a boot sector alone has no firmware; with anything behind it it is a disk', () => {
    expect(recogniseMedium(head(SIGNATURE).subarray(0, 512), NO_TAIL, 512)).toBe('boot-sector');
    expect(recogniseMedium(head(SIGNATURE).subarray(0, 513), NO_TAIL, 513)).toBe('disk');
    expect(recogniseMedium(head(SIGNATURE), NO_TAIL, 2 ** 35)).toBe('disk');
  });

  test('kernels are kernels even if they look like disks', () => {
    expect(recogniseMedium(head(SIGNATURE, [0x202, [...Buffer.from('HdrS')]]), NO_TAIL, 2 ** 20)).toBe('kernel');
    expect(recogniseMedium(head([0, [0x7f, 0x45, 0x4c, 0x46]]), NO_TAIL, 2 ** 16)).toBe('kernel');
  });

  test.each([0xe9, 0xea, 0xeb])(
    'a ROM of a BIOS’s size that begins with jump %i at the reset vector is a BIOS',
    (jump) => {
      for (const kib of [64, 128, 192, 256, 1024]) expect(recogniseMedium(head(), tail(jump), kib * KIB)).toBe('bios');
      for (const kib of [32, 65, 1088]) expect(recogniseMedium(head(), tail(jump), kib * KIB)).toBeNull();
    },
  );

  test('a snapshot is one by its magic', () => {
    expect(recogniseMedium(head([0, [...Buffer.from('FT86SNP\0')]]), NO_TAIL, 2 ** 20)).toBe('snapshot');
  });

  test('anything else is nothing', () => {
    expect(recogniseMedium(head(), NO_TAIL, 64 * KIB)).toBeNull();
    expect(recogniseMedium(new Uint8Array(0), new Uint8Array(0), 0)).toBeNull();
  });
});
