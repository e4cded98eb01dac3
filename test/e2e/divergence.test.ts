/** Goal: a backup that differs from the log is found at the next digest: it stops, both leave what a person needs to find
 *  the cause, the primary goes on alone, and nobody can overlook it.
 *  Method: a byte of the backup's RAM is flipped at an instruction (--corrupt-at), in a page the guest does not use. */
import { describe, expect, test } from '@jest/globals';
import { join } from 'node:path';
import { removeRunDirectory, runsDirectory } from '../../tools/replica/run-directory.js';
import { ft86, ft86Json } from './ft86.js';

interface PairResult {
  readonly icount: number;
  readonly error: string;
  readonly losses: readonly unknown[];
  readonly replicas: readonly { readonly name: string; readonly icount: number }[];
}

const FLIP_AT = 50_000_000;
const FLIPPED = 0x3f0000;

describe('a backup whose RAM was damaged', () => {
  const name = `divergence-test-${process.pid}`;
  const folder = join(runsDirectory(), name);
  const run = (until: number, ...more: string[]): Promise<PairResult> => {
    const fault = ['--digest-ms', '100', '--corrupt-at', `${FLIP_AT}:0x${FLIPPED.toString(16)}`];
    return ft86Json<PairResult>(['pair', 'timer', '--until', String(until), '--name', name, ...fault, ...more], 3);
  };

  test('is found at the next digest; the primary goes on alone; the message says where and how to compare', async () => {
    try {
      const result = await run(300_000_000);
      expect(result).toMatchObject({ stop: 'until', icount: 300_000_000, identical: false });
      expect(result.losses).toMatchObject([{ replica: 'backup', role: 'backup' }]);
      const window = /parted after icount (\d+), where both were equal, and not after icount (\d+)/.exec(result.error);
      expect(Number(window?.[1])).toBeLessThan(FLIP_AT);
      expect(Number(window?.[2])).toBeGreaterThanOrEqual(FLIP_AT);
      expect(result.replicas[1]?.icount).toBe(Number(window?.[2]));
      const command = /ft86 (diff \S+ \S+)/.exec(result.error)?.[1]?.split(' ') ?? [];
      const diff = await ft86Json<{ pages: { address: number; bytes: { offset: number }[] }[] }>(command, 3);
      const page = diff.pages.find(({ address }) => address === FLIPPED);
      expect(page?.bytes).toMatchObject([{ offset: 0, a: 0, b: 0xff }]);
    } finally {
      removeRunDirectory(folder);
    }
  }, 60_000);

  test('is replaced like one that died', async () => {
    try {
      const result = await run(800_000_000, '--replace');
      expect(result).toMatchObject({ stop: 'until', icount: 800_000_000, identical: false });
      expect(result.replicas.map((replica) => replica.name)).toEqual(['primary', 'backup', 'backup-2']);
    } finally {
      removeRunDirectory(folder);
    }
  }, 60_000);

  test('ends with status 3, as a command of its own, and says so', async () => {
    const scratch = ['--run-directory', folder, '--arbiter', `file:${join(folder, 'arbiter')}`, '--name', name];
    const channel = `unix:${join(folder, 'channel.sock')}`;
    try {
      const primary = ft86([
        'primary',
        'timer',
        '--until',
        '300000000',
        '--wait-backup',
        '--channel',
        channel,
        ...scratch,
      ]);
      const backup = await ft86(['backup', '--channel', channel, ...scratch, '--corrupt-at', `${FLIP_AT}:0x3f0000`]);
      expect(backup.status).toBe(3);
      expect(backup.stderr).toContain('ft86 diff ');
      const { status, stderr } = await primary;
      expect(status).toBe(0);
      expect(stderr).toContain('the backup found a difference');
    } finally {
      removeRunDirectory(folder);
    }
  }, 60_000);
});
