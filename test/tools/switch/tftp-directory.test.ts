/**
 * Goal: the files of a directory are read, and nothing else can be, whatever a client names.
 * Method: a real directory with a file next to it, links out of it, a pipe and a folder.
 */
import { afterAll, describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError } from '../../../emulator/errors.js';
import { TftpDirectory } from '../../../tools/switch/tftp-directory.js';

const scratch = mkdtempSync(join(tmpdir(), 'ft86-tftp-'));
const root = join(scratch, 'root');
mkdirSync(join(root, 'sub'), { recursive: true });
mkdirSync(join(scratch, 'root-next'));
writeFileSync(join(scratch, 'outside'), 'secret');
writeFileSync(join(scratch, 'root-next', 'file'), 'secret');
writeFileSync(join(root, 'file'), '0123456789');
writeFileSync(join(root, 'sub', 'größe'), 'nested');
symlinkSync('../outside', join(root, 'link-out'));
symlinkSync(scratch, join(root, 'folder-out'));
symlinkSync('sub/größe', join(root, 'link-in'));
execFileSync('sh', ['-c', 'mkfifo "$0"', join(root, 'pipe')]);
afterAll(() => {
  rmSync(scratch, { recursive: true });
});

const directory = new TftpDirectory('--uplink tftp=', root);

function content(name: string): string {
  const file = directory.open(Buffer.from(name, 'utf8').toString('latin1'));
  if (typeof file === 'string') return file;
  const bytes = file.read(0, file.bytes);
  file.close();
  return Buffer.from(bytes!).toString();
}

describe('a directory served by TFTP', () => {
  test.each([
    ['file', '0123456789'],
    ['/file', '0123456789'],
    ['//./sub/größe', 'nested'],
    ['link-in', 'nested'],
  ])('has %s', (name, expected) => {
    expect(content(name)).toBe(expected);
  });

  test.each([
    ['missing', 'not-found'],
    ['file/x', 'not-found'],
    ['sub', 'refused'],
    ['', 'refused'],
    ['../outside', 'refused'],
    ['/../outside', 'refused'],
    ['sub/../../outside', 'refused'],
    ['sub/../file', 'refused'],
    ['../root-next/file', 'refused'],
    ['link-out', 'refused'],
    ['folder-out/outside', 'refused'],
    ['folder-out/root-next/file', 'refused'],
    ['pipe', 'refused'],
    ['file\0', 'refused'],
    ['..\\outside', 'not-found'],
    ['/etc/hostname', 'not-found'],
    ['x'.repeat(400), 'not-found'],
  ])('does not give "%s"', (name, expected) => {
    expect(content(name)).toBe(expected);
  });

  test('reads any part of a file, and tells when it got shorter', () => {
    writeFileSync(join(root, 'short'), '0123456789');
    const file = directory.open('short');
    if (typeof file === 'string') throw new Error(file);
    expect(Buffer.from(file.read(3, 4)!).toString()).toBe('3456');
    truncateSync(join(root, 'short'), 4);
    expect(Buffer.from(file.read(3, 4)!).toString()).toBe('3');
    file.close();
    expect(file.read(0, 1)).toBeNull();
  });

  test.each([join(scratch, 'nothing'), join(scratch, 'outside'), ''])('"%s" is refused as no directory', (path) => {
    expect(() => new TftpDirectory('--uplink tftp=', path)).toThrow(ConfigError);
  });
});
