/** Goal: a log names the machine it belongs to, and another machine's log is refused by the field's name.
 *  Method: round trip, golden bytes, every truncation and bit flip, hostile JSON, one changed field at a time. */
import { describe, expect, test } from '@jest/globals';
import { crc32 } from 'node:zlib';
import { ConfigError, DecodeError, InvariantError } from '../../../emulator/errors.js';
import type { LogHeader } from '../../../hypervisor/log/header.js';
import {
  HEADER_JSON_BYTES_MAX,
  compareHeaders,
  decodeHeader,
  encodeHeader,
  headerBytes,
  requireSameMachine,
} from '../../../hypervisor/log/header.js';

const SAMPLE_HEADER: LogHeader = {
  ft86Version: '0.1.0',
  engine: 'unicorn',
  engineVersion: '2.1.4',
  arch: 'x64',
  image: 'timer',
  imageSha256: 'ab'.repeat(32),
  machine: { memoryBytes: 67_108_864, append: '', devices: ['pit', { name: 'nic', mac: null }], net: true },
  firstSeq: 0,
  firstIcount: 0,
};

/** Magic, version 2, correct length and CRC around any JSON text. */
function sealed(json: string | Uint8Array): Uint8Array {
  const text = Buffer.from(json as string);
  const bytes = Buffer.concat([Buffer.from('FT86LOG\0'), Buffer.alloc(12), text]);
  bytes.writeUInt32LE(2, 8);
  bytes.writeUInt32LE(text.length, 12);
  bytes.writeUInt32LE(crc32(text, crc32(bytes.subarray(0, 16))), 16);
  return new Uint8Array(bytes);
}

describe('format', () => {
  test('gives back what was written', () => {
    const bytes = encodeHeader(SAMPLE_HEADER);
    expect(decodeHeader(bytes)).toEqual(SAMPLE_HEADER);
    expect(headerBytes(bytes.subarray(0, 20))).toBe(bytes.length);
  });

  test('starts with the magic, the version and the length as ever', () => {
    const bytes = encodeHeader(SAMPLE_HEADER);
    expect(Buffer.from(bytes.subarray(0, 12)).toString('latin1')).toBe('FT86LOG\0\x02\0\0\0');
    expect(bytes).toEqual(sealed(JSON.stringify(SAMPLE_HEADER)));
  });

  test('is refused at every truncation and every single-bit flip', () => {
    const bytes = encodeHeader(SAMPLE_HEADER);
    for (let length = 0; length < bytes.length; length++) {
      expect(() => decodeHeader(bytes.subarray(0, length))).toThrow(DecodeError);
    }
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const damaged = bytes.slice();
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      expect(() => decodeHeader(damaged)).toThrow(DecodeError);
    }
    expect(() => decodeHeader(Uint8Array.of(...bytes, 0))).toThrow(DecodeError);
  });

  test('another version is refused by number', () => {
    const bytes = encodeHeader(SAMPLE_HEADER);
    for (const version of [1, 7]) {
      bytes[8] = version;
      expect(() => decodeHeader(bytes)).toThrow(`log format version ${version}; this ft86 reads version 2`);
    }
  });

  test.each([
    ['no JSON', '{'],
    ['no object', '[]'],
    ['no UTF-8', Uint8Array.of(0x22, 0xff, 0x22)],
    ['a missing field', JSON.stringify({ ...SAMPLE_HEADER, engine: undefined })],
    ['an unknown field', JSON.stringify({ ...SAMPLE_HEADER, more: 1 })],
    ['a negative icount', JSON.stringify({ ...SAMPLE_HEADER, firstIcount: -1 })],
    ['a hash of another length', JSON.stringify({ ...SAMPLE_HEADER, imageSha256: 'ab' })],
    ['a bottomless nesting', '['.repeat(30_000) + ']'.repeat(30_000)],
    ['a text above the limit', ' '.repeat(HEADER_JSON_BYTES_MAX + 1)],
  ])('refuses %s', (_what, json) => {
    expect(() => decodeHeader(sealed(json))).toThrow(DecodeError);
  });

  test('refuses to write a header without its fields', () => {
    expect(() => encodeHeader({ ...SAMPLE_HEADER, imageSha256: 'x' })).toThrow(InvariantError);
  });
});

describe('comparison', () => {
  test('names the field and both values, inside the machine by dotted path', () => {
    const changed: LogHeader = {
      ...SAMPLE_HEADER,
      engineVersion: '2.1.5',
      machine: { ...SAMPLE_HEADER.machine, memoryBytes: 1, devices: ['pit', { name: 'ide', mac: null }], extra: 'x' },
    };
    expect(compareHeaders(SAMPLE_HEADER, changed)).toEqual([
      { field: 'engineVersion', a: '2.1.4', b: '2.1.5' },
      { field: 'machine.memoryBytes', a: 67_108_864, b: 1 },
      { field: 'machine.devices[1].name', a: 'nic', b: 'ide' },
      { field: 'machine.extra', a: null, b: 'x' },
    ]);
    expect(() => requireSameMachine(changed, SAMPLE_HEADER)).toThrow(ConfigError);
    expect(() => requireSameMachine(changed, SAMPLE_HEADER)).toThrow(/^engineVersion "2.1.4": .*"2.1.5"/);
  });

  test('the name of the image and where the log begins do not matter', () => {
    const other = { ...SAMPLE_HEADER, image: './timer.elf', firstSeq: 9, firstIcount: 1000 };
    expect(compareHeaders(SAMPLE_HEADER, other)).toEqual([]);
    expect(() => requireSameMachine(SAMPLE_HEADER, other)).not.toThrow();
  });
});
