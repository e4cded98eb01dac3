/**
 * Goal: a live replica without a backup asks one spare at a time, passes over those that do not come, and never asks anyone
 * while it has a backup.
 * Method: the decisions alone, with pools and times made by hand.
 */
import { expect, test } from '@jest/globals';
import { COME_MS, SpareSearch, type Spare } from '../../../hypervisor/ft/spare-search.js';

function free(id: string): Spare {
  return { id, claim: null, revision: `${id}-1` };
}
function asked(id: string): Spare {
  return { id, claim: 'tcp://127.0.0.1:1', revision: `${id}-2` };
}

function searchThatAsked(id: string): SpareSearch {
  const search = new SpareSearch();
  expect(search.step(0, 'alone', [free(id)])).toMatchObject({ kind: 'claim', spare: { id } });
  search.picked(id, 0);
  return search;
}

test('the spare that waits longest is asked, and those that others have asked are not', () => {
  expect(new SpareSearch().step(0, 'alone', [asked('a'), free('b'), free('c')])).toEqual({
    kind: 'claim',
    spare: free('b'),
  });
  expect(new SpareSearch().step(0, 'alone', [asked('a')])).toEqual({ kind: 'nobody' });
});

test.each(['joining', 'none'] as const)('nobody is asked while the need is %s', (need) => {
  expect(new SpareSearch().step(0, need, [free('a')])).toEqual({ kind: 'wait' });
});

test('a lost claim is no claim: the next step asks again', () => {
  const search = new SpareSearch();
  search.step(0, 'alone', [free('a')]);
  expect(search.step(1, 'alone', [asked('a'), free('b')])).toMatchObject({ kind: 'claim', spare: { id: 'b' } });
});

test('while one is on its way nobody else is asked', () => {
  const search = searchThatAsked('a');
  expect(search.step(COME_MS - 1, 'alone', [asked('a'), free('b')])).toEqual({ kind: 'wait' });
});

test.each<[string, number, readonly Spare[], RegExp]>([
  ['that died', 100, [free('b')], /gone/],
  ['that came back to the pool', 100, [free('a'), free('b')], /could not reach/],
  ['that does not come', COME_MS, [asked('a'), free('b')], /did not come/],
])('a spare %s is passed over for the next', (_, nowMs, spares, why) => {
  const search = searchThatAsked('a');
  expect(search.step(nowMs, 'alone', spares)).toEqual({ kind: 'skip', id: 'a', why: expect.stringMatching(why) });
  expect(search.step(nowMs, 'alone', spares)).toMatchObject({ kind: 'claim', spare: { id: 'b' } });
});

test('a spare whose join broke off is passed over, and asked again later when there is no other', () => {
  const search = searchThatAsked('a');
  search.step(50, 'joining', []);
  expect(search.step(100, 'alone', [asked('a')])).toMatchObject({ kind: 'skip', why: 'its join broke off' });
  expect(search.step(101, 'alone', [free('a')])).toEqual({ kind: 'nobody' });
  expect(search.step(20_000, 'alone', [free('a')])).toMatchObject({ kind: 'claim', spare: { id: 'a' } });
});

test('after a backup the search begins anew', () => {
  const search = searchThatAsked('a');
  search.step(50, 'joining', []);
  search.step(60, 'none', []);
  expect(search.step(9000, 'alone', [free('b')])).toMatchObject({ kind: 'claim', spare: { id: 'b' } });
});
