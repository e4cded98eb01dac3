/**
 * Goal: kv loses no acknowledged operation and applies none twice, wherever the power is cut.
 * Method: its storage code compiled for the host on a simulated disk (kv-crash.c says how), 720 power cuts; and the
 * same with the flush before the reply taken out, which must be noticed.
 */
import { expect, test } from '@jest/globals';
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '../..');
const PARTS = ['kv-store.c', 'kv-journal.c', 'kv-format.c'];

/** Build kv-crash in `folder`, where kv's sources are. */
function build(folder: string): string {
  const here = join(ROOT, 'test/images');
  const program = join(folder, 'kv-crash');
  const sources = [join(here, 'kv-crash.c'), join(here, 'host-disk.c'), ...PARTS.map((part) => join(folder, part))];
  const includes = [`-I${folder}`, `-I${join(folder, 'runtime')}`, `-I${here}`];
  execFileSync('gcc', ['-O2', '-std=gnu11', '-Wall', '-Wextra', '-Werror', ...includes, ...sources, '-o', program]);
  return program;
}

/** A copy of the guests' sources that is removed after `use`. */
function withSources(use: (folder: string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), 'ft86-kv-'));
  try {
    cpSync(join(ROOT, 'images'), folder, { recursive: true });
    use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test('every acknowledged operation survives every power cut, once', () => {
  withSources((folder) => {
    const output = execFileSync(build(folder), ['1', '30'], { encoding: 'utf8' });
    expect(output).toMatch(/^kv-crash: ok, 30 seeds, 720 power cuts, \d+ changes\n$/);
  });
}, 60_000);

test.each([
  ['an acknowledgement before the flush', 'flight == WRITING && disk_has_cache()', 'flight == WRITING && false'],
  ['records of an older generation', 'batches[0][i].generation != generation', 'false'],
])(
  'the test notices %s',
  (_name, right, wrong) => {
    withSources((folder) => {
      const file = join(folder, 'kv-journal.c');
      const source = readFileSync(file, 'utf8');
      expect(source).toContain(right);
      writeFileSync(file, source.replace(right, wrong));
      expect(spawnSync(build(folder), ['1', '30']).status).toBe(1);
    });
  },
  60_000,
);
