/**
 * Goal: code that the guest changes is executed as changed, whichever of its addresses it was written through.
 * Method: a function that is called, written, called again, several times, with a second mapping of its page.
 * Source: Intel SDM volume 3, 11.6 (self-modifying code).
 */
import { expect, test } from '@jest/globals';
import { guestOf, le32 } from './guest-code.js';
import { HLT } from './run-code.js';

const FUNCTION = 0x30000;
const ALIAS = 0x40000;
const ROUNDS = 6;

/** call FUNCTION at 1000h + `at` */
const call = (at: number): number[] => [0xe8, ...le32(FUNCTION - (0x1000 + at + 5))];

test.each([
  ['its own address', [FUNCTION]],
  ['another mapping', [ALIAS]],
  ['both in turn', [FUNCTION, ALIAS]],
  ['both, each twice', [ALIAS, ALIAS, FUNCTION, FUNCTION]],
])('written through %s', (_, through) => {
  const code: number[] = [...call(0)];
  const expected: number[] = [0];
  for (let round = 1; round <= ROUNDS; round++) {
    code.push(0xc6, 0x05, ...le32((through[round % through.length] as number) + 1), round); // mov byte [at + 1], round
    code.push(...call(code.length));
    code.push(0x88, 0x81, ...le32(round)); // mov [ecx + round], al
    expected.push(round);
  }
  const { vcpu } = guestOf([...code, HLT]);
  try {
    vcpu.ram.writeU32(0x10000, 0x11007);
    for (let page = 0; page < 1024; page++) vcpu.ram.writeU32(0x11000 + 4 * page, (page << 12) | 7);
    vcpu.ram.writeU32(0x11000 + 4 * (ALIAS >> 12), FUNCTION | 7);
    vcpu.ram.write(FUNCTION, Uint8Array.from([0xb0, 0, 0xc3])); // mov al, 0; ret
    vcpu.setRegisters({ ...vcpu.getRegisters(), cr3: 0x10000, cr0: 0x80000011, ecx: 0x50000 });
    expect(vcpu.run(10_000)).toBe('halted');
    expect(Array.from(vcpu.ram.read(0x50000, ROUNDS + 1) ?? [])).toEqual(expected);
  } finally {
    vcpu.dispose();
  }
});
