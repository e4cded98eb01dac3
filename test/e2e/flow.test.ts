/** Goal: outputs wait for the backup and the guest does not; a slow backup is not left behind; a stopped process is a
 *  silent one, and says nothing when it wakes up; two that stop together go on together; a primary whose log has no room
 *  stands still.
 *  Method: real processes that are slowed (--throttle) or stopped (SIGSTOP) and go on (SIGCONT). */
import { describe, expect, test } from '@jest/globals';
import { join } from 'node:path';
import { askControl } from '../../tools/replica/control-server.js';
import { removeRunDirectory, runsDirectory } from '../../tools/replica/run-directory.js';
import { ft86, ft86Json, processesWith } from './ft86.js';

interface Status {
  readonly icount: number;
  readonly state: string;
  readonly underWay: { readonly bytes: number; readonly full: boolean };
}

interface PairResult {
  readonly icount: number;
  readonly identical: boolean | null;
  readonly takeover: { readonly reason: string; readonly detectMs: number } | null;
  readonly backup: { readonly lagMsP50: number | null; readonly lagMsP99: number | null };
  readonly primary: { readonly survived: boolean };
  readonly client: { readonly gapMs: number } | null;
  readonly losses: readonly unknown[];
}

/** Run a pair and stop one or both replicas for a while, some time after the guest's start. */
async function pairWithPause(
  who: 'primary' | 'backup' | 'primary|backup',
  afterMs: number,
  pauseMs: number,
  args: readonly string[],
): Promise<PairResult> {
  const name = `flow-test-${process.pid}`;
  const signal = (kind: NodeJS.Signals): void => {
    const wanted = new RegExp(`ft86 (${who}) `);
    for (const line of processesWith(`--name ${name}`)) if (wanted.test(line)) process.kill(parseInt(line, 10), kind);
  };
  let over = false;
  const watch = async (): Promise<void> => {
    while (!over && !processesWith(`--name ${name}`).some((text) => text.includes('ft86 backup '))) await sleep(50);
    await sleep(afterMs);
    signal('SIGSTOP');
    await sleep(pauseMs);
    signal('SIGCONT');
  };
  const watching = watch();
  try {
    const run = await ft86(['pair', ...args, '--name', name, '--json']);
    over = true;
    await watching;
    if (run.stdout === '') throw new Error(run.stderr);
    return JSON.parse(run.stdout) as PairResult;
  } finally {
    removeRunDirectory(join(runsDirectory(), name));
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

describe('flow', () => {
  test('a backup at half speed slows its primary, and stays within --lag-ms', async () => {
    const args = ['pair', 'bench-cpu', '--until', '1500000000', '--throttle', '0.5', '--lag-ms', '400'];
    const result = await ft86Json<PairResult>(args);
    expect(result.identical).toBe(true);
    // Half the run's length without the governor. A busy host is slow in fits, so only the median is held to the limit.
    expect(result.backup.lagMsP50).toBeLessThan(400);
    expect(result.backup.lagMsP99).toBeLessThan(1000);
  }, 60_000);

  test('while the backup is stopped no answer leaves; then all do', async () => {
    const load = ['echo', '--load', 'echo:ops=3000,clients=2,rate=500', '--detect-ms', '8000'];
    const result = await pairWithPause('backup', 2500, 2000, load);
    expect(result).toMatchObject({ identical: true, takeover: null, client: { acked: 3000, lost: 0, duplicated: 0 } });
    expect(result.losses).toEqual([]);
    expect(result.client?.gapMs).toBeGreaterThan(1500);
  }, 60_000);

  test('two that are stopped together, as with their host, go on together', async () => {
    const load = ['kv', '--load', 'kv:ops=2000,clients=2,rate=500', '--detect-ms', '400'];
    const result = await pairWithPause('primary|backup', 2000, 1500, load);
    expect(result).toMatchObject({ identical: true, takeover: null, client: { acked: 2000, lost: 0, duplicated: 0 } });
    expect(result.losses).toEqual([]);
    expect(result.client?.gapMs).toBeGreaterThan(1400);
  }, 60_000);

  test('a primary whose log has no room stands still until the backup is back', async () => {
    const name = `flow-test-${process.pid}`;
    const socket = join(runsDirectory(), name, 'primary.sock');
    const args = ['bench-timer', '--append', 'hz=10000 n=20000000', '--detect-ms', '10000', '--log-window-kib', '128'];
    const run = ft86Json<PairResult>(['pair', ...args, '--name', name]);
    try {
      const ask = async (): Promise<Status> => {
        await sleep(20);
        return askControl(socket, { command: 'status' }).then((reply) => reply as unknown as Status, ask);
      };
      for (let status = await ask(); status.icount === 0; status = await ask());
      const backup = parseInt(processesWith(`--name ${name}`).find((text) => text.includes('ft86 backup ')) ?? '', 10);
      process.kill(backup, 'SIGSTOP');
      let status = await ask();
      while (!status.underWay.full) status = await ask();
      await sleep(100);
      const { icount } = await ask();
      await sleep(1000);
      status = await ask();
      process.kill(backup, 'SIGCONT');
      expect(status).toMatchObject({ icount, state: 'paired', underWay: { full: true } });
      expect(status.underWay.bytes).toBeLessThan(256 * 1024);
      const result = await run;
      expect(result).toMatchObject({ identical: true, takeover: null, losses: [] });
      expect(result.icount).toBeGreaterThan(icount);
    } finally {
      await run.catch(() => undefined);
      removeRunDirectory(join(runsDirectory(), name));
    }
  }, 60_000);

  test('a stopped primary is a silent one; when it wakes up it says nothing and ends', async () => {
    const load = ['kv', '--load', 'kv:ops=3000,clients=2,rate=500', '--detect-ms', '400'];
    const result = await pairWithPause('primary', 2500, 2000, load);
    expect(result).toMatchObject({ takeover: { reason: 'silent' }, client: { acked: 3000, lost: 0, duplicated: 0 } });
    expect(result.takeover?.detectMs).toBeGreaterThanOrEqual(400);
    expect(result.losses).toMatchObject([{ replica: 'primary', role: 'primary' }]);
    expect(result.primary.survived).toBe(false);
  }, 60_000);
});
