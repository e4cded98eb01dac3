/**
 * Goal: a checkpoint names writes that are done and not flushed, in their order; a backup knows the data of each from what was
 * under way at an earlier checkpoint, and refuses one that names another.
 * Method: checkpoints by hand; crash-safety.test.ts kills servers that forget beside them.
 */
import { expect, test } from '@jest/globals';
import { DecodeError } from '../../../emulator/errors.js';
import { namedWrites } from '../../../hypervisor/ft/backup-disks.js';
import type { KeptWrite } from '../../../hypervisor/nbd/unflushed-writes.js';

const write = (tag: number): KeptWrite => ({ tag, offset: tag * 512, data: new Uint8Array(512).fill(tag) });

test('the writes that a checkpoint names come in its order, for each drive of its own', () => {
  const known = [[write(1), write(2), write(3)], [], [write(1)]];
  expect(namedWrites(known, [[3, 1], [], [1]])).toEqual([[write(3), write(1)], [], [write(1)]]);
  expect(namedWrites(known, [])).toEqual([]);
});

test('one that was not under way is refused', () => {
  expect(() => namedWrites([[write(1)]], [[1, 2]])).toThrow(DecodeError);
  expect(() => namedWrites([], [[1]])).toThrow(/drive 0: a checkpoint names write 1, which was not under way/);
});
