/** Goal: kills are carried out in order; with replacement none before the pair has recovered from the last.
 *  Method: a fleet that notes its kills and becomes whole when told. */
import { describe, expect, test } from '@jest/globals';
import { injectFaults } from '../../../tools/pair/faults.js';
import { parseKills } from '../../../tools/pair/kill.js';

/** Notes who was killed; whole() resolves when the test says so. */
class NotedFleet {
  readonly killed: string[] = [];
  readonly #waiting: (() => void)[] = [];

  kill(victim: string): void {
    this.killed.push(victim);
  }
  whole(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
  async recover(): Promise<void> {
    while (this.#waiting.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    this.#waiting.shift()?.();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

describe('injectFaults', () => {
  const kills = parseKills(['backup@ms:2', 'primary@ms:0', 'primary@ms:3', 'primary@icount:7']);

  test('kills in order of time, at once', async () => {
    const fleet = new NotedFleet();
    await injectFaults(kills, fleet, false).done;
    expect(fleet.killed).toEqual(['primary', 'backup', 'primary']);
  });

  test('with replacement each waits until the pair is whole again', async () => {
    const fleet = new NotedFleet();
    const { done } = injectFaults(kills, fleet, true);
    await fleet.recover();
    expect(fleet.killed).toEqual(['primary']);
    await fleet.recover();
    expect(fleet.killed).toEqual(['primary', 'backup']);
    await fleet.recover();
    await done;
    expect(fleet.killed).toEqual(['primary', 'backup', 'primary']);
  });

  test('cancelled, nobody else dies', async () => {
    const fleet = new NotedFleet();
    const faults = injectFaults(kills, fleet, true);
    await fleet.recover();
    faults.cancel();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(fleet.killed).toEqual(['primary']);
  });
});
