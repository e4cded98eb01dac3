/**
 * Goal: a set of vectors is a set.
 * Method: random additions and removals beside JavaScript's own Set.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { VectorSet } from '../../devices/vector-set.js';

describe('a vector set', () => {
  test('holds what a Set holds', () => {
    const step = fc.record({ add: fc.boolean(), vector: fc.nat(255) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
        const set = new VectorSet();
        const model = new Set<number>();
        for (const { add, vector } of steps) {
          if (add) {
            set.add(vector);
            model.add(vector);
          } else {
            set.delete(vector);
            model.delete(vector);
          }
          expect(set.has(vector)).toBe(add);
          expect(set.highest()).toBe(model.size === 0 ? null : Math.max(...model));
        }
        const copy = new VectorSet();
        copy.load(set.words());
        const members = Array.from({ length: 256 }, (_, vector) => vector).filter((vector) => copy.has(vector));
        expect(members).toEqual([...model].sort((a, b) => a - b));
        copy.clear();
        expect(copy.highest()).toBeNull();
      }),
    );
  });

  test('its words have the lowest vector in bit 0, unsigned', () => {
    const set = new VectorSet();
    for (const vector of [0, 31, 32, 255]) set.add(vector);
    expect([set.word(0), set.word(1), set.word(7)]).toEqual([0x80000001, 1, 0x80000000]);
    expect(set.words()).toEqual([0x80000001, 1, 0, 0, 0, 0, 0, 0x80000000]);
  });
});
