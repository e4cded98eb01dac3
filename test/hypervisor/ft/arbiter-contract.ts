/** What every arbiter promises, as tests. */
import { expect, test } from '@jest/globals';
import type { Arbiter } from '../../../hypervisor/ft/arbiter.js';

/** @param open an arbiter for a pair of that name; several calls are several replicas' */
export function promisesOfAnArbiter(open: (pair: string) => Arbiter): void {
  test('one epoch has one winner, who wins again when it asks again', async () => {
    const [a, b] = [open('one'), open('one')];
    expect(await a.newestEpoch()).toBe(0);
    expect(await a.lastStopWasClean()).toBe(true);
    expect(await a.claim(1, 'a')).toBe('granted');
    expect(await b.claim(1, 'b')).toBe('denied');
    expect(await a.claim(1, 'a')).toBe('granted');
    expect(await b.claim(2, 'b')).toBe('granted');
    expect(await a.claim(2, 'a')).toBe('denied');
    expect(await a.claim(1, 'a')).toBe('denied');
    expect(await a.newestEpoch()).toBe(2);
  });

  test('epochs order as numbers, and may be skipped', async () => {
    const arbiter = open('numbers');
    expect(await arbiter.claim(9, 'a')).toBe('granted');
    expect(await arbiter.claim(10, 'b')).toBe('granted');
    expect(await arbiter.claim(3, 'c')).toBe('denied');
    expect(await arbiter.newestEpoch()).toBe(10);
  });

  test('only the holder’s own release makes the last stop clean', async () => {
    const arbiter = open('stops');
    await arbiter.claim(1, 'a');
    expect(await arbiter.lastStopWasClean()).toBe(false);
    expect(await arbiter.release(1, 'b')).toBe('denied');
    expect(await arbiter.release(2, 'a')).toBe('denied');
    expect(await arbiter.lastStopWasClean()).toBe(false);
    expect(await arbiter.release(1, 'a')).toBe('granted');
    expect(await arbiter.lastStopWasClean()).toBe(true);
    await arbiter.claim(2, 'b');
    expect(await arbiter.lastStopWasClean()).toBe(false);
  });

  test('pairs do not see each other', async () => {
    expect(await open('left').claim(1, 'a')).toBe('granted');
    expect(await open('left-2').claim(1, 'b')).toBe('granted');
    expect(await open('right').newestEpoch()).toBe(0);
  });

  test('of many that claim at the same moment one wins, every time', async () => {
    for (let epoch = 1; epoch <= 10; epoch++) {
      const claims = ['a', 'b', 'c', 'd'].map((id) => open('race').claim(epoch, id));
      const verdicts = await Promise.all(claims);
      expect(verdicts.filter((verdict) => verdict === 'granted')).toHaveLength(1);
      expect(verdicts.filter((verdict) => verdict === 'denied')).toHaveLength(3);
    }
  });
}
