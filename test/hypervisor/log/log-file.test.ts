/** Goal: a log file gives back its entries; one that is damaged is refused, one that was cut only on request accepted.
 *  Method: files in a temporary directory: written, cut at every byte, damaged at every bit. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError, DecodeError, InvariantError } from '../../../emulator/errors.js';
import { FrameWriter } from '../../../hypervisor/log/frame.js';
import type { LogHeader } from '../../../hypervisor/log/header.js';
import type { NumberedEntry } from '../../../hypervisor/log/log-file.js';
import { LogFileReader, LogFileWriter } from '../../../hypervisor/log/log-file.js';
import { SAMPLE_ENTRIES } from './arbitrary-entries.js';

const HEADER: LogHeader = {
  ft86Version: '0.1.0',
  engine: 'unicorn',
  engineVersion: '2.1.4',
  arch: 'x64',
  image: 'timer',
  imageSha256: '00'.repeat(32),
  machine: {},
  firstSeq: 40,
  firstIcount: 0,
};
const END_MARK_BYTES = 8;

let directory: string;
let path: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'ft86-log-'));
  path = join(directory, 'run.log');
});
afterAll(() => {
  rmSync(directory, { recursive: true });
});

/** Write the sample entries in frames of `perFrame`; return where each frame ends in the file. */
function record(perFrame: number, close = true): number[] {
  const file = new LogFileWriter(path, HEADER);
  const frames = new FrameWriter({ firstSeq: HEADER.firstSeq });
  const ends = [file.bytes];
  SAMPLE_ENTRIES.forEach((entry, index) => {
    frames.append(entry);
    if ((index + 1) % perFrame !== 0 && index + 1 < SAMPLE_ENTRIES.length) return;
    file.append(frames.flush()!);
    ends.push(file.bytes);
  });
  if (close) file.close();
  else file.abandon();
  return ends;
}

function replay(tolerant = false): { entries: NumberedEntry[]; end: LogFileReader['end'] } {
  const reader = new LogFileReader(path, { tolerant });
  try {
    return { entries: [...reader.entries()], end: reader.end };
  } finally {
    reader.close();
  }
}

describe('a whole log', () => {
  test.each([1, 4, 100])('gives back header, entries and seqs with %i entries a frame', (perFrame) => {
    record(perFrame);
    const reader = new LogFileReader(path);
    expect(reader.header).toEqual(HEADER);
    expect(reader.end).toBeNull();
    reader.close();
    const { entries, end } = replay();
    expect(entries).toEqual(SAMPLE_ENTRIES.map((entry, index) => ({ seq: 40 + index, entry })));
    expect(end).toEqual({ complete: true, discardedBytes: 0 });
  });

  test('may be empty', () => {
    new LogFileWriter(path, HEADER).close();
    expect(replay()).toEqual({ entries: [], end: { complete: true, discardedBytes: 0 } });
  });

  test('may have frames larger than the read buffer', () => {
    const file = new LogFileWriter(path, HEADER);
    const frames = new FrameWriter({ firstSeq: 40 });
    for (const fill of [1, 2, 3]) {
      frames.append({ kind: 'mark', at: fill });
      file.append(frames.flush()!);
      const data = new Uint8Array(700_000).fill(fill);
      frames.append({ kind: 'disk', at: fill, drive: 0, tag: fill, status: 'ok', data });
      file.append(frames.flush()!);
    }
    file.close();
    const data = replay().entries.map(({ entry }) => (entry.kind === 'disk' ? [entry.data.length, entry.data[9]] : 0));
    expect(data).toEqual([0, [700_000, 1], 0, [700_000, 2], 0, [700_000, 3]]);
  });
});

describe('a log whose recording did not end in order', () => {
  test('is refused, unless the reader is tolerant', () => {
    record(5, false);
    expect(() => replay()).toThrow(/no end mark/);
    const { entries, end } = replay(true);
    expect(entries).toHaveLength(SAMPLE_ENTRIES.length);
    expect(end).toEqual({ complete: false, discardedBytes: 0 });
  });

  test('cut at any byte, gives a tolerant reader its whole frames and the number of bytes left out', () => {
    const ends = record(5);
    const whole = readFileSync(path);
    for (let length = whole.length - 1; length >= 0; length--) {
      writeFileSync(path, whole.subarray(0, length));
      expect(() => replay()).toThrow(DecodeError);
      if (length < ends[0]!) {
        expect(() => replay(true)).toThrow(DecodeError);
        continue;
      }
      const { entries, end } = replay(true);
      const frames = ends.filter((offset) => offset <= length).length - 1;
      expect(entries).toHaveLength(Math.min(frames * 5, SAMPLE_ENTRIES.length));
      expect(end).toEqual({ complete: false, discardedBytes: length - ends[frames]! });
    }
  });
});

describe('a damaged log', () => {
  test('is refused at every bit flip, and never gives other entries to a tolerant reader', () => {
    record(5);
    const whole = readFileSync(path);
    const expected = replay().entries;
    for (let bit = 0; bit < whole.length * 8; bit += 3) {
      const damaged = Buffer.from(whole);
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      writeFileSync(path, damaged);
      expect(() => replay()).toThrow(DecodeError);
      let got: NumberedEntry[] = [];
      try {
        got = replay(true).entries;
      } catch (error) {
        expect(error).toBeInstanceOf(DecodeError);
      }
      expect(got).toEqual(expected.slice(0, got.length));
    }
  });

  test('with bytes after the end mark, a frame missing or two exchanged is refused', () => {
    const [first, second, third] = record(5) as [number, number, number];
    const whole = readFileSync(path);
    const head = whole.subarray(0, first);
    const frames = [whole.subarray(first, second), whole.subarray(second, third)] as const;
    const end = whole.subarray(whole.length - END_MARK_BYTES);
    for (const parts of [
      [whole, Buffer.of(0)],
      [head, frames[1], end],
      [head, frames[1], frames[0], end],
      [head, frames[0], frames[0], end],
    ]) {
      writeFileSync(path, Buffer.concat(parts));
      expect(() => replay(true)).toThrow(DecodeError);
    }
  });

  test('names the offset in the file', () => {
    const ends = record(5);
    const damaged = readFileSync(path);
    damaged[ends[2]! - 1]! ^= 1;
    writeFileSync(path, damaged);
    expect(() => replay()).toThrow(expect.objectContaining({ code: 'bad-crc', offset: ends[1]! + 8 }));
  });
});

describe('paths', () => {
  test('a missing log, a directory and a foreign file are refused in one line', () => {
    expect(() => new LogFileReader(join(directory, 'none'))).toThrow(ConfigError);
    expect(() => new LogFileReader(directory)).toThrow(ConfigError);
    expect(() => new LogFileWriter(join(directory, 'none', 'x.log'), HEADER)).toThrow(ConfigError);
    writeFileSync(path, 'hello, this is not a log at all');
    expect(() => new LogFileReader(path)).toThrow(/not an ft86 log/);
  });

  test('recording over a file that is not a log is refused and leaves it as it was', () => {
    writeFileSync(path, 'a disk image');
    expect(() => new LogFileWriter(path, HEADER)).toThrow(ConfigError);
    expect(readFileSync(path, 'utf8')).toBe('a disk image');
    rmSync(path);
    record(5);
    record(5);
    expect(replay().entries).toHaveLength(SAMPLE_ENTRIES.length);
  });

  test('a closed log takes no more frames', () => {
    const file = new LogFileWriter(path, HEADER);
    file.close();
    file.close();
    expect(() => file.append(new Uint8Array(9))).toThrow(InvariantError);
  });
});
