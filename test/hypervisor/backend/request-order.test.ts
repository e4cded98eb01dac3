/**
 * Goal: only requests that do not touch each other's sectors run at the same time, and a flush comes after the writes.
 * Method: requests whose end the test decides, so that what runs beside what is visible.
 */
import { expect, test } from '@jest/globals';
import type { DiskRequest } from '../../../devices/environment.js';
import { RequestOrder } from '../../../hypervisor/backend/request-order.js';

/** Starts requests, remembers which run, and ends them on command. */
class Bench {
  readonly order = new RequestOrder();
  readonly running = new Set<string>();
  readonly #ends = new Map<string, () => void>();
  #tag = 0;

  start(name: string, op: DiskRequest['op'], sector = 0, sectors = 0): void {
    const data = new Uint8Array(op === 'write' ? sectors * 512 : 0);
    this.order.run({ drive: 0, tag: this.#tag++, op, sector, bytes: sectors * 512, data }, async () => {
      this.running.add(name);
      await new Promise<void>((resolve) => this.#ends.set(name, resolve));
      this.running.delete(name);
    });
  }

  async end(name: string): Promise<string> {
    this.#ends.get(name)?.();
    return this.seen();
  }

  /** Names of the running requests once everything that can start has started. */
  async seen(): Promise<string> {
    await new Promise((resolve) => setImmediate(resolve));
    return [...this.running].sort().join(' ');
  }
}

test('disjoint requests and reads run together', async () => {
  const bench = new Bench();
  bench.start('a', 'write', 0, 2);
  bench.start('b', 'write', 2, 2);
  bench.start('c', 'read', 4, 4);
  bench.start('d', 'read', 5, 1);
  expect(await bench.seen()).toBe('a b c d');
});

test('an overlapping request waits for all it overlaps, in the order of submission', async () => {
  const bench = new Bench();
  bench.start('a', 'read', 0, 2);
  bench.start('b', 'write', 1, 2);
  bench.start('c', 'read', 2, 1);
  bench.start('d', 'read', 0, 1);
  expect(await bench.seen()).toBe('a d');
  expect(await bench.end('a')).toBe('b d');
  expect(await bench.end('b')).toBe('c d');
});

test('a flush waits for earlier writes only, and holds up nobody', async () => {
  const bench = new Bench();
  bench.start('a', 'write', 0, 1);
  bench.start('b', 'read', 4, 1);
  bench.start('f', 'flush');
  bench.start('g', 'write', 1, 1);
  expect(await bench.seen()).toBe('a b g');
  expect(await bench.end('a')).toBe('b f g');
});

test('idle waits for the whole chain', async () => {
  const bench = new Bench();
  let idle = false;
  bench.start('a', 'write', 0, 1);
  bench.start('b', 'write', 0, 1);
  const whole = bench.order.idle().then(() => (idle = true));
  await bench.seen();
  await bench.end('a');
  expect(idle).toBe(false);
  await bench.end('b');
  await whole;
  expect(idle).toBe(true);
});
