/**
 * Goal: a bundle runs with the code that the build kept, and the same without it, or with code that is damaged or another bundle's.
 * Method: the built launcher in processes of its own (V8 remembers what one process has compiled), with a bundle of three lines in a
 * scratch folder, and with the built command line.
 */
import { expect, test } from '@jest/globals';
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { childEnvironment } from '../../../tools/spawn-child.js';

const built = resolve(import.meta.dirname, '../../../build/js/tools');
const launcher = join(built, 'launch/run-bundle.cjs');
const BUNDLE = `(function(require,module,bundleUrl){
const never = () => require('node:os').EOL;
module.exports = [require('node:path').basename(bundleUrl), typeof never].join(' ');
})`;

/** What node prints when it runs `script`, with the launcher as `launch`, and FILE as `file`. */
function node(script: string, file: string, flags: string[] = []): string {
  const source = `const launch = require(${JSON.stringify(launcher)}), file = ${JSON.stringify(file)};${script}`;
  return execFileSync(process.execPath, [...flags, '-e', source], { encoding: 'utf8' }).trim();
}

/** Whether V8 took the code kept of FILE. */
function isTaken(file: string, flags: string[] = []): boolean {
  return node('console.log(launch.readBundle(file).cachedDataRejected === false)', file, flags) === 'true';
}

function withBundle(run: (file: string, code: string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), 'ft86-launch-'));
  try {
    const file = join(folder, 'program.cjs');
    writeFileSync(file, BUNDLE);
    execFileSync(process.execPath, [join(built, 'launch/keep-code.cjs'), file]);
    run(file, `${file}.code`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The program does what it does, with its code or without. */
function expectRuns(file: string): void {
  expect(node('console.log(launch.runBundle(file))', file)).toBe('program.cjs function');
}

test('the code of the built command line is taken', () => {
  expect(isTaken(join(built, 'cli.cjs'))).toBe(true);
});

test('the build keeps functions that nobody has called yet', () => {
  withBundle((file, code) => {
    expect(isTaken(file)).toBe(true);
    expectRuns(file);
    // The name of a method is in the code of the function that calls it.
    expect(readFileSync(code).includes('EOL')).toBe(true);
  });
});

test('a program without code runs', () => {
  withBundle((file, code) => {
    rmSync(code);
    expect(isTaken(file)).toBe(false);
    expectRuns(file);
  });
});

test('code for other flags of V8 is not taken', () => {
  withBundle((file) => {
    expect(isTaken(file, ['--no-opt'])).toBe(false);
  });
});

test('damaged code is not taken, wherever the damage is', () => {
  withBundle((file, code) => {
    const whole = readFileSync(code);
    for (const at of [0, 4, 8, 12, 24, 32, 48, whole.length >> 1, whole.length - 1]) {
      const damaged = Buffer.from(whole);
      damaged[at]! ^= 0x10;
      writeFileSync(code, damaged);
      expect([at, isTaken(file)]).toEqual([at, false]);
    }
    for (const size of [0, 7, 8, 100, whole.length - 8]) {
      writeFileSync(code, whole.subarray(0, size));
      expect([size, isTaken(file)]).toEqual([size, false]);
    }
    expectRuns(file);
  });
});

test('code of another bundle of the same length is not taken', () => {
  withBundle((file, code) => {
    writeFileSync(file, BUNDLE.replace('typeof never', 'typeof {}   '));
    expect(readFileSync(file)).toHaveLength(BUNDLE.length);
    expect(isTaken(file)).toBe(false);
    expect(node('console.log(launch.runBundle(file))', file)).toBe('program.cjs object');
    copyFileSync(code, `${code}.old`);
    execFileSync(process.execPath, [join(built, 'launch/keep-code.cjs'), file]);
    expect(isTaken(file)).toBe(true);
    expect(readFileSync(code).equals(readFileSync(`${code}.old`))).toBe(false);
  });
});

test('the bundle of the command line has one language of messages', () => {
  const text = readFileSync(join(built, 'cli.cjs'), 'latin1');
  const languages = [...text.matchAll(/^\/\/ node_modules\/zod\/v4\/locales\/(.+)\.js$/gm)].map((match) => match[1]);
  expect(languages.filter((name) => name !== 'index')).toEqual(['en']);
});

test('keep-code without a bundle says how it is used', () => {
  const { status, stderr } = spawnSync(process.execPath, [join(built, 'launch/keep-code.cjs')], { encoding: 'utf8' });
  expect(status).not.toBe(0);
  expect(stderr).toContain('usage: node keep-code.cjs BUNDLE');
});

test('children get the certificates only where an arbiter is known by one', () => {
  const before = process.env['NODE_EXTRA_CA_CERTS'];
  process.env['NODE_EXTRA_CA_CERTS'] = '/none.pem';
  try {
    const { NODE_EXTRA_CA_CERTS: seen, ...others } = childEnvironment(['primary', 'kv']);
    expect(seen).toBeUndefined();
    expect(others['PATH']).toBe(process.env['PATH']);
    const secure = childEnvironment(['pair', '--arbiter', 'etcd:https://127.0.0.1:2379']);
    expect(secure['NODE_EXTRA_CA_CERTS']).toBe('/none.pem');
  } finally {
    if (before === undefined) delete process.env['NODE_EXTRA_CA_CERTS'];
    else process.env['NODE_EXTRA_CA_CERTS'] = before;
  }
});
