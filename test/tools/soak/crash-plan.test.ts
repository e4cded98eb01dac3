/**
 * Goal: a round of crashes is the same for the same seed, kills as often as it is told, and every part that the round has
 * can be hit.
 * Method: many plans.
 */
import { expect, test } from '@jest/globals';
import { planCrashRound, VICTIMS, type CrashRound } from '../../../tools/soak/crash-plan.js';

const WAYS = { server: 'ft86', replication: 'log' } as const;

const rounds: CrashRound[] = Array.from({ length: 400 }, (_, index) => planCrashRound(1, index, 10, WAYS));

test('the same numbers give the same round, other numbers another', () => {
  expect(planCrashRound(7, 3, 10, WAYS)).toEqual(planCrashRound(7, 3, 10, WAYS));
  expect(planCrashRound(7, 3, 10, WAYS)).not.toEqual(planCrashRound(8, 3, 10, WAYS));
  expect(planCrashRound(7, 3, 10, WAYS)).not.toEqual(planCrashRound(7, 5, 10, WAYS));
});

test('every part is hit, each where it is, and nothing after everything', () => {
  const hit = new Set(rounds.flatMap(({ strikes }) => strikes.map(({ victim }) => victim)));
  expect([...hit].sort()).toEqual([...VICTIMS].sort());
  for (const { guest, disk, strikes } of rounds) {
    expect(strikes).toHaveLength(10);
    const victims = strikes.map(({ victim }) => victim);
    if (disk === 'own') expect(victims).not.toContain('disk-server');
    if (guest === 'ledger') expect(victims).not.toContain('switch');
    else expect(victims).not.toContain('everything');
    expect(victims.slice(0, -1)).not.toContain('everything');
  }
});

test('both guests and every kind of disk have their turn', () => {
  expect(new Set(rounds.map(({ guest, disk }) => `${guest} ${disk}`)).size).toBe(6);
});

test('checkpoints leave one way to have a disk', () => {
  const ways = { ...WAYS, replication: 'checkpoint' } as const;
  const disks = Array.from({ length: 50 }, (_, index) => planCrashRound(1, index, 10, ways).disk);
  expect(new Set(disks)).toEqual(new Set(['shared']));
});
