/**
 * Goal: on random programs in every mode ft86's processor does what QEMU's does, but for the differences that
 * docs/fidelity.md lists with their evidence; and the list is that of the program.
 * Method: 100,000 instructions of one seed on both, compared state by state; a difference that was put there by hand.
 */
import { describe, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { compareTraces } from '../../../tools/fidelity/compare.js';
import { describe as show } from '../../../tools/fidelity/describe.js';
import { explain } from '../../../tools/fidelity/explain.js';
import { KNOWN_DIFFERENCES } from '../../../tools/fidelity/known-differences.js';
import { LAYOUT } from '../../../tools/fidelity/layout.js';
import { compareMany } from '../../../tools/fidelity/many.js';
import { loadOurs, runOurs } from '../../../tools/fidelity/ours.js';
import { makeProgram } from '../../../tools/fidelity/program.js';
import { qemuInstalled } from '../../../tools/fidelity/qemu.js';

const root = join(import.meta.dirname, '../../..');
const MINUTES = 60_000;

describe('the known differences', () => {
  test('are those of docs/fidelity.md, in its order, with its words', () => {
    const rows = readFileSync(join(root, 'docs/fidelity.md'), 'utf8')
      .split('\n')
      .filter((line) => /^\| `/.test(line))
      .map((line) => line.split(/ *(?<!\\)\| */).slice(1, 5));
    expect(rows).toEqual(KNOWN_DIFFERENCES.map(({ id, wrong, what, source }) => [`\`${id}\``, wrong, what, source]));
  });

  test('do not explain a wrong result of an ordinary instruction', () => {
    const options = { seed: 5, index: 0, sequenceCount: 300, traced: true, stepping: false, watching: false };
    const program = makeProgram(options);
    const vcpu = loadOurs(program);
    expect(runOurs(vcpu).finished).toBe(true);
    const ram = Buffer.from(vcpu.ram.view.subarray(0, LAYOUT.RAM_BYTES));
    vcpu.dispose();
    const same = compareTraces(program, ram, Buffer.from(ram));
    expect([same.sequences, same.differences]).toEqual([300, []]);
    expect(same.compared).toBeGreaterThan(2000);
    // EBX of every third record is wrong by one bit.
    const wrong = Buffer.from(ram);
    for (let at = LAYOUT.TRACE; at < LAYOUT.TRACE + 600 * LAYOUT.RECORD_BYTES; at += 3 * LAYOUT.RECORD_BYTES) {
      wrong[at + 4 * 8]! ^= 1;
    }
    const { differences } = compareTraces(program, ram, wrong);
    expect(differences.length).toBeGreaterThan(10);
    const unexplained = differences.filter((difference) => explain(difference) === undefined);
    expect(unexplained.length).toBeGreaterThan(differences.length * 0.9);
  });
});

if (!qemuInstalled() && process.env['CI'] === undefined) {
  test('qemu-system-i386 is not installed: make extras', () => {
    expect(qemuInstalled()).toBe(false);
  });
} else {
  test(
    '100,000 instructions differ from QEMU in nothing else',
    async () => {
      const summary = await compareMany(1, 100_000, () => undefined);
      expect(summary.unknown.map(show)).toEqual([]);
      expect(summary.compared).toBeGreaterThanOrEqual(100_000);
    },
    5 * MINUTES,
  );
}
