/** Goal: two processes stay byte-identical, a killed replica costs the clients nothing, and no process is left behind.
 *  Method: `pair` as a process, real kill -9, the client's history checked by the product and looked at here. */
import { describe, expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { removeRunDirectory, runsDirectory } from '../../tools/replica/run-directory.js';
import { ft86, ft86Json, processesWith, startFt86, withScratch } from './ft86.js';

interface PairResult {
  readonly stop: string;
  readonly exitCode: number;
  readonly icount: number;
  readonly identical: boolean | null;
  readonly comparedIcount: number | null;
  readonly diff: { readonly registers: unknown[]; readonly pages: unknown[]; readonly devices: unknown[] };
  readonly primary: { readonly icount: number; readonly digest: string | null; readonly survived: boolean };
  readonly backup: {
    readonly icount: number;
    readonly digest: string | null;
    readonly lagMsP99: number | null;
    readonly survived: boolean;
  };
  readonly log: {
    readonly bytesPerInterrupt: number;
    readonly byKind: Record<string, { entries: number; bytes: number }>;
  };
  readonly takeover: { readonly detectMs: number; readonly totalMs: number; readonly reason: string } | null;
  readonly client: {
    readonly operations: number;
    readonly acked: number;
    readonly lost: number;
    readonly duplicated: number;
  } | null;
}

const NO_DIFF = { registers: [], pages: [], devices: [] };

describe('lockstep', () => {
  test('a guest under timer interrupts is byte-identical, for at most 10 log bytes an interrupt', async () => {
    const result = await ft86Json<PairResult>(['pair', 'timer', '--until', '500000000']);
    expect(result).toMatchObject({ stop: 'until', identical: true, icount: 500_000_000, diff: NO_DIFF });
    expect(result.primary.digest).toBe(result.backup.digest);
    expect(result.log.byKind['interrupt']?.entries).toBeGreaterThan(10);
    expect(result.log.bytesPerInterrupt).toBeLessThanOrEqual(10);
    expect(Number.isFinite(result.backup.lagMsP99)).toBe(true);
  }, 120_000);

  test('the torture guest is byte-identical', async () => {
    const result = await ft86Json<PairResult>(['pair', 'chaos']);
    expect(result).toMatchObject({ stop: 'debug-exit', exitCode: 0, identical: true, diff: NO_DIFF });
  }, 180_000);

  test('a guest that harvests accessed bits without flushing its TLB is byte-identical', async () => {
    const result = await ft86Json<PairResult>(['pair', 'abits', '--digest-ms', '20']);
    expect(result).toMatchObject({ stop: 'debug-exit', exitCode: 0, identical: true, diff: NO_DIFF });
  }, 120_000);

  test('disk requests of two replicas on one disk are byte-identical', async () => {
    const result = await ft86Json<PairResult>(['pair', 'disk']);
    expect(result).toMatchObject({ stop: 'debug-exit', exitCode: 0, identical: true, diff: NO_DIFF });
    expect(result.log.byKind['disk']?.entries).toBeGreaterThan(0);
  }, 60_000);

  test.each(['echo', 'counter', 'kv'])(
    '%s serves a client from two replicas',
    async (guest) => {
      const result = await ft86Json<PairResult>(['pair', guest, '--load', `${guest}:ops=300,clients=3`]);
      expect(result).toMatchObject({ identical: true, diff: NO_DIFF, client: { acked: 300, lost: 0, duplicated: 0 } });
    },
    60_000,
  );

  test('the icount clock gives two pairs the same digest', async () => {
    const args = ['pair', 'bench-timer', '--clock', 'icount', '--until', '100000000'];
    const first = await ft86Json<PairResult>(args);
    const second = await ft86Json<PairResult>(args);
    expect(first.identical).toBe(true);
    expect(second.primary.digest).toBe(first.primary.digest);
  }, 120_000);
});

describe('kill -9', () => {
  test.each(['kv', 'counter', 'echo'])(
    'the primary of %s dies: the client notices nothing',
    async (guest) => {
      const args = ['pair', guest, '--load', `${guest}:ops=1500,clients=4`, '--kill', 'primary@ms:700'];
      const result = await ft86Json<PairResult>(args);
      expect(result.client).toMatchObject({ lost: 0, duplicated: 0 });
      expect(result.client?.acked).toBe(result.client?.operations);
      expect(result.primary.survived).toBe(false);
      expect(result.takeover?.totalMs).toBeLessThanOrEqual((result.takeover?.detectMs ?? 0) + 500);
      expect(result.identical).not.toBe(false);
    },
    90_000,
  );

  test('the primary of counter dies with its NE2000: the client notices nothing', async () => {
    const args = ['pair', 'counter', '--net', 'model=ne2k', '--load', 'counter:ops=1500,clients=4'];
    const result = await ft86Json<PairResult>([...args, '--kill', 'primary@ms:700']);
    expect(result.client).toMatchObject({ acked: 1500, lost: 0, duplicated: 0 });
    expect(result).toMatchObject({ primary: { survived: false }, backup: { survived: true } });
  }, 90_000);

  test('at an exact instruction', async () => {
    const result = await ft86Json<PairResult>([
      'pair',
      'timer',
      '--append',
      'ticks=200',
      '--kill',
      'primary@icount:123456789',
    ]);
    expect(result).toMatchObject({ stop: 'debug-exit', exitCode: 0, primary: { survived: false } });
    expect(result.takeover).not.toBeNull();
  }, 90_000);

  test('the backup dies: the primary goes on alone', async () => {
    const args = ['pair', 'kv', '--load', 'kv:ops=1500,clients=4', '--kill', 'backup@ms:700', '--detect-ms', '200'];
    const result = await ft86Json<PairResult>(args);
    expect(result.client).toMatchObject({ lost: 0, duplicated: 0 });
    expect(result).toMatchObject({ takeover: null, backup: { survived: false }, primary: { survived: true } });
  }, 90_000);
});

describe('the run as a whole', () => {
  test('records a log that `log` and `bandwidth` read', async () => {
    await withScratch(async (folder) => {
      const log = join(folder, 'run.ftlog');
      const result = await ft86Json<PairResult>(['pair', 'timer', '--until', '100000000', '--record', log]);
      const lines = (await ft86(['log', log, '--json'])).stdout.trim().split('\n');
      const entries = lines.map((line) => JSON.parse(line) as { seq: number; kind: string; at: number });
      expect(entries.map((entry) => entry.seq)).toEqual(entries.map((_, i) => i));
      expect(entries.at(-1)).toMatchObject({ kind: 'control', at: 100_000_000 });
      const record = await ft86Json<{ byKind: PairResult['log']['byKind'] }>(['bandwidth', log]);
      expect(record.byKind['interrupt']?.entries).toBe(result.log.byKind['interrupt']?.entries);
    });
  }, 90_000);

  test('Ctrl-C ends both replicas in order and leaves nothing behind', async () => {
    const name = `ctrl-c-test-${process.pid}`;
    const pair = startFt86(['pair', 'idle', '--json', '--name', name]);
    await pair.until(() => pair.stderr().includes('has the whole state'), 60_000);
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const run = await pair.stop();
    expect(run.status).toBe(0);
    expect(JSON.parse(run.stdout)).toMatchObject({ stop: 'stopped', identical: true });
    expect(processesWith(name)).toEqual([]);
  }, 90_000);

  test('the process that starts them runs no machine, and loads none', async () => {
    const pair = startFt86(['pair', 'idle', '--json']);
    await pair.until(() => pair.stderr().includes('the guest runs'), 60_000);
    const children = /primary is process ([0-9]+), backup is process ([0-9]+)/.exec(pair.stderr())?.slice(1) ?? [];
    const loads = (pid: number | string): boolean => readFileSync(`/proc/${pid}/maps`, 'utf8').includes('/ft86.node');
    expect(children.map(loads)).toEqual([true, true]);
    expect(loads(pair.pid)).toBe(false);
    await pair.stop();
  }, 60_000);

  test('kill -9 of the parent takes the children with it', async () => {
    const name = `orphan-test-${process.pid}`;
    await ft86(['pair', 'idle', '--name', name], (pid) => {
      setTimeout(() => process.kill(pid, 'SIGKILL'), 4000);
    });
    await new Promise((resolve) => setTimeout(resolve, 1000));
    expect(processesWith(name)).toEqual([]);
    removeRunDirectory(join(runsDirectory(), name));
  }, 60_000);

  test.each([
    ['backup', '--name', 'orphan', '--channel', 'parent'],
    ['primary', '--arguments-of-parent'],
    ['switch', '--listen', 'tcp://127.0.0.1:0'],
  ])(
    'a %s whose parent is gone before it runs ends itself',
    async (...args) => {
      const child = spawn(process.execPath, [join(import.meta.dirname, '../../ft86'), ...args], {
        stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      });
      const exited = once(child, 'exit');
      child.disconnect();
      const [status, signal] = (await exited) as [number | null, string | null];
      expect(signal).toBeNull();
      expect([0, 4]).toContain(status);
    },
    60_000,
  );

  test('an unnamed run leaves no files', async () => {
    const result = await ft86Json<PairResult>(['pair', 'hello']);
    expect(result.identical).toBe(true);
    expect(existsSync(join(process.env['XDG_RUNTIME_DIR'] ?? '/nonexistent', 'ft86', 'hello'))).toBe(false);
  }, 60_000);
});
