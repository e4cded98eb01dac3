/**
 * Stack traces of our own mistakes, with the places in the sources instead of those in the built bundle. The map beside a bundle
 * is read when there is something to report; Node's own way (--enable-source-maps) reads all of them at each start.
 *
 * Source: Node.js, module.SourceMap.
 */
import { existsSync, readFileSync } from 'node:fs';
import { SourceMap, type SourceMapPayload } from 'node:module';
import { dirname, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** A place in a stack trace: `file:///.../cli.cjs:120:7`. */
const PLACE = /(file:\/\/[^\s():]+\.c?js):([0-9]+):([0-9]+)/g;

/** `stack` with the places that a map covers as paths below `root`. */
export function sourceStack(stack: string, root: string): string {
  const maps = new Map<string, SourceMap | null>();
  return stack.replace(PLACE, (place, url: string, line: string, column: string) => {
    const file = fileURLToPath(url);
    const map = maps.get(file) ?? mapOf(file);
    maps.set(file, map);
    const origin = map?.findOrigin(Number(line), Number(column));
    if (origin === undefined || !('fileName' in origin)) return place;
    const source = resolve(dirname(file), origin.fileName);
    return `${relative(root, source)}:${origin.lineNumber}:${origin.columnNumber}`;
  });
}

function mapOf(file: string): SourceMap | null {
  const map = `${file}.map`;
  return existsSync(map) ? new SourceMap(JSON.parse(readFileSync(map, 'utf8')) as SourceMapPayload) : null;
}
