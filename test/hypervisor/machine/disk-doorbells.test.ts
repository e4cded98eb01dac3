/**
 * Goal: the instants of doorbells survive a save, in order, and a request nobody rang for here counts as rung last.
 * Method: the list alone; its effect on a guest is in test/e2e/boot.test.ts.
 */
import { expect, test } from '@jest/globals';
import type { DiskRequest } from '../../../devices/environment.js';
import { DecodeError } from '../../../emulator/errors.js';
import { DiskDoorbells } from '../../../hypervisor/machine/disk-doorbells.js';

function request(drive: number, tag: number): DiskRequest {
  return { drive, tag, op: 'flush', sector: 0, bytes: 0, data: new Uint8Array(0) };
}

const NOW_NS = 1000;

test('requests come in the order of their doorbells, whatever the order of drives', () => {
  const doorbells = new DiskDoorbells();
  doorbells.rang(request(1, 7), 10);
  doorbells.rang(request(0, 7), 20);
  doorbells.rang(request(1, 8), 30);
  doorbells.answered({ drive: 1, tag: 7 });
  doorbells.answered({ drive: 5, tag: 5 });
  const pending = [request(0, 7), request(0, 9), request(1, 8)];
  expect(doorbells.order(pending, NOW_NS)).toEqual([
    { request: request(0, 7), rangNs: 20 },
    { request: request(1, 8), rangNs: 30 },
    { request: request(0, 9), rangNs: NOW_NS },
  ]);
});

test('a restored list replaces what was there', () => {
  const doorbells = new DiskDoorbells();
  doorbells.rang(request(0, 1), 10);
  doorbells.restore([{ drive: 0, tag: 2, ns: 5 }]);
  expect(doorbells.order([request(0, 1), request(0, 2)], NOW_NS).map(({ rangNs }) => rangNs)).toEqual([5, NOW_NS]);
});

test.each([null, 3, 'x', {}, { drive: 0, tag: 1 }, { drive: 0, tag: '1', ns: 2 }])('%j is no doorbell', (bell) => {
  expect(() => {
    new DiskDoorbells().restore([bell]);
  }).toThrow(DecodeError);
});
