/**
 * Goal: a pair's first replicas start before their command lines are known, and become what they are told.
 * Method: real processes of the command line: started early and told, and never told because nobody needs them.
 */
import { afterAll, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Child } from '../../../tools/pair/child.js';
import { adoptEarly, startEarly, takeEarly } from '../../../tools/pair/early-replicas.js';
import { whileAlive } from '../../../tools/pair/while-alive.js';
import { ft86, processesWith } from '../../e2e/ft86.js';

const PROGRAM = join(import.meta.dirname, '../../../ft86');
const EARLY = '--arguments-of-parent';
const folder = mkdtempSync(join(tmpdir(), 'ft86-test-'));
const PRIMARY = [
  ...['primary', 'timer', '--channel', 'tcp://127.0.0.1:0', '--wait-backup', '--serial', 'none'],
  ...['--name', 'early', '--run-directory', folder, '--arbiter', `file:${folder}`, '--force'],
];

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

test('a replica is the process that waits for its command line; the next one is a new process', async () => {
  adoptEarly(startEarly(PROGRAM, ['pair', 'timer', '--name', 'early']));
  takeEarly(['backup'])?.kill();
  const child = new Child('primary', PRIMARY);
  try {
    const { channel } = await whileAlive(child.next('listening'), 20_000, child);
    expect(channel).toMatch(/^tcp:/);
    const [line = ''] = processesWith(`ft86 primary ${EARLY} pair timer --name early`);
    expect(parseInt(line, 10)).toBe(child.pid);
  } finally {
    child.kill();
    await child.exited;
  }
  expect(takeEarly(PRIMARY)).toBeNull();
}, 60_000);

test('a message right behind the command line is not lost', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const dialled = once(server, 'connection') as Promise<[Socket]>;
  adoptEarly(startEarly(PROGRAM, ['pair', 'timer', '--name', 'early']));
  takeEarly(['primary'])?.kill();
  const where = ['--name', 'early', '--run-directory', folder, '--arbiter', `file:${folder}`];
  const child = new Child('backup', ['backup', ...where, '--channel', 'parent']);
  child.send({ type: 'channel', channel: `tcp://127.0.0.1:${(server.address() as AddressInfo).port}` });
  try {
    const [socket] = await whileAlive(dialled, 20_000, child);
    socket.destroy();
  } finally {
    child.kill();
    await child.exited;
    server.close();
  }
}, 60_000);

test.each([[['boot', 'timer']], [['pair', 'timer', '--help']], [['--help']], [[]]])('%j needs none', (words) => {
  adoptEarly(startEarly(PROGRAM, words));
  expect(takeEarly(['primary'])).toBeNull();
  expect(takeEarly(['backup'])).toBeNull();
});

test('a pair that does not come about leaves none, and says its own line only', async () => {
  const name = `early-test-${process.pid}`;
  const { status, stdout, stderr } = await ft86(['pair', 'no-such-guest', '--name', name]);
  expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
  expect(stderr).toMatch(/^ft86: IMAGE no-such-guest: .*\n$/);
  for (let tries = 0; tries < 50 && processesWith(name).length > 0; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  expect(processesWith(name)).toEqual([]);
}, 60_000);

test('a person cannot start one', async () => {
  const { status, stderr } = await ft86(['backup', EARLY]);
  expect(status).toBe(2);
  expect(stderr).toBe(`ft86: ${EARLY} is for the replicas that a pair starts\n`);
}, 30_000);
