/** Goal: a person sees each difference with both values, and how many were left out.
 *  Method: render hand-made diffs and look for the words. */
import { expect, test } from '@jest/globals';
import type { SnapshotDiff } from '../../hypervisor/snapshot/diff.js';
import { renderDiff } from '../../tools/diff/render.js';

const DIFF: SnapshotDiff = {
  identical: false,
  registers: [{ name: 'eax', a: 5, b: 0xdeadbeef }],
  pages: [{ address: 0x12000, bytes: [{ offset: 7, a: 0x41, b: 0x40 }], byteCount: 1 }],
  devices: [
    { path: 'devices.pit.channels[0].mode', a: 2, b: 3 },
    { path: 'devices.uart.fifo[1]', a: 7, b: null, absentIn: 'b' },
  ],
  pageCount: 1,
  fieldCount: 2,
  firstDivergence: { icount: 123, eip: 0x100000, instruction: 'rdtsc' },
};

function nothing(): SnapshotDiff {
  return { ...DIFF, registers: [], pages: [], devices: [], pageCount: 0, fieldCount: 0, firstDivergence: null };
}

test('an identical pair is one word', () => {
  expect(renderDiff({ ...nothing(), identical: true })).toBe('identical\n');
});

test('registers, fields and bytes are shown with both values under the names of the sides', () => {
  const text = renderDiff(DIFF, { names: ['a.ftsnap', 'b.ftsnap'] });
  expect(text).toMatch(/name .*a\.ftsnap .*b\.ftsnap/);
  expect(text).toMatch(/eax .*0x5 .*0xdeadbeef/);
  expect(text).toMatch(/devices\.pit\.channels\[0\]\.mode .*2 .*3/);
  expect(text).toMatch(/devices\.uart\.fifo\[1\] .*7 .*\(absent\)/);
  expect(text).toContain('0x00012007: 41 -> 40');
  expect(text).toContain('first divergence at icount 123, eip 0x00100000: rdtsc');
  expect(text).not.toContain('\u001b');
  expect(renderDiff(DIFF, { colours: true })).toContain('\u001b[');
});

test('empty tables are left out', () => {
  const text = renderDiff({ ...nothing(), registers: DIFF.registers });
  expect(text).toContain('Registers (1)');
  expect(text).not.toMatch(/Devices|Memory/);
});

test('what is beyond the limits is counted', () => {
  const registers = Array.from({ length: 30 }, (_, index) => ({ name: `r${index}`, a: 0, b: 1 }));
  const bytes = Array.from({ length: 64 }, (_, offset) => ({ offset, a: 0, b: 1 }));
  const text = renderDiff({ ...nothing(), registers, pages: [{ address: 0, bytes, byteCount: 4096 }], pageCount: 1 });
  expect(text).toContain('... and 10 more');
  expect(text).not.toContain('r20');
  expect(text).toContain('4096');
  expect(text).toContain('0x00000003: 00 -> 01, ...');
});
