/**
 * Goal: each console byte arrives once and in order, whatever a replica sends again; a reader that goes away harms nobody.
 * Method: random splittings with repeats; real files; a stream that fails.
 */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { ConfigError, InvariantError } from '../../../emulator/errors.js';
import { openConsoleFile, openConsoleStream } from '../../../hypervisor/backend/console.js';

let directory: string;
let path: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ft86-console-'));
  path = join(directory, 'console.log');
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

/** A stream that keeps what it gets, and fails after `failAfter` writes. */
function stream(failAfter = Infinity, code = 'EPIPE'): { out: Writable; text: () => string } {
  const chunks: Buffer[] = [];
  const out = new Writable({
    write(chunk: Buffer, _encoding, done): void {
      if (chunks.length >= failAfter) {
        done(Object.assign(new Error(code), { code }));
        return;
      }
      chunks.push(Buffer.from(chunk));
      done();
    },
  });
  return { out, text: () => Buffer.concat(chunks).toString() };
}

function fail(error: Error): never {
  throw error;
}

describe('offsets', () => {
  test('bytes sent again are dropped, wherever the pieces are cut', async () => {
    const text = Buffer.from('The guest says: hello, world. All of this arrives once.\n');
    const piece = fc.tuple(fc.nat(10), fc.nat(20));
    await fc.assert(
      fc.asyncProperty(fc.array(piece), async (pieces) => {
        const { out, text: received } = stream();
        const console = openConsoleStream(out, fail);
        let next = 0;
        for (const [back, length] of [...pieces, [0, text.length] as const]) {
          const start = Math.max(0, next - back);
          console.write(start, text.subarray(start, start + length));
          next = Math.max(next, Math.min(start + length, text.length));
        }
        await console.close();
        expect(received()).toBe(text.toString());
        expect(console.released).toBe(text.length);
      }),
    );
  });

  test('a gap is lost output and is refused', () => {
    const console = openConsoleStream(stream().out, fail);
    console.write(5, Buffer.from('ab'));
    console.write(6, Buffer.from('b'));
    expect(() => {
      console.write(8, Buffer.from('d'));
    }).toThrow(InvariantError);
    expect(() => {
      console.write(-1, Buffer.from('d'));
    }).toThrow(InvariantError);
  });

  test('the caller may reuse its buffer', async () => {
    const { out, text } = stream();
    const console = openConsoleStream(out, fail);
    const buffer = Buffer.from('abc');
    out.cork();
    console.write(0, buffer);
    buffer.fill(0);
    out.uncork();
    await console.close();
    expect(text()).toBe('abc');
  });
});

describe('a file', () => {
  test('is emptied for a fresh guest and continued by a replica that goes live', async () => {
    writeFileSync(path, 'an older run, longer than the new one');
    const primary = openConsoleFile(path, true);
    primary.write(0, Buffer.from('hello, wor'));
    expect(primary.released).toBe(10);
    await primary.close();
    const backup = openConsoleFile(path, false);
    backup.write(7, Buffer.from('world\n'));
    await backup.close();
    expect(readFileSync(path, 'utf8')).toBe('hello, world\n');
  });

  test('that cannot be opened is the user’s mistake', () => {
    expect(() => openConsoleFile(join(directory, 'no', 'where'), true)).toThrow(ConfigError);
    expect(() => openConsoleFile(directory, true)).toThrow(/must be writable/);
  });

  test('may be a device without offsets', async () => {
    const console = openConsoleFile('/dev/null', true);
    console.write(0, Buffer.from('gone'));
    await console.close();
    expect(console.released).toBe(4);
  });
});

describe('a stream', () => {
  test('whose reader has gone takes the rest silently', async () => {
    const { out, text } = stream(1);
    const console = openConsoleStream(out, fail);
    for (let i = 0; i < 5; i++) {
      console.write(i, Buffer.from(String(i)));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await console.close();
    expect(text()).toBe('0');
    expect(console.released).toBe(5);
  });

  test('that fails for another reason says so once', async () => {
    const errors: string[] = [];
    const { out } = stream(0, 'ENOSPC');
    const console = openConsoleStream(out, (error) => errors.push(error.message));
    console.write(0, Buffer.from('a'));
    console.write(1, Buffer.from('b'));
    await console.close();
    await new Promise((resolve) => setImmediate(resolve));
    expect(errors).toEqual(['console: cannot write']);
  });
});
