/**
 * Goal: a loop steps when its time has come or when it is woken, never twice for one of them, and never after it was stopped.
 * Method: loops whose steps say when they want the next, on timers that the test moves on.
 */
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { hostMs } from '../../../tools/replica/host-time.js';
import { RunLoop } from '../../../tools/replica/run-loop.js';

beforeEach(() => {
  jest.useFakeTimers();
});
afterEach(() => {
  jest.useRealTimers();
});

const sleep = (ms: number): Promise<void> => jest.advanceTimersByTimeAsync(ms);

/** A loop whose steps want what `wants` says, and when they were. */
function looping(wants: (step: number) => number | null): { readonly loop: RunLoop; readonly steps: number[] } {
  const steps: number[] = [];
  const loop = new RunLoop(
    () => {
      steps.push(hostMs());
      return wants(steps.length);
    },
    (error) => {
      throw error;
    },
  );
  return { loop, steps };
}

describe('RunLoop', () => {
  test('steps again after the time that a step asks for, and not at all after null', async () => {
    const { loop, steps } = looping((step) => (step === 1 ? 20 : null));
    loop.start();
    await sleep(80);
    loop.stop();
    expect(steps).toHaveLength(2);
    expect(steps[1]! - steps[0]!).toBeGreaterThan(18);
  });

  test('a wake-up comes at once, however often, and does not lose the time that was asked for', async () => {
    const { loop, steps } = looping((step) => (step <= 2 ? 40 : null));
    loop.start();
    await sleep(10);
    for (let i = 0; i < 3; i++) loop.wake();
    await sleep(10);
    expect(steps).toHaveLength(2);
    expect(steps[1]! - steps[0]!).toBeLessThan(40);
    await sleep(100);
    loop.stop();
    expect(steps).toHaveLength(3);
  });

  test('a step that wants its successor sooner than the one before has it sooner', async () => {
    const { loop, steps } = looping((step) => (step === 1 ? 10_000 : step === 2 ? 10 : null));
    loop.start();
    await sleep(5);
    loop.wake();
    await sleep(100);
    loop.stop();
    expect(steps).toHaveLength(3);
  });

  test('nothing happens after stop(), and a step that throws is told once and ends the loop', async () => {
    const { loop, steps } = looping(() => 5);
    loop.start();
    loop.stop();
    loop.wake();
    await sleep(30);
    expect(steps).toEqual([]);
    const told: unknown[] = [];
    const failing = new RunLoop(
      () => {
        throw new Error('so it ends');
      },
      (error) => told.push(error),
    );
    failing.start();
    await sleep(10);
    failing.wake();
    await sleep(10);
    expect(told).toEqual([new Error('so it ends')]);
  });
});
