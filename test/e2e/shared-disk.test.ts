/**
 * Goal: with the disk behind a server of its own, a replica that stands still while the other goes live and then wakes up
 * writes nothing and powers off; the death of a replica, and of the disk server, costs no acknowledged operation.
 * Method: real processes: SIGSTOP and SIGCONT of a primary under load, kill -9 of a primary, kill -9 of the disk server and its
 * restarts under a guest that verifies what it wrote, and under one whose clients check what it acknowledged.
 */
import { expect, test } from '@jest/globals';
import { spawn, type ChildProcess } from 'node:child_process';
import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ft86, ft86Json, withScratch } from './ft86.js';
import { withNbdkit } from './nbdkit.js';

interface PairResult {
  readonly identical: boolean | null;
  readonly takeover: { readonly reason: string } | null;
  readonly client: { readonly operations: number; readonly acked: number; readonly lost: number } | null;
}

const root = join(import.meta.dirname, '../..');

/** Start `ft86 ARGS`; `output` collects what it prints, `said` waits for a text in it. */
function start(args: readonly string[]): {
  readonly child: ChildProcess;
  readonly output: () => string;
  readonly said: (pattern: RegExp) => Promise<RegExpExecArray>;
  readonly ended: Promise<number | null>;
} {
  const child = spawn(process.execPath, [join(root, 'ft86'), ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  let wake: () => void = () => undefined;
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      wake();
    });
  }
  const ended = new Promise<number | null>((resolve) => {
    child.on('close', (status) => {
      resolve(status);
      wake();
    });
  });
  const said = async (pattern: RegExp): Promise<RegExpExecArray> => {
    for (;;) {
      const match = pattern.exec(text);
      if (match !== null) return match;
      if (child.exitCode !== null) throw new Error(`ended without saying ${pattern.source}:\n${text}`);
      await new Promise<void>((resolve) => (wake = resolve));
    }
  };
  return { child, output: () => text, said, ended };
}

function makeDisk(path: string): void {
  writeFileSync(path, '');
  truncateSync(path, 1 << 20);
}

/** A disk server that is ready. */
async function serve(disk: string, socket: string): Promise<ReturnType<typeof start>> {
  const server = start(['disk-server', disk, '--listen', `unix:${socket}`]);
  await server.said(/listens at/);
  return server;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

test('a primary that stood still while the backup went live powers off; the clients lose nothing', async () => {
  const load = ['--load', 'kv:ops=2500,clients=4'];
  const run = start(['pair', 'kv', '--disk-server', ...load, '--detect-ms', '300', '--json']);
  const pid = Number((await run.said(/primary is process (\d+)/))[1]);
  await run.said(/kv: 1000 operations/);
  process.kill(pid, 'SIGSTOP');
  await run.said(/LIVE at icount/);
  await sleep(500);
  process.kill(pid, 'SIGCONT');
  await run.said(/powers off/);
  expect(await run.ended).toBe(0);
  expect(run.output()).toMatch(/another replica (won|went live in) epoch 2/);
  const result = JSON.parse(/^\{[^]*^\}$/m.exec(run.output())![0]) as PairResult;
  expect(result.takeover?.reason).toBe('silent');
  expect(result.client).toMatchObject({ acked: result.client!.operations, lost: 0, duplicated: 0 });
  expect(result.identical).not.toBe(false);
}, 60_000);

test('a primary dies: the backup goes on with the disk of the server', async () => {
  const load = ['--load', 'kv:ops=800,clients=4'];
  const result = await ft86Json<PairResult>(['pair', 'kv', '--disk-server', ...load, '--kill', 'primary@ms:700']);
  expect(result.client).toMatchObject({ acked: result.client!.operations, lost: 0, duplicated: 0 });
  expect(result.takeover).not.toBeNull();
}, 60_000);

test('a disk server that dies under a pair is waited for, and decides who is live when it is back', async () => {
  await withScratch(async (folder) => {
    const [disk, socket] = [join(folder, 'disk'), join(folder, 'sock')];
    makeDisk(disk);
    let server = await serve(disk, socket);
    try {
      const pair = start(['pair', 'disk', '--drive', `nbd+unix:///disk?socket=${socket}`, '--json']);
      await pair.said(/testing 2048/);
      await sleep(100);
      server.child.kill('SIGKILL');
      await server.ended;
      await sleep(500);
      server = await serve(disk, socket);
      expect(await pair.ended).toBe(0);
      expect(pair.output()).toMatch(/the guest’s requests wait for it/);
      expect(pair.output()).toMatch(/disk: ok, 2048 sectors written and read back 2 times/);
      expect(pair.output()).toMatch(/"identical": true/);
      expect(server.output()).toMatch(/attach 1: granted/);
    } finally {
      server.child.kill('SIGTERM');
      await server.ended;
    }
  });
}, 60_000);

test('a disk server that dies again and again, and a primary that dies meanwhile, cost no acknowledged operation', async () => {
  await withScratch(async (folder) => {
    const [disk, socket] = [join(folder, 'disk'), join(folder, 'sock')];
    makeDisk(disk);
    let server = await serve(disk, socket);
    try {
      const drive = ['--drive', `nbd+unix:///disk?socket=${socket}`];
      const pair = start(['pair', 'kv', ...drive, '--load', 'kv:ops=2000,clients=4', '--json']);
      const pid = Number((await pair.said(/primary is process (\d+)/))[1]);
      await pair.said(/kv: 10.86.0.2 ready/);
      const KILLS = 4;
      for (let kill = 1; kill <= KILLS && pair.child.exitCode === null; kill++) {
        await sleep(150 + 90 * kill);
        server.child.kill('SIGKILL');
        await server.ended;
        if (kill === KILLS / 2) process.kill(pid, 'SIGKILL');
        server = await serve(disk, socket);
      }
      expect(await pair.ended).toBe(0);
      const result = JSON.parse(/^\{[^]*^\}$/m.exec(pair.output())![0]) as PairResult;
      expect(result.client).toMatchObject({ acked: result.client!.operations, lost: 0, duplicated: 0 });
      expect(result.takeover).not.toBeNull();
      expect(result.identical).not.toBe(false);
    } finally {
      server.child.kill('SIGTERM');
      await server.ended;
    }
  });
}, 60_000);

test('a pair on a server that is another program is told that nothing fences it', async () => {
  await withScratch(async (folder) => {
    const socket = join(folder, 'sock');
    await withNbdkit(socket, ['memory', '1M'], async () => {
      const run = await ft86(['pair', 'disk', '--drive', `nbd+unix:///?socket=${socket}`, '--json']);
      expect(run.status).toBe(0);
      expect(run.stderr).toMatch(/this server cannot fence/);
      expect(JSON.parse(run.stdout)).toMatchObject({ exitCode: 0, identical: true });
    });
  });
}, 60_000);

test.each([
  [['pair', 'timer', '--disk-server'], /the guest has no drive/],
  [['pair', 'disk', '--drive', 'nbd://127.0.0.1:1/x'], /cannot|refused/],
  [['primary', 'timer', '--name', 'p', '--channel', 'tcp://127.0.0.1:0', '--arbiter', 'nbd:x'], /nbd:\/\/HOST/],
])('%s is refused in one line', async (args, message) => {
  const run = await ft86(args);
  expect(run.status).not.toBe(0);
  expect(run.stderr).toMatch(message);
  expect(run.stderr.trim().split('\n')).toHaveLength(1);
});
