/**
 * Goal: what nothing outside waits for shares a log frame for a few ms; everything else leaves at once.
 * Method: a recorder over a host that notes its frames, told the time by hand.
 */
import { describe, expect, test } from '@jest/globals';
import { OutputGate } from '../../../hypervisor/ft/output-gate.js';
import { Recorder } from '../../../hypervisor/ft/recorder.js';
import { LogAccount } from '../../../hypervisor/log/account.js';
import type { Entry } from '../../../hypervisor/log/entry.js';
import { decodeFrame, FrameWriter } from '../../../hypervisor/log/frame.js';

const MS = 1e6;

/** A recorder that had its last frame at 0 ms, and the numbers of entries in its frames since. */
function recorder(): { readonly recorder: Recorder; readonly frames: number[] } {
  const frames: number[] = [];
  let seq = 0;
  const ignore = (): void => undefined;
  const made = new Recorder(
    {
      ...{ drives: [], submitDisk: ignore, sendPacket: ignore, console: ignore },
      frame: (bytes) => {
        const { entries } = decodeFrame(bytes, { seq });
        seq += entries.length;
        frames.push(entries.length);
      },
    },
    new FrameWriter({ firstSeq: 0, at: 0, account: new LogAccount() }),
    new OutputGate(false, ignore),
    0,
  );
  made.setLogging(true);
  made.append({ kind: 'mark', at: 0 });
  made.flush(0);
  frames.length = 0;
  return { recorder: made, frames };
}

const interrupt = (at: number): Entry => ({ kind: 'interrupt', at, vector: 32 });

describe('flushSoon', () => {
  test('lets interrupts, clock entries and marks wait for 10 ms, together', () => {
    const made = recorder();
    const quiet: Entry[] = [interrupt(1), { kind: 'clock', at: 2, skipNs: 1, rate: null }, { kind: 'mark', at: 3 }];
    expect(made.recorder.flushSoon(0)).toBeNull();
    quiet.forEach((entry, index) => {
      made.recorder.tick((index + 1) * MS);
      made.recorder.append(entry);
      expect(made.recorder.flushSoon(entry.at)).toBe(10 * MS);
    });
    made.recorder.tick(9.9 * MS);
    expect(made.recorder.flushSoon(4)).toBe(10 * MS);
    expect(made.frames).toEqual([]);
    made.recorder.tick(10 * MS);
    expect(made.recorder.flushSoon(5)).toBeNull();
    expect(made.frames).toEqual([3]);
  });

  test('lets packets that arrive wait for 5 ms, and with them what waited', () => {
    const made = recorder();
    made.recorder.tick(1 * MS);
    made.recorder.append(interrupt(1));
    expect(made.recorder.flushSoon(1)).toBe(10 * MS);
    made.recorder.append({ kind: 'packet', at: 2, nic: 0, data: Uint8Array.of(1) });
    expect(made.recorder.flushSoon(2)).toBe(5 * MS);
    made.recorder.tick(5 * MS);
    expect(made.recorder.flushSoon(3)).toBeNull();
    expect(made.frames).toEqual([2]);
    made.recorder.append(interrupt(4));
    expect(made.recorder.flushSoon(4)).toBe(15 * MS);
  });

  test('gathers what disks answer, up to 64 KiB', () => {
    const made = recorder();
    made.recorder.tick(1 * MS);
    for (let tag = 0; tag < 20; tag++) {
      made.recorder.append({ kind: 'disk', at: 1, drive: 0, tag, status: 'ok', data: new Uint8Array(4096) });
      made.recorder.flushSoon(1);
    }
    expect(made.frames).toEqual([16]);
    made.recorder.flush(1);
    expect(made.frames).toEqual([16, 4]);
  });

  test.each<[string, (to: Recorder) => void]>([
    [
      'an output',
      (to) => {
        to.packet(0, Uint8Array.of(1), 2);
      },
    ],
    [
      'a console byte',
      (to) => {
        to.consoleByte(65);
      },
    ],
    ['a typed character', (to) => to.append({ kind: 'serial', at: 2, data: Uint8Array.of(65) })],
    ['a digest', (to) => to.append({ kind: 'digest', at: 2, digest: '0'.repeat(32) })],
    ['a checkpoint', (to) => to.append({ kind: 'control', at: 2, control: { op: 'checkpoint', name: 'x' } })],
  ])('%s leaves at once, and with it what waited', (_, happens) => {
    const made = recorder();
    made.recorder.tick(1 * MS);
    made.recorder.append(interrupt(1));
    made.recorder.flushSoon(1);
    happens(made.recorder);
    made.recorder.flushSoon(2);
    expect(made.frames).toEqual([2]);
    made.recorder.append(interrupt(3));
    made.recorder.flushSoon(3);
    expect(made.frames).toEqual([2]);
  });
});
