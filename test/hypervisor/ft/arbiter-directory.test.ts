/**
 * Goal: of any number of replicas, in any number of processes, exactly one wins each epoch, for ever; what cannot be
 * known is `unreachable`, never a grant.
 * Method: real directories; two real processes that race for many epochs; every kind of damage to a record.
 */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { transformFile } from '@swc/core';
import { fork } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { ConfigError, DecodeError, InvariantError, ReplicaError } from '../../../emulator/errors.js';
import { DirectoryArbiter } from '../../../hypervisor/ft/arbiter-directory.js';

let directory: string;
let arbiter: DirectoryArbiter;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ft86-arbiter-'));
  arbiter = new DirectoryArbiter(directory, 'demo');
});
afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

describe('claims', () => {
  test('the first wins, another is denied, the same id asking again has still won', async () => {
    expect(await arbiter.newestEpoch()).toBe(0);
    expect(await arbiter.claim(1, 'a')).toBe('granted');
    expect(await arbiter.claim(1, 'b')).toBe('denied');
    expect(await arbiter.claim(1, 'a')).toBe('granted');
    expect(await arbiter.newestEpoch()).toBe(1);
  });

  test('a replica that was paused is denied its old epoch once a newer one exists', async () => {
    await arbiter.claim(9, 'a');
    await arbiter.claim(10, 'b');
    expect(await arbiter.claim(9, 'a')).toBe('denied');
    expect(await arbiter.claim(3, 'a')).toBe('denied');
    expect(await arbiter.newestEpoch()).toBe(10);
  });

  test('pairs in one directory do not see each other', async () => {
    const other = new DirectoryArbiter(directory, 'demo-2');
    expect(await arbiter.claim(1, 'a')).toBe('granted');
    expect(await other.newestEpoch()).toBe(0);
    expect(await other.claim(1, 'b')).toBe('granted');
  });

  test('leave nothing behind but the record', async () => {
    await arbiter.claim(1, 'a');
    await arbiter.claim(1, 'b');
    await arbiter.release(1, 'a');
    expect((await readdir(directory)).sort()).toEqual(['demo.epoch-1', 'demo.epoch-1.clean']);
    expect(await readFile(join(directory, 'demo.epoch-1'), 'utf8')).toBe(
      'ft86-arbiter 1\npair demo\nepoch 1\nreplica a\n',
    );
  });

  test('names that could leave the directory are refused', async () => {
    for (const name of ['', '../x', 'a/b', '.x', 'x'.repeat(65)]) {
      expect(() => new DirectoryArbiter(directory, name)).toThrow(ConfigError);
    }
    await expect(arbiter.claim(0, 'a')).rejects.toThrow(InvariantError);
    await expect(arbiter.claim(1, '../a')).rejects.toThrow(InvariantError);
  });
});

describe('orderly stops', () => {
  test('only the newest epoch’s own release makes the last stop clean', async () => {
    expect(await arbiter.lastStopWasClean()).toBe(true);
    await arbiter.claim(1, 'a');
    expect(await arbiter.lastStopWasClean()).toBe(false);
    expect(await arbiter.release(1, 'b')).toBe('denied');
    expect(await arbiter.lastStopWasClean()).toBe(false);
    expect(await arbiter.release(1, 'a')).toBe('granted');
    expect(await arbiter.release(1, 'a')).toBe('granted');
    expect(await arbiter.lastStopWasClean()).toBe(true);
    await arbiter.claim(2, 'b');
    expect(await arbiter.lastStopWasClean()).toBe(false);
  });

  test('an epoch that nobody won cannot be released', async () => {
    expect(await arbiter.release(1, 'a')).toBe('denied');
  });
});

describe('what cannot be known', () => {
  test.each(['missing', 'a file'])('with a directory that is %s every claim is unreachable', async (kind) => {
    const path = join(directory, 'gone');
    if (kind === 'a file') await writeFile(path, '');
    const gone = new DirectoryArbiter(path, 'demo');
    expect(await gone.claim(1, 'a')).toBe('unreachable');
    expect(await gone.release(1, 'a')).toBe('unreachable');
    await expect(gone.newestEpoch()).rejects.toThrow(ReplicaError);
    await expect(gone.lastStopWasClean()).rejects.toThrow(ReplicaError);
  });

  test('a record that cannot be read makes the claim unreachable', async () => {
    await mkdir(join(directory, 'demo.epoch-1'));
    expect(await arbiter.claim(1, 'a')).toBe('unreachable');
  });

  test.each([
    ['empty', ''],
    ['cut', 'ft86-arbiter 1\npair demo\nepoch 1\nrepl'],
    ['of another version', 'ft86-arbiter 2\npair demo\nepoch 1\nreplica a\n'],
    ['of another pair', 'ft86-arbiter 1\npair other\nepoch 1\nreplica a\n'],
    ['of another epoch', 'ft86-arbiter 1\npair demo\nepoch 2\nreplica a\n'],
    ['with something behind it', 'ft86-arbiter 1\npair demo\nepoch 1\nreplica a\n\n'],
    ['too long', 'x'.repeat(2000)],
  ])('a record that is %s is refused, never a grant', async (_what, text) => {
    await writeFile(join(directory, 'demo.epoch-1'), text);
    await expect(arbiter.claim(1, 'a')).rejects.toThrow(DecodeError);
    await expect(arbiter.lastStopWasClean()).rejects.toThrow(DecodeError);
  });
});

/** Translate the arbiter for a plain Node process; returns the script of a contender. */
async function buildContender(): Promise<string> {
  const root = resolve(import.meta.dirname, '../../..');
  const files = [
    'emulator/errors',
    'hypervisor/backend/host-error',
    'hypervisor/pair-names',
    'hypervisor/ft/arbiter-directory',
  ];
  for (const file of files) {
    const { code } = await transformFile(join(root, `${file}.ts`), {
      jsc: { parser: { syntax: 'typescript' }, target: 'es2022' },
      module: { type: 'es6' },
    });
    await mkdir(dirname(join(directory, 'js', file)), { recursive: true });
    await writeFile(join(directory, 'js', `${file}.js`), code);
  }
  await writeFile(join(directory, 'js', 'package.json'), '{"type":"module"}');
  const script = join(directory, 'js', 'contender.js');
  await writeFile(
    script,
    `import { DirectoryArbiter } from './hypervisor/ft/arbiter-directory.js';
     const [directory, id] = process.argv.slice(2);
     const arbiter = new DirectoryArbiter(directory, 'race');
     process.on('message', async (epoch) => process.send(await arbiter.claim(epoch, id)));
     process.send('ready');`,
  );
  return script;
}

test('of two processes that claim at the same moment exactly one wins, every time', async () => {
  const EPOCHS = 150;
  const script = await buildContender();
  const arena = join(directory, 'arena');
  await mkdir(arena);
  const contenders = ['left', 'right'].map((id) => fork(script, [arena, id], { execArgv: [] }));
  const answers = (): Promise<string[]> =>
    Promise.all(
      contenders.map((child) => new Promise<string>((answer) => child.once('message', (text: string) => answer(text)))),
    );
  try {
    await answers();
    const wins = { left: 0, right: 0 };
    for (let epoch = 1; epoch <= EPOCHS; epoch++) {
      const both = answers();
      // Whoever is asked second gets a head start in turn, so that both sides win now and then.
      const order = epoch % 2 === 0 ? contenders : [...contenders].reverse();
      for (const child of order) child.send(epoch);
      const [left, right] = await both;
      expect([left, right].sort()).toEqual(['denied', 'granted']);
      wins[left === 'granted' ? 'left' : 'right']++;
    }
    expect(wins.left + wins.right).toBe(EPOCHS);
    expect(Math.min(wins.left, wins.right)).toBeGreaterThan(0);
    expect(await new DirectoryArbiter(arena, 'race').newestEpoch()).toBe(EPOCHS);
  } finally {
    for (const child of contenders) child.kill();
  }
});
