/**
 * Goal: a store of one operand that crosses into a page where it faults has stored nothing.
 * Method: paging with one page missing; each store lies with its first bytes before that page.
 * Source: Intel SDM volume 3, 6.5 (faults: the state before the instruction); 4.7 (CR2: the address that faulted).
 */
import { expect, test } from '@jest/globals';
import { le32 } from './guest-code.js';
import { runSegment } from './run-segment.js';

const PAGE_FAULT = 14;
const MISSING = 0x22000;
const FILL = 0xa5;

/** Bytes of the operand, and the step between the offsets that are tried. */
const rows: [string, number[], number, number?][] = [
  ['MOV', [0x89, 0x05], 4],
  ['MOVUPS', [0x0f, 0x11, 0x05], 16],
  ['MOVUPD', [0x66, 0x0f, 0x11, 0x05], 16],
  ['MOVDQU', [0xf3, 0x0f, 0x7f, 0x05], 16],
  ['MOVQ', [0x0f, 0x7f, 0x05], 8],
  ['MOVLPS', [0x0f, 0x13, 0x05], 8],
  ['FSTP m64', [0xdd, 0x1d], 8],
  ['FSTP m80', [0xdb, 0x3d], 10],
  ['FISTP m64', [0xdf, 0x3d], 8],
  ['FBSTP', [0xdf, 0x35], 10],
  ['FNSTENV', [0xd9, 0x35], 28],
  ['FNSAVE', [0xdd, 0x35], 108],
  ['SGDT', [0x0f, 0x01, 0x05], 6],
  ['FXSAVE', [0x0f, 0xae, 0x05], 512, 16],
];

test.each(rows)('%s', (name, opcode, bytes, step = 1) => {
  const code = (at: number): number[] => [...opcode, ...le32(at)];
  for (let before = step; before < bytes; before += step) {
    const at = MISSING - before;
    const found = runSegment({ code: code(at), mode: 'ring0', missing: MISSING, fill: FILL });
    expect([name, before, found.vector, found.at, found.registers.cr2]).toEqual([name, before, PAGE_FAULT, 1, MISSING]);
    const stored = Array.from({ length: before }, (_, i) => found.byte(at + i));
    expect(stored).toEqual(Array<number>(before).fill(FILL));
  }
});
