/**
 * Goal: NBD addresses mean what other clients take them for, and what is none is refused by name.
 * Method: examples of each form.
 */
import { expect, test } from '@jest/globals';
import { ConfigError } from '../../../emulator/errors.js';
import { isNbdUri, parseNbdUri } from '../../../hypervisor/nbd/uri.js';

test.each([
  ['nbd://127.0.0.1', 'tcp 127.0.0.1 10809', '', false],
  ['nbd://127.0.0.1/', 'tcp 127.0.0.1 10809', '', false],
  ['nbds://disks.example:7000/a%20b', 'tcp disks.example 7000', 'a b', true],
  ['nbd://[::1]:99/x', 'tcp ::1 99', 'x', false],
  ['nbd://[::1]/x', 'tcp ::1 10809', 'x', false],
  ['nbd+unix:///d?socket=/run/nbd.sock', 'unix /run/nbd.sock', 'd', false],
  ['nbds+unix:///?socket=nbd.sock', 'unix nbd.sock', '', true],
])('%s', (text, where, name, tls) => {
  const { address, ...rest } = parseNbdUri('--drive', text);
  expect(address.kind === 'tcp' ? `tcp ${address.host} ${address.port}` : `unix ${address.path}`).toBe(where);
  expect(rest).toEqual({ export: name, tls });
  expect(isNbdUri(text)).toBe(true);
});

test.each(['nbd://', 'nbd:///x', 'nbd://h:99999/x', 'nbd+unix:///x', 'nbd://h/x?socket=y', 'nbd://h/%', 'http://h/'])(
  '%s is refused',
  (text) => {
    expect(() => parseNbdUri('--drive', text)).toThrow(ConfigError);
  },
);
