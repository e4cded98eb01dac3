/**
 * Goal: a server that answers nothing is given up soon, one that is slow is not given up again and again.
 * Method: looks by hand; random histories against the rule written another way.
 */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Patience } from '../../../hypervisor/nbd/patience.js';

/** Looks at requests that wait while nothing moves, until it is time to give up. */
function looksUntilGivenUp(patience: Patience): number {
  for (let looks = 1; ; looks++) {
    const inVain = patience.look(true, 7);
    if (inVain > 0) return inVain === looks ? looks : NaN;
  }
}

function patience(): Patience {
  const made = new Patience(4, 20);
  made.look(false, 7);
  return made;
}

test('waits twice as long each time, up to a limit', () => {
  const own = patience();
  expect([1, 2, 3, 4, 5].map(() => looksUntilGivenUp(own))).toEqual([4, 8, 16, 20, 20]);
});

test('waits a short time again after an answer', () => {
  const own = patience();
  looksUntilGivenUp(own);
  looksUntilGivenUp(own);
  own.answered();
  expect(looksUntilGivenUp(own)).toBe(4);
});

test('does not count looks while nothing waits, or while bytes move', () => {
  const own = patience();
  for (let look = 0; look < 100; look++) expect(own.look(false, 7)).toBe(0);
  for (let look = 0; look < 100; look++) expect(own.look(true, 8 + look)).toBe(0);
  own.look(true, 7);
  expect(looksUntilGivenUp(own)).toBe(4);
});

test('never gives up sooner than after the shortest wait without a pause in it', () => {
  const look = fc.record({ waiting: fc.boolean(), moves: fc.boolean(), answered: fc.boolean() });
  fc.assert(
    fc.property(fc.array(look, { maxLength: 80 }), (looks) => {
      const own = patience();
      let [moved, silent] = [7, 0];
      for (const { waiting, moves, answered } of looks) {
        if (answered) own.answered();
        moved += moves ? 1 : 0;
        silent = answered ? 0 : silent;
        silent = waiting && !moves ? silent + 1 : 0;
        const inVain = own.look(waiting, moved);
        if (inVain === 0) continue;
        expect(inVain).toBeGreaterThanOrEqual(4);
        expect(inVain).toBe(silent);
        silent = 0;
      }
    }),
  );
});
