/**
 * Goal: who waits for a replica to come up hears at once what the user did wrong, that a replica ended, or that it takes too long.
 * Method: real processes of the command line, and ones that say nothing.
 */
import { afterAll, describe, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ReplicaError } from '../../../emulator/errors.js';
import { Child } from '../../../tools/pair/child.js';
import { whileAlive } from '../../../tools/pair/while-alive.js';
import { UsageError } from '../../../tools/usage-error.js';

const folder = mkdtempSync(join(tmpdir(), 'ft86-test-'));
const PRIMARY = [
  ...['primary', '--channel', 'tcp://127.0.0.1:0', '--wait-backup', '--serial', 'none'],
  ...['--name', 'while-alive', '--run-directory', folder, '--arbiter', `file:${folder}`, '--force'],
];
const WAIT_MS = 20_000;

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe('waiting for a primary', () => {
  test('gives its message', async () => {
    const child = new Child('primary', [...PRIMARY, 'timer']);
    try {
      const { channel } = await whileAlive(child.next('listening'), WAIT_MS, child);
      expect(channel).toMatch(/^tcp:\/\/127\.0\.0\.1:\d+$/);
    } finally {
      child.kill();
      await child.exited;
    }
  });

  test('tells what it refused, as it would have itself', async () => {
    const child = new Child('primary', [...PRIMARY, 'timer', '--initrd', import.meta.filename]);
    const waiting = whileAlive(child.next('listening'), WAIT_MS, child);
    await expect(waiting).rejects.toThrow(UsageError);
    expect(child.refusal).toMatch(/^--initrd \d+ bytes: only a Linux kernel can have it/);
    expect(await child.exited).toEqual({ code: 2, signal: null });
  });

  test('ends when it ends, and when the time is over', async () => {
    const dead = new Child('primary', [...PRIMARY, 'timer']);
    dead.kill();
    await expect(whileAlive(dead.next('listening'), WAIT_MS, dead)).rejects.toThrow(
      new ReplicaError('the primary ended before the guest ran (SIGKILL)'),
    );
    const late = new Child('primary', [...PRIMARY, 'timer']);
    await expect(whileAlive(late.next('started'), 50, late)).rejects.toThrow(/did not come up within 0.05 s/);
    late.kill();
    await late.exited;
  });
});
