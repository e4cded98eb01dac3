/**
 * Goal: the stack trace of an unexpected error names the places in the sources, though a bundle runs.
 * Method: a bundle and its map as a bundler writes them, in a scratch folder; traces with places that the map covers, and others.
 */
import { expect, test } from '@jest/globals';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { sourceStack } from '../../tools/source-stack.js';

/** A scratch project whose bundle's second line comes from the fourth of tools/a.ts. */
function withBundle(run: (root: string, url: string) => void): void {
  const root = mkdtempSync(join(tmpdir(), 'ft86-stack-'));
  try {
    const folder = join(root, 'build/js/chunks');
    mkdirSync(folder, { recursive: true });
    const map = { version: 3, sources: ['../../../tools/a.ts'], names: [], mappings: ';AAGA' };
    writeFileSync(join(folder, 'chunk-A.js.map'), JSON.stringify(map));
    run(root, pathToFileURL(join(folder, 'chunk-A.js')).href);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

test('places in a bundle become places in its sources', () => {
  withBundle((root, url) => {
    const stack = `Error: no\n    at f (${url}:2:1)\n    at async ${url}:2:1`;
    expect(sourceStack(stack, root)).toBe('Error: no\n    at f (tools/a.ts:4:1)\n    at async tools/a.ts:4:1');
  });
});

test('the built command line has a map', () => {
  const root = resolve(import.meta.dirname, '../..');
  const file = join(root, 'build/js/tools/cli.cjs');
  const line = readFileSync(file, 'latin1')
    .split('\n')
    .findIndex((text) => text.includes('function takeEarly('));
  expect(sourceStack(`at ${pathToFileURL(file).href}:${line + 1}:1`, root)).toMatch(
    /^at tools\/pair\/early-replicas\.ts:[0-9]+:[0-9]+$/,
  );
});

test('what no map covers stays as it is', () => {
  withBundle((root, url) => {
    const stack = `Error: at 1:2\n    at g (${url}:1:1)\n    at h (file:///nowhere/b.js:1:1)\n    at node:events:12:3`;
    expect(sourceStack(stack, root)).toBe(stack);
  });
});
