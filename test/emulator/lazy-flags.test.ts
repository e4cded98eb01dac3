/**
 * Goal: an instruction that changes some flags finds the others as the one before left them, when neither has been asked for yet.
 * Method: each behind an ADD and before a PUSHF in one block, which must push what the same code does one instruction at a time,
 * where every flag is at hand.
 * Source: Intel SDM volume 1, appendix A (EFLAGS cross-reference).
 */
import { expect, test } from '@jest/globals';
import { flatRegisters, guestOf, le32 } from './guest-code.js';

const DATA = 0x6000;
const ADD_ESI_EBP = [0x01, 0xee];
const HLT = 0xf4;

/** The registers, with flags in ECX, behind the ADD and `code`. */
function behind(code: readonly number[], esi: number, step: number): unknown {
  const { vcpu } = guestOf([...ADD_ESI_EBP, ...code, 0x9c, 0x59, HLT]); // pushf; pop ecx; hlt
  const registers = { ebp: 0xc218d700, esi, edi: 0x20, ebx: 0x99, eax: 0, edx: 0, ecx: 3 };
  vcpu.setRegisters({ ...flatRegisters(vcpu), ...registers, cr4: 0x600 });
  while (vcpu.run(vcpu.icount + step) === 'target');
  const found = vcpu.getRegisters();
  vcpu.dispose();
  return found;
}

const MEMORY = le32(DATA);

test.each([
  ['CMPXCHG8B', [0x0f, 0xc7, 0x0d, ...MEMORY]],
  ['LOCK CMPXCHG8B', [0xf0, 0x0f, 0xc7, 0x0d, ...MEMORY]],
  ['CMPXCHG', [0x0f, 0xb1, 0x1d, ...MEMORY]],
  ['BT', [0x0f, 0xa3, 0xfb]],
  ['BTS', [0x0f, 0xab, 0xfb]],
  ['BTR of 16 bits', [0x66, 0x0f, 0xb3, 0xfb]],
  ['BTC by a constant', [0x0f, 0xba, 0xfb, 0x03]],
  ['BT of memory', [0x0f, 0xa3, 0x3d, ...MEMORY]],
  ['BTS of memory', [0x0f, 0xab, 0x3d, ...MEMORY]],
  ['LOCK BTR', [0xf0, 0x0f, 0xb3, 0x3d, ...MEMORY]],
  ['LOCK BTS by a constant', [0xf0, 0x0f, 0xba, 0x2d, ...MEMORY, 0x05]],
  ['INC', [0x43]],
  ['DEC', [0x4b]],
  ['CLC', [0xf8]],
  ['STC', [0xf9]],
  ['CMC', [0xf5]],
  ['RCL by CL', [0xd3, 0xd3]],
  ['RCR by 1', [0xd1, 0xdb]],
  ['ROL by CL', [0xd3, 0xc3]],
  ['ROR by CL', [0xd3, 0xcb]],
  ['SHL by CL', [0xd3, 0xe3]],
  ['DIV', [0xf7, 0xf3]],
  ['SHL by 0', [0xc1, 0xe3, 0x20]],
  ['SAR by CL', [0xd3, 0xfb]],
  ['SHLD by CL', [0x0f, 0xa5, 0xfb]],
  ['AAS', [0x3f]],
  ['DAS', [0x2f]],
  ['CMOVO', [0x0f, 0x40, 0xc3]],
  ['PUSH and POP', [0x53, 0x5b]],
  ['ARPL', [0x63, 0xfb]],
  ['LAR', [0x0f, 0x02, 0xc3]],
  ['LSL', [0x0f, 0x03, 0xc3]],
  ['VERR', [0x0f, 0x00, 0xe3]],
  ['VERW', [0x0f, 0x00, 0xeb]],
  ['FCOMI', [0xdb, 0xf0]],
  ['FUCOMI', [0xdb, 0xe8]],
  ['AAA', [0x37]],
  ['DAA', [0x27]],
  ['SAHF', [0x9e]],
  ['LAHF', [0x9f]],
  ['CLD', [0xfc]],
  ['STI', [0xfb]],
])('%s', (_, code) => {
  for (const esi of [1, 0x3de72900, 0x7fffffff]) {
    expect(behind(code, esi, 1_000_000)).toEqual(behind(code, esi, 1));
  }
});
