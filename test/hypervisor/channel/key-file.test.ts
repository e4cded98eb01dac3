/**
 * Goal: keys are random, private to their owner, never overwritten, and anything else is refused with a reason.
 * Method: real files in a fresh directory.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError } from '../../../emulator/errors.js';
import { KEY_BYTES, generateKey, readKey } from '../../../hypervisor/channel/key-file.js';

let directory = '';
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'ft86-key-'));
});
afterAll(() => {
  rmSync(directory, { recursive: true });
});

function file(name: string, text: string, mode: number): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

describe('key files', () => {
  test('a generated key is read back, has mode 0600 and differs from the next one', () => {
    const [a, b] = [join(directory, 'a.key'), join(directory, 'b.key')];
    generateKey(a);
    generateKey(b);
    expect(statSync(a).mode & 0o777).toBe(0o600);
    expect(readFileSync(a, 'utf8').split('\n')[0]).toBe('ft86-key-1');
    expect(readKey(a)).toHaveLength(KEY_BYTES);
    expect(readKey(a)).not.toEqual(readKey(b));
  });

  test('an existing file is never overwritten', () => {
    const path = file('precious', 'text', 0o600);
    expect(() => {
      generateKey(path);
    }).toThrow(/exists already/);
    expect(readFileSync(path, 'utf8')).toBe('text');
  });

  test.each([0o640, 0o604, 0o660, 0o644])('mode %i is refused', (mode) => {
    const path = file(`open-${mode}`, `ft86-key-1\n${'0'.repeat(64)}\n`, mode);
    expect(() => readKey(path)).toThrow(ConfigError);
    expect(() => readKey(path)).toThrow(/chmod 600/);
  });

  test.each([
    ['empty', ''],
    ['short', `ft86-key-1\n${'0'.repeat(62)}\n`],
    ['long', `ft86-key-1\n${'0'.repeat(66)}\n`],
    ['huge', 'x'.repeat(100_000)],
    ['other header', `ft86-key-2\n${'0'.repeat(64)}\n`],
    ['not hexadecimal', `ft86-key-1\n${'g'.repeat(64)}\n`],
  ])('a file that is %s is refused', (name, text) => {
    expect(() => readKey(file(`bad-${name}`, text, 0o600))).toThrow(/is not a key file/);
  });

  test('a missing file and a directory are refused', () => {
    expect(() => readKey(join(directory, 'none'))).toThrow(/no such file/);
    expect(() => readKey(directory)).toThrow(ConfigError);
    expect(() => {
      generateKey(join(directory, 'none', 'key'));
    }).toThrow(ConfigError);
  });
});
