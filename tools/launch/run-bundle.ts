/**
 * Runs a bundle with the compiled code that the build has kept beside it: reading and compiling 1.6 MB of JavaScript took half of what
 * the start of a process costs.
 *
 *   cli.cjs       (function (require, module, bundleUrl) { ... })                         esbuild
 *   cli.cjs.code  CRC-32 of cli.cjs, CRC-32 of the code, V8's code of all its functions   keep-code.ts
 *
 * Invariant: without the code, or with damaged code or that of another bundle, another Node or other V8 flags, the program does the
 * same and starts later. V8 itself looks at its version, its flags and the bundle's length only, and trusts the rest.
 *
 * Source: Node.js, vm.Script, cachedData and createCachedData.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { Script } from 'node:vm';
import { crc32 } from 'node:zlib';

type Bundle = (require: NodeJS.Require, module: { exports: unknown }, bundleUrl: string) => void;

/** Two CRCs, of 4 bytes each, little-endian. */
const HEADER_SIZE = 8;

function codeFile(file: string): string {
  return `${file}.code`;
}

/** What says that `code` is whole and belongs to `source`. */
function headerOf(source: Buffer, code: Buffer): Buffer {
  const header = Buffer.alloc(HEADER_SIZE);
  header.writeUInt32LE(crc32(source), 0);
  header.writeUInt32LE(crc32(code), 4);
  return header;
}

/** The code that was kept of `source`, which is in `file`. */
function keptCode(file: string, source: Buffer): Buffer | undefined {
  if (!existsSync(codeFile(file))) return undefined;
  const kept = readFileSync(codeFile(file));
  const code = kept.subarray(HEADER_SIZE);
  return headerOf(source, code).equals(kept.subarray(0, HEADER_SIZE)) ? code : undefined;
}

/** Keep `code` of the bundle `file` beside it. */
export function keepCode(file: string, code: Buffer): void {
  writeFileSync(codeFile(file), Buffer.concat([headerOf(readFileSync(file), code), code]));
}

/** The bundle `file`, ready to run. Its stack traces name its URL, as those of modules do (source-stack.ts). */
export function readBundle(file: string): Script {
  const source = readFileSync(file);
  const cachedData = keptCode(file, source);
  // esbuild writes ASCII only: V8 keeps one byte for each character of such a string.
  return new Script(source.toString('latin1'), {
    filename: pathToFileURL(file).href,
    ...(cachedData !== undefined && { cachedData }),
  });
}

/** Run the bundle `file`. Returns what it exports. */
export function runBundle(file: string): unknown {
  const bundle = readBundle(file).runInThisContext() as Bundle;
  const module = { exports: {} };
  bundle(createRequire(file), module, pathToFileURL(file).href);
  return module.exports;
}
