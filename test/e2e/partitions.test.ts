/**
 * Goal: whatever becomes of the network between primary, backup and arbiter, never two are live; the service goes on wherever
 * a side can reach the arbiter; a side that cannot waits, says so, and gives way when it hears who won.
 * Method: real processes with a key file in network namespaces of their own, cables cut silently in one or both directions and
 * healed; what is live is what writes to its console, and both consoles together must be one run of the guest.
 */
import { describe, expect, test } from '@jest/globals';
import { B_A, DETECT_MS, P_A, P_B, Site, type ReplicaName, type SiteOptions } from './site.js';

/** Longer than a cut and what follows it take on a busy machine. */
const DETECT_LONG_MS = 2500;

async function withSite(use: (site: Site) => Promise<void>, options: SiteOptions = {}): Promise<void> {
  const site = await Site.start(options);
  try {
    await use(site);
  } finally {
    site.close();
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function other(name: ReplicaName): ReplicaName {
  return name === 'primary' ? 'backup' : 'primary';
}

/** Wait until one of the two has won. */
async function winner(site: Site): Promise<ReplicaName> {
  const won = (name: ReplicaName, pattern: RegExp): Promise<ReplicaName> =>
    site
      .replica(name)
      .says(pattern, 30_000)
      .then(() => name);
  const both = [won('primary', /won the test-and-set, live alone in epoch 2/), won('backup', /LIVE at icount/)];
  return Promise.any(both);
}

/** The one that did not win powers off and says why, and has shown nothing since the other is live. */
async function givesWay(site: Site, loser: ReplicaName, shown: number): Promise<void> {
  expect(await site.replica(loser).ends()).toBe(4);
  expect(site.replica(loser).output).toMatch(
    /another replica (won|went live in) epoch 2; this (one|backup) powers off/,
  );
  expect(site.shown(loser)).toBe(shown);
}

/** One of the two goes on, the other powers off. */
async function oneGoesOn(site: Site): Promise<ReplicaName> {
  const live = await winner(site);
  const shown = site.shown(other(live));
  await site.goesOn(live);
  await givesWay(site, other(live), shown);
  expect(site.lastTick()).toBeGreaterThan(0);
  return live;
}

/** `waiting` can reach neither the other nor the arbiter. It waits; the other is live; healed, it powers off. */
async function oneWaits(site: Site, waiting: ReplicaName): Promise<void> {
  expect(await winner(site)).toBe(other(waiting));
  await site.replica(waiting).says(/the arbiter cannot be reached: waiting/);
  const shown = site.shown(waiting);
  await site.goesOn(other(waiting));
  expect(site.replica(waiting).ended).toBe(false);
  await site.fabric.heal();
  await givesWay(site, waiting, shown);
  await site.goesOn(other(waiting));
  site.lastTick();
}

describe('a network cut in both directions', () => {
  test(
    'primary-backup: one goes on, the other powers off',
    () =>
      withSite(async (site) => {
        await site.cut(...P_B);
        await oneGoesOn(site);
      }),
    60_000,
  );

  test.each([
    ['primary-arbiter', P_A],
    ['backup-arbiter', B_A],
    ['primary-arbiter and backup-arbiter', [...P_A, ...B_A]],
  ])(
    '%s: the pair does not notice, and goes on as a pair',
    (_, cuts) =>
      withSite(async (site) => {
        await site.cut(...cuts);
        await sleep(2 * DETECT_MS);
        await site.goesOn('primary');
        await site.fabric.heal();
        await site.goesOn('primary');
        for (const name of ['primary', 'backup'] as const) {
          expect(site.replica(name).output).not.toMatch(/lost its backup|is gone|arbiter/);
          expect(site.replica(name).ended).toBe(false);
        }
        expect(site.shown('backup')).toBe(0);
        site.lastTick();
      }),
    60_000,
  );

  test(
    'primary-backup and primary-arbiter: the backup goes live, the primary waits and gives way',
    () =>
      withSite(async (site) => {
        await site.cut(...P_B, ...P_A);
        await oneWaits(site, 'primary');
      }),
    60_000,
  );

  test(
    'primary-backup and backup-arbiter: the primary goes on, the backup waits and gives way',
    () =>
      withSite(async (site) => {
        await site.cut(...P_B, ...B_A);
        await oneWaits(site, 'backup');
      }),
    60_000,
  );

  test(
    'all three: both wait and show nothing; healed, one goes on and the other powers off',
    () =>
      withSite(async (site) => {
        await site.cut(...P_B, ...P_A, ...B_A);
        await Promise.all(
          (['primary', 'backup'] as const).map((name) =>
            site.replica(name).says(/the arbiter cannot be reached: waiting/),
          ),
        );
        const shown = site.shown('primary');
        await sleep(DETECT_MS);
        expect([site.shown('primary'), site.shown('backup')]).toEqual([shown, 0]);
        await site.fabric.heal();
        await oneGoesOn(site);
      }),
    60_000,
  );
});

describe('a network cut in one direction', () => {
  test.each([
    ['primary to backup', P_B[0]!],
    ['backup to primary', P_B[1]!],
  ])(
    '%s: one goes on, the other powers off',
    (_, one) =>
      withSite(async (site) => {
        await site.cut(one);
        await oneGoesOn(site);
      }),
    60_000,
  );

  test.each([
    ['arbiter to primary', P_A[1]!, 'primary'],
    ['backup to arbiter', B_A[0]!, 'backup'],
  ] as const)(
    'primary-backup, and %s: who cannot ask waits and gives way',
    (_, one, waiting) =>
      withSite(async (site) => {
        await site.cut(...P_B, one);
        await oneWaits(site, waiting);
      }),
    60_000,
  );
});

test(
  'with etcd: the backup goes live, the primary waits and gives way',
  () =>
    withSite(
      async (site) => {
        await site.cut(...P_B, ...P_A);
        await oneWaits(site, 'primary');
      },
      { arbiter: 'etcd' },
    ),
  30_000,
);

test('a stopped primary and a silent network look the same to the backup', async () => {
  const noticed = async (silence: (site: Site) => Promise<void> | void): Promise<string> => {
    let said = '';
    await withSite(async (site) => {
      await silence(site);
      said = (await site.backup.says(/the primary is gone \((\w+)\), noticed (\d+) ms/))[0];
      await site.goesOn('backup');
    });
    return said;
  };
  const both = await Promise.all([
    noticed((site) => void site.primary.child.kill('SIGSTOP')),
    noticed((site) => site.cut(...P_B, ...P_A)),
  ]);
  for (const said of both) {
    expect(said).toMatch(/gone \(silent\)/);
    const ms = Number(/(\d+) ms/.exec(said)![1]);
    expect(ms).toBeGreaterThanOrEqual(DETECT_MS);
    expect(ms).toBeLessThan(2 * DETECT_MS);
  }
}, 60_000);

test('a cable that is cut for less than --detect-ms costs nothing, where TCP alone would wait for longer', async () => {
  await withSite(
    async (site) => {
      await site.fabric.retransmitAfter('primary', 'backup', 2 * DETECT_LONG_MS);
      for (let cuts = 0; cuts < 2; cuts++) {
        await site.cut(...P_B);
        await sleep(DETECT_LONG_MS / 2);
        await site.fabric.heal();
        await site.goesOn('primary');
        await sleep(DETECT_LONG_MS);
      }
      for (const name of ['primary', 'backup'] as const) {
        expect(site.replica(name).output).not.toMatch(/lost its backup|is gone|arbiter/);
        expect(site.replica(name).output).toMatch(/the channel goes on/);
        expect(site.replica(name).ended).toBe(false);
      }
      expect(site.shown('backup')).toBe(0);
      site.lastTick();
    },
    { detectMs: DETECT_LONG_MS },
  );
}, 30_000);
