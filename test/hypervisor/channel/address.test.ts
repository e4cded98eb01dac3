/**
 * Goal: an address is understood or refused by name, and only local ones pass without a key.
 * Method: tables of good, bad, local and foreign addresses.
 */
import { describe, expect, test } from '@jest/globals';
import { ConfigError } from '../../../emulator/errors.js';
import {
  formatAddress,
  isLocal,
  parseAddress,
  requireLocalWithoutKey,
  requireOneHost,
} from '../../../hypervisor/channel/address.js';

const parse = (text: string): ReturnType<typeof parseAddress> => parseAddress('--channel', text);

describe('addresses', () => {
  test.each([
    ['tcp://127.0.0.1:5000', { kind: 'tcp', host: '127.0.0.1', port: 5000 }],
    ['tcp://localhost:0', { kind: 'tcp', host: '127.0.0.1', port: 0 }],
    ['tcp://[::1]:65535', { kind: 'tcp', host: '::1', port: 65535 }],
    ['unix:/run/a b', { kind: 'unix', path: '/run/a b' }],
  ])('%s is understood', (text, expected) => {
    expect(parse(text)).toEqual(expected);
  });

  test.each(['', 'tcp://', 'tcp://host', 'tcp://host:65536', 'tcp://host:-1', 'tcp://[zz]:1', 'unix:', 'udp://a:1'])(
    '"%s" is refused with the option and the value',
    (text) => {
      expect(() => parse(text)).toThrow(ConfigError);
      expect(() => parse(text)).toThrow(`--channel ${text}`);
    },
  );

  test('a UNIX path longer than the host takes is refused', () => {
    expect(() => parse(`unix:/${'x'.repeat(107)}`)).toThrow(ConfigError);
  });

  test.each(['tcp://0.0.0.0:1', 'tcp://0:1', 'tcp://[::]:1', 'tcp://[0:0::0]:1', 'tcp://[::ffff:0.0.0.0]:1'])(
    '%s means every host',
    (text) => {
      expect(() => {
        requireOneHost('--listen', text);
      }).toThrow(`--listen ${text}: with --pool`);
    },
  );

  test.each(['tcp://127.0.0.1:0', 'tcp://[::1]:1', 'tcp://[2001:db8::]:1', 'tcp://one:1', 'tcp://00f:1', 'unix:/0'])(
    '%s does not',
    (text) => {
      requireOneHost('--listen', text);
    },
  );

  test('formatting is the inverse of parsing', () => {
    for (const text of ['tcp://10.0.0.1:1', 'tcp://[::1]:2', 'unix:/tmp/s'])
      expect(formatAddress(parse(text))).toBe(text);
  });

  test.each([
    ['tcp://127.0.0.1:1', true],
    ['tcp://127.9.9.9:1', true],
    ['tcp://[::1]:1', true],
    ['tcp://[0:0:0:0:0:0:0:1]:1', true],
    ['unix:/tmp/s', true],
    ['tcp://0.0.0.0:1', false],
    ['tcp://[::]:1', false],
    ['tcp://[1::1]:1', false],
    ['tcp://192.168.0.1:1', false],
    ['tcp://127.example.org:1', false],
  ])('%s is local: %s', (text, local) => {
    const address = parse(text);
    expect(isLocal(address)).toBe(local);
    const check = (): void => {
      requireLocalWithoutKey('--channel', text, address, null);
    };
    if (local) check();
    else expect(check).toThrow(/without --key/);
    requireLocalWithoutKey('--channel', text, address, new Uint8Array(32));
  });
});
