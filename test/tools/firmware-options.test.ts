/**
 * Goal: firmware gets the files that the user names, under the names it looks for, and mistakes are told by option.
 * Method: files in a scratch folder; defaults; every refusal.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError } from '../../emulator/errors.js';
import { planFiles, readBios } from '../../tools/replica/firmware-options.js';
import { parseNet } from '../../tools/replica/net-options.js';

let folder = '';
/** A BIOS without a VGA BIOS beside it. */
const BIOS = '/nonexistent/bios.bin';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ft86-firmware-'));
  writeFileSync(join(folder, 'card.rom'), 'ROM');
  writeFileSync(join(folder, 'empty'), '');
  writeFileSync(join(folder, 'bios.bin'), Buffer.alloc(128 * 1024));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

function named(files: ReturnType<typeof planFiles>): Record<string, string> {
  return Object.fromEntries(files.map(({ name, data }) => [name, Buffer.from(data).toString('latin1')]));
}

describe('planFiles', () => {
  test('the serial console, no boot menu and the timer’s pin are what SeaBIOS gets by default', () => {
    expect(named(planFiles([], [], [], BIOS))).toEqual({
      'etc/sercon-port': '\xf8\x03\0\0\0\0\0\0',
      'etc/show-boot-menu': '\0\0\0\0\0\0\0\0',
      'etc/irq0-override': '\x01\0\0\0\0\0\0\0',
    });
  });

  test('a file of the same name replaces a default', () => {
    expect(named(planFiles(['name=etc/sercon-port,string=x'], [], [], BIOS))['etc/sercon-port']).toBe('x');
  });

  test('ROMs come under the names of option ROMs and of the card', () => {
    const rom = join(folder, 'card.rom');
    const nics = [parseNet(`model=ne2k,romfile=${rom}`, 0), parseNet('model=virtio', 1)];
    const files = named(planFiles([`name=pci1af4,1000.rom,file=${rom}`], [rom], nics, BIOS));
    expect(files).toMatchObject({ 'genroms/card.rom': 'ROM', 'pci10ec,8029.rom': 'ROM', 'pci1af4,1000.rom': 'ROM' });
  });

  test.each([
    ['etc/x', 'must be name=NAME,file=PATH or name=NAME,string=TEXT'],
    ['name=a,string=', 'must not be empty'],
    ['name=a,file=/nonexistent/rom', 'cannot be read (ENOENT)'],
    [`name=${'n'.repeat(56)},string=x`, 'must be 1 to 55 printable characters'],
  ])('refuses --fw-cfg %s', (text, reason) => {
    expect(() => planFiles([text], [], [], BIOS)).toThrow(ConfigError);
    expect(() => planFiles([text], [], [], BIOS)).toThrow(reason);
  });

  test('refuses a name given twice', () => {
    expect(() => planFiles(['name=a,string=1', 'name=a,string=2'], [], [], BIOS)).toThrow('--fw-cfg a: is there twice');
  });
});

test('a BIOS has 64 KiB to 1 MiB', () => {
  expect(readBios(join(folder, 'bios.bin'))).toHaveLength(128 * 1024);
  for (const name of ['empty', 'card.rom'])
    expect(() => readBios(join(folder, name))).toThrow(/--bios .*64 KiB to 1 MiB/);
});
