/**
 * Goal: a key-value server whose disk and switch are on a third host keeps every promise when that network is cut: its clients
 * lose nothing, and wait no longer than the cut and a little.
 * Method: as in partitions.test.ts, with clients on the third host whose history is checked.
 */
import { expect, test } from '@jest/globals';
import { B_A, DETECT_MS, P_A, P_B, Site, type Program } from './site.js';

const LOAD = 'ops=900,clients=4,rate=300';

interface Load {
  readonly gapMs: number;
}

async function withService(use: (site: Site, load: Program) => Promise<void>): Promise<void> {
  const site = await Site.start({ service: true });
  try {
    const load = site.load(LOAD);
    await sleep(1000);
    expect(load.ended).toBe(false);
    await use(site, load);
  } finally {
    site.close();
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** The clients got everything they asked for. @returns what they saw */
async function served(load: Program): Promise<Load> {
  expect([await load.ends(20_000), load.output]).toEqual([0, expect.stringMatching(/^\{/)]);
  const result = JSON.parse(load.output) as Load;
  expect(result).toMatchObject({ acked: 900, lost: 0, duplicated: 0, completed: true });
  return result;
}

test(
  'the primary alone is cut off: the backup serves on, and the primary gives way when it is back',
  () =>
    withService(async (site, load) => {
      await site.cut(...P_B, ...P_A);
      await site.backup.says(/LIVE at icount/);
      await site.primary.says(/the arbiter cannot be reached: waiting/);
      expect((await served(load)).gapMs).toBeLessThan(DETECT_MS + 3000);
      await site.fabric.heal();
      expect(await site.primary.ends()).toBe(4);
      expect(site.primary.output).toMatch(/another replica (won|went live in) epoch 2/);
    }),
  60_000,
);

test(
  'the primary’s way to disk and switch is cut for a while: it waits, says so, and goes on as a pair',
  () =>
    withService(async (site, load) => {
      await site.cut(...P_A);
      // Whether a request of the guest's disk was under way is chance; the switch is asked all the time.
      await site.primary.says(/no answer for 3 s; the guest’s requests wait for it|the switch is silent; reconnecting/);
      await site.fabric.heal();
      await site.primary.says(/connected again/, 5000);
      expect((await served(load)).gapMs).toBeLessThan(12_000);
      for (const { output, ended } of [site.primary, site.backup]) {
        expect(output).not.toMatch(/lost its backup|is gone|arbiter/);
        expect(ended).toBe(false);
      }
    }),
  60_000,
);

test(
  'all are cut off from each other: nobody serves; healed, one does',
  () =>
    withService(async (site, load) => {
      await site.cut(...P_B, ...P_A, ...B_A);
      await site.backup.says(/the arbiter cannot be reached: waiting/);
      await site.primary.says(/the arbiter cannot be reached: waiting/);
      await site.fabric.heal();
      await served(load);
      await Promise.any([site.primary.ends(), site.backup.ends()]);
      expect([site.primary, site.backup].filter(({ ended }) => ended)).toHaveLength(1);
    }),
  60_000,
);

test(
  'a switch that is away when the backup takes over is waited for',
  () =>
    withService(async (site, load) => {
      site.switch.child.kill('SIGKILL');
      site.primary.child.kill('SIGKILL');
      await site.backup.says(/the guest’s network waits for it/);
      await site.backup.says(/LIVE at icount/);
      await site.startSwitch();
      await served(load);
    }),
  60_000,
);
