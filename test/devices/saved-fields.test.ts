/**
 * Goal: saved state is taken only in the shape that save() gives it.
 * Method: one good and several bad values for each kind of field.
 */
import { expect, test } from '@jest/globals';
import { DecodeError } from '../../emulator/errors.js';
import { SavedFields } from '../../devices/saved-fields.js';

const fields = (value: never): SavedFields => new SavedFields({ field: value }, 'chip');

test.each([
  [(f: SavedFields) => f.integer('field', 1, 3), 2, [0, 4, 1.5, NaN, '2', null, true, undefined]],
  [(f: SavedFields) => f.boolean('field'), true, [0, 1, 'true', null]],
  [(f: SavedFields) => f.word('field', ['a', 'b']), 'b', ['c', '', 1, null]],
  [(f: SavedFields) => f.bytes('field', 2), Uint8Array.of(1, 2), [Uint8Array.of(1), [1, 2], 'ab', null]],
  [(f: SavedFields) => f.bytes('field'), new Uint8Array(5), [[], {}, 5]],
  [(f: SavedFields) => f.integers('field', 2), [1, 2], [[1, 2, 3], [-1], ['1'], [0.5], 1, null]],
  [(f: SavedFields) => f.stateRecord('field'), { a: 1 }, [[1], null, 1, new Uint8Array(1)]],
])('%s', (take, good, bad) => {
  expect(take(fields(good as never))).toEqual(good);
  for (const value of bad) expect(() => take(fields(value as never))).toThrow(DecodeError);
});

test('nested records and lists name their path', () => {
  const state = new SavedFields({ inner: { list: [{ a: 1 }, { a: 'x' }] } }, 'chip');
  const [, second] = state.record('inner').list('list', 2);
  expect(() => second!.integer('a', 0, 1)).toThrow('chip.inner.list[1].a');
  expect(() => new SavedFields({ list: [{}, {}] }, 'chip').list('list', 1)).toThrow(DecodeError);
  expect(() => new SavedFields([] as never, 'chip')).toThrow(DecodeError);
});

test('a field that nobody read, or that only the prototype has, is refused', () => {
  const state = new SavedFields({ a: 1, b: 2 }, 'chip');
  state.integer('a', 0, 9);
  expect(() => state.finish()).toThrow('chip.b');
  state.integer('b', 0, 9);
  state.finish();
  expect(() => state.stateRecord('constructor')).toThrow(DecodeError);
});
