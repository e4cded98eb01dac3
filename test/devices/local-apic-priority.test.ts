/**
 * Goal: interrupts are taken in the order of their classes, whatever comes and ends when.
 * Method: random requests, takes, ends and task priorities against lists that are searched from end to end.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { FIRST_VECTOR, LocalApicPriority } from '../../devices/local-apic-priority.js';
import { SavedFields } from '../../devices/saved-fields.js';
import { DecodeError } from '../../emulator/errors.js';

const vectors = fc.integer({ min: FIRST_VECTOR, max: 255 });

/** The specification's rules on plain lists. */
class Model {
  readonly requested = new Map<number, boolean>();
  /** In the order in which they were taken: the highest is always the last. */
  readonly inService: { vector: number; level: boolean }[] = [];
  tpr = 0;

  ppr(): number {
    const highest = Math.max(0, ...this.inService.map(({ vector }) => vector));
    return this.tpr >> 4 >= highest >> 4 ? this.tpr : highest & 0xf0;
  }
  next(): number | null {
    const able = [...this.requested.keys()].filter((vector) => vector >> 4 > this.ppr() >> 4);
    return able.length === 0 ? null : Math.max(...able);
  }
}

test('agrees with the rules on plain lists', () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant('request' as const), vector: vectors, level: fc.boolean() }),
    fc.record({ do: fc.constantFrom('take' as const, 'end' as const) }),
    fc.record({ do: fc.constant('tpr' as const), vector: fc.nat(255) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const priority = new LocalApicPriority();
      const model = new Model();
      for (const one of steps) {
        const next = model.next();
        if (one.do === 'request') {
          priority.request(one.vector, one.level);
          model.requested.set(one.vector, one.level);
          // One bit a vector holds the trigger of the request and of the one in service.
          for (const entry of model.inService) if (entry.vector === one.vector) entry.level = one.level;
        } else if (one.do === 'tpr') {
          priority.tpr = one.vector;
          model.tpr = one.vector;
        } else if (one.do === 'take' && next !== null) {
          priority.take(next);
          model.inService.push({ vector: next, level: model.requested.get(next)! });
          model.requested.delete(next);
        } else if (one.do === 'end') {
          const ended = model.inService.pop();
          expect(priority.end()).toBe(ended?.level === true ? ended.vector : null);
        }
        expect([priority.next, priority.ppr, priority.tpr]).toEqual([model.next(), model.ppr(), model.tpr]);
      }
      const copy = new LocalApicPriority();
      copy.apply(copy.decode(new SavedFields(priority.save(), 'priority')));
      expect(copy.save()).toEqual(priority.save());
      expect([copy.next, copy.ppr]).toEqual([model.next(), model.ppr()]);
    }),
  );
});

describe('saved state', () => {
  const good = new LocalApicPriority().save();
  test.each([
    ['a vector of an exception', { requested: [1, 0, 0, 0, 0, 0, 0, 0] }],
    ['seven words', { level: [0, 0, 0, 0, 0, 0, 0] }],
    ['a word of 33 bits', { inService: [0, 2 ** 32, 0, 0, 0, 0, 0, 0] }],
    ['a task priority of 9 bits', { tpr: 256 }],
  ])('with %s is refused', (_what, damage) => {
    const fields = new SavedFields({ ...good, ...damage }, 'priority');
    expect(() => new LocalApicPriority().decode(fields)).toThrow(DecodeError);
  });
});
