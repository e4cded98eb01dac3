/** Goal: pause, resume, configure and stop reach both replicas of a run through its log.
 *  Method: a pair as a process, the commands as processes of their own, status before and after. */
import { expect, test } from '@jest/globals';
import { join } from 'node:path';
import { removeRunDirectory, runsDirectory } from '../../tools/replica/run-directory.js';
import { ft86, ft86Json } from './ft86.js';

interface Replica {
  readonly paused: boolean;
  readonly live: boolean;
  readonly icount: number;
}

test('a pair is paused, goes on and is stopped from outside', async () => {
  const name = `control-test-${process.pid}`;
  const pair = ft86(['pair', 'timer', '--append', 'ticks=100000', '--name', name, '--json']);
  /** Ask until both replicas are as `wanted` says. */
  const both = async (wanted: (replica: Replica) => boolean): Promise<readonly Replica[]> => {
    for (let tries = 0; tries < 100; tries++) {
      const { replicas } = await ft86Json<{ replicas?: Replica[] }>(['status', name]).catch(() => ({ replicas: [] }));
      if (replicas?.length === 2 && replicas.every(wanted)) return replicas;
    }
    throw new Error('the replicas did not come to that');
  };
  const command = async (...args: string[]): Promise<void> => {
    const { status, stderr } = await ft86(args);
    expect({ status, stderr }).toMatchObject({ status: 0 });
  };
  try {
    await both(({ icount }) => icount > 0);
    await command('pause', name);
    const [live, backup] = await both(({ paused }) => paused);
    expect(live?.icount).toBe(backup?.icount);
    const later = await both(({ paused }) => paused);
    expect(later.map(({ icount }) => icount)).toEqual([live?.icount, backup?.icount]);
    expect(later.map((replica) => replica.live)).toEqual([true, false]);
    expect((await ft86(['configure', name, 'paused=perhaps'])).status).toBe(2);
    await command('configure', name, 'digest-ms=20');
    await command('resume', name);
    await both(({ paused, icount }) => !paused && icount > (live?.icount ?? Infinity));
  } finally {
    await command('stop', name);
    const { status, stdout } = await pair;
    removeRunDirectory(join(runsDirectory(), name));
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ stop: 'stopped', identical: true });
  }
}, 90_000);
