/** Goal: the log under way is bounded: full stops, half of it lets go, and what is executed no longer counts.
 *  Method: frames by number and size, no machine and no socket. */
import { expect, test } from '@jest/globals';
import { ENTRY_BYTES, FlowControl } from '../../../hypervisor/ft/flow-control.js';

test('the guest stands still above the bound and goes on at half of it', () => {
  const flow = new FlowControl(10_000, -1);
  for (let seq = 0; seq < 10; seq++) flow.sent(seq, 1000 - ENTRY_BYTES);
  expect([flow.bytes, flow.full(0)]).toEqual([10_000, false]);
  flow.sent(10, 1);
  expect(flow.full(0)).toBe(true);
  flow.executed(4);
  expect([flow.bytes, flow.full(0)]).toEqual([5000 + 1 + ENTRY_BYTES, true]);
  flow.executed(5);
  expect(flow.full(0)).toBe(false);
  flow.sent(11, 5000);
  expect(flow.full(0)).toBe(false);
});

test('many small entries count as the memory they take', () => {
  const flow = new FlowControl(100 * ENTRY_BYTES, 41);
  flow.sent(142, 101);
  expect(flow.full(0)).toBe(true);
  flow.executed(141);
  expect(flow.full(0)).toBe(true);
  flow.executed(142);
  expect([flow.bytes, flow.full(0)]).toEqual([0, false]);
});

test('outputs that are held count, although the log has only their checksums', () => {
  const flow = new FlowControl(1000, -1);
  expect([flow.full(1000), flow.full(1001), flow.full(501), flow.full(500)]).toEqual([false, true, true, false]);
});

test('one frame larger than the bound stops the guest, and lets go when it is executed', () => {
  const flow = new FlowControl(1000, -1);
  flow.sent(0, 1 << 20);
  expect(flow.full(0)).toBe(true);
  flow.executed(0);
  expect(flow.full(0)).toBe(false);
});

test('a new backup begins with nothing under way', () => {
  const flow = new FlowControl(1000, -1);
  flow.sent(5, 2000);
  expect(flow.full(0)).toBe(true);
  flow.restart(99);
  expect([flow.bytes, flow.full(0)]).toEqual([0, false]);
  flow.sent(100, 10);
  expect(flow.bytes).toBe(10 + ENTRY_BYTES);
});

test('ten thousand frames one after the other leave nothing behind', () => {
  const flow = new FlowControl(1 << 20, -1);
  for (let seq = 0; seq < 10_000; seq++) {
    flow.sent(seq, 100);
    flow.executed(seq - 3);
  }
  expect(flow.bytes).toBe(3 * (100 + ENTRY_BYTES));
});
