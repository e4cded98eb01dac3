/**
 * Goal: only machines that can be built are described, and sizes read the way people write them.
 * Method: tables of good and bad values, edges of every limit.
 */
import { describe, expect, test } from '@jest/globals';
import { ConfigError } from '../../../emulator/errors.js';
import {
  DRIVES_MAX,
  MEMORY_BYTES_MAX,
  MEMORY_BYTES_MIN,
  NICS_MAX,
  machineConfigSchema,
  macBytes,
  parseMemory,
  parseSize,
  type MachineConfig,
} from '../../../hypervisor/machine/machine-config.js';

const MIB = 1024 ** 2;
const drive = { kind: 'virtio' as const, sectors: 2048, readonly: false };
const nic = { kind: 'virtio' as const, mac: '52:54:00:86:00:01' };
const config: MachineConfig = {
  memoryBytes: 64 * MIB,
  drives: [drive],
  nics: [nic],
  firmware: null,
  files: [],
  bootUnixSeconds: 1767225600,
  clock: 'host',
  image: 'hello',
  imageSha256: 'ab'.repeat(32),
  append: '',
};

describe('parseSize', () => {
  test.each([
    ['0', 0],
    ['4096', 4096],
    ['8192K', 8192 * 1024],
    ['8192k', 8192 * 1024],
    ['64M', 64 * MIB],
    ['64MB', 64 * MIB],
    ['64MiB', 64 * MIB],
    ['1G', 1024 * MIB],
    ['1g', 1024 * MIB],
    ['512B', 512],
  ])('reads %s', (text, bytes) => {
    expect(parseSize('--size', text)).toBe(bytes);
  });

  test.each([
    '',
    ' ',
    'M',
    '3x',
    '-1',
    '+1',
    '1.5G',
    '0x10',
    '1e6',
    '64 M',
    '64M ',
    '64iB',
    '64T',
    '1GG',
    '1234567890123',
  ])('refuses "%s"', (text) => {
    expect(() => parseSize('--size', text)).toThrow(ConfigError);
    expect(() => parseSize('--size', text)).toThrow(`--size ${text}: must be a number of bytes`);
  });
});

describe('parseMemory', () => {
  test('takes 4M to 3G, both included', () => {
    expect(parseMemory('--memory', '4M')).toBe(MEMORY_BYTES_MIN);
    expect(parseMemory('--memory', '3G')).toBe(MEMORY_BYTES_MAX);
    expect(parseMemory('--memory', String(4 * MIB + 4096))).toBe(4 * MIB + 4096);
  });

  test.each(['0', '3M', String(4 * MIB - 4096), String(MEMORY_BYTES_MAX + 4096), '4G', '999999999999G'])(
    'refuses %s, outside the range',
    (text) => {
      expect(() => parseMemory('--memory', text)).toThrow(new ConfigError('--memory', text, 'must be from 4M to 3G'));
    },
  );

  test('refuses a part of a page', () => {
    const text = String(4 * MIB + 1);
    expect(() => parseMemory('--memory', text)).toThrow('must be a multiple of 4096 bytes');
  });
});

describe('machineConfigSchema', () => {
  function accepts(changes: object): boolean {
    return machineConfigSchema.safeParse({ ...config, ...changes }).success;
  }

  test('takes a machine and gives it back unchanged', () => {
    expect(machineConfigSchema.parse(config)).toEqual(config);
    expect(accepts({ drives: [], nics: [], clock: 'icount', imageSha256: '' })).toBe(true);
  });

  test('takes what lies on a limit', () => {
    expect(accepts({ memoryBytes: MEMORY_BYTES_MIN })).toBe(true);
    expect(accepts({ memoryBytes: MEMORY_BYTES_MAX })).toBe(true);
    expect(accepts({ drives: Array(DRIVES_MAX).fill(drive) })).toBe(true);
    expect(accepts({ nics: Array(NICS_MAX).fill(nic) })).toBe(true);
    expect(accepts({ drives: [{ kind: 'ide', sectors: 1, readonly: true }] })).toBe(true);
  });

  test.each([
    ['too little memory', { memoryBytes: MEMORY_BYTES_MIN - 4096 }],
    ['too much memory', { memoryBytes: MEMORY_BYTES_MAX + 4096 }],
    ['part of a page', { memoryBytes: MEMORY_BYTES_MIN + 1 }],
    ['memory that is no number', { memoryBytes: '64M' }],
    ['a drive too many', { drives: Array(DRIVES_MAX + 1).fill(drive) }],
    ['a drive without sectors', { drives: [{ sectors: 0, readonly: false }] }],
    ['a drive with half a sector', { drives: [{ sectors: 1.5, readonly: false }] }],
    ['a drive with an unknown field', { drives: [{ ...drive, path: 'disk.img' }] }],
    ['a NIC too many', { nics: Array(NICS_MAX + 1).fill(nic) }],
    ['a short MAC', { nics: [{ mac: '52:54:00:86:00' }] }],
    ['a MAC in capitals, which would compare as another', { nics: [{ mac: '52:54:00:86:00:AB' }] }],
    ['an unknown clock', { clock: 'wall' }],
    ['an unknown field', { cpus: 2 }],
    ['a time before 1970', { bootUnixSeconds: -1 }],
  ])('refuses %s', (_, changes) => {
    expect(accepts(changes)).toBe(false);
  });

  test('every field must be there', () => {
    for (const field of Object.keys(config)) {
      expect(accepts({ [field]: undefined })).toBe(false);
    }
  });
});

test('macBytes gives the six bytes in the order they are written', () => {
  expect([...macBytes('52:54:00:86:00:ff')]).toEqual([0x52, 0x54, 0, 0x86, 0, 0xff]);
});
