/**
 * Goal: the house rules that no linter knows hold for every file of the project.
 * Method: read all source files and look.
 */
import { describe, expect, test } from '@jest/globals';
import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';

const ROOT = resolve(import.meta.dirname, '..');
const LINES_MAX = 350;
/** A test guest in assembly is one program in one file. */
const ASSEMBLY_LINES_MAX = 500;
const NOT_OURS = new Set(['node_modules', 'build', '.git', 'coverage']);
const SOURCE = /\.(ts|js|cjs|c|h|S|ld|sh|mk)$|(^|\/)(Makefile|run|ft86)$/;

/** Paths of all text files below a folder, relative to the root. */
function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (NOT_OURS.has(entry.name)) return [];
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return filesBelow(path);
    return entry.isFile() ? [relative(ROOT, path)] : [];
  });
}

const files = filesBelow(ROOT);
const sources = files.filter((path) => SOURCE.test(path));
const typescript = sources.filter((path) => path.endsWith('.ts'));
const texts = new Map(
  [...sources, ...files.filter((path) => /\.(md|json)$/.test(path) && path !== 'package-lock.json')].map((path) => [
    path,
    readFileSync(join(ROOT, path), 'utf8'),
  ]),
);

/** The lines of some files that match a pattern, as `path:line text`. */
function lines(paths: Iterable<string>, pattern: RegExp): string[] {
  return [...paths].flatMap((path) =>
    (texts.get(path) ?? '').split('\n').flatMap((line, index) => {
      return pattern.test(line) ? [`${path}:${index + 1} ${line.trim()}`] : [];
    }),
  );
}

/** A pattern in two halves, so that this file does not contain what it looks for. */
function pattern(first: string, second: string): RegExp {
  return new RegExp(first + second);
}

test('the sources are found', () => {
  expect(typescript).toContain('test/tidy.test.ts');
  expect(typescript.length).toBeGreaterThan(10);
});

describe('every file', () => {
  test(`has at most ${LINES_MAX} lines`, () => {
    const long = sources.filter((path) => {
      const limit = path.endsWith('.S') ? ASSEMBLY_LINES_MAX : LINES_MAX;
      return (texts.get(path) ?? '').split('\n').length - 1 > limit;
    });
    expect(long).toEqual([]);
  });

  test('of the root folder is one that belongs there, not what a profiler left behind', () => {
    const own = /^([A-Z]+\.md|LICENSE|Makefile|ft86|[a-z.]+\.(json|js)|package(-lock)?\.json|\..+)$/;
    expect(files.filter((path) => !path.includes('/') && !own.test(path))).toEqual([]);
  });

  test('is named in kebab-case, by what it holds', () => {
    const names = typescript.map((path) => basename(path));
    expect(names.filter((name) => !/^[a-z0-9]+(-[a-z0-9]+)*(\.test)?\.ts$/.test(name))).toEqual([]);
    expect(names.filter((name) => /^(utils?|misc|index)\.ts$/.test(name))).toEqual([]);
  });

  test('is finished: nothing is left to do, skipped or preferred', () => {
    expect(lines(sources, pattern('\\b(TO', 'DO|FIX' + 'ME|XX' + 'X|HA' + 'CK)\\b'))).toEqual([]);
    expect(lines(typescript, pattern('\\b(test|it|describe)\\.(sk', 'ip|on' + 'ly|to' + 'do)\\b'))).toEqual([]);
    expect(lines(typescript, pattern('\\b[fx](test|it|des', 'cribe)\\('))).toEqual([]);
  });

  test('knows no path of the machine it was made on', () => {
    const found = lines(texts.keys(), pattern('(^|[^A-Za-z0-9_.~$}-])/(wo', 'rk|ho' + 'me|ro' + 'ot|Us' + 'ers)/'));
    expect(found).toEqual([]);
  });

  test('ends with one newline and has no trailing blanks', () => {
    const wrong = [...texts].filter(([, text]) => text !== '' && !/[^\n]\n$/.test(text)).map(([path]) => path);
    expect(wrong).toEqual([]);
    expect(lines(sources, /[ \t]+$/)).toEqual([]);
  });
});

test('every TypeScript file opens by saying what it is', () => {
  expect(typescript.filter((path) => !/^(#!.*\n)?\/\*\*/.test(texts.get(path) ?? ''))).toEqual([]);
});

test('every test file opens with its goal and its method', () => {
  const silent = typescript
    .filter((path) => path.endsWith('.test.ts'))
    .filter((path) => !/^\/\*\*[^]*?Goal:[^]*?Method:[^]*?\*\//.test(texts.get(path) ?? ''));
  expect(silent).toEqual([]);
});

test('a test lies in the folder that mirrors its source’s', () => {
  const folders = new Set(typescript.map((path) => dirname(path)));
  const tests = typescript.filter((path) => /^test\/(emulator|devices|hypervisor)\/.*\.test\.ts$/.test(path));
  expect(tests.filter((path) => !folders.has(dirname(path).replace(/^test\//, '')))).toEqual([]);
});
