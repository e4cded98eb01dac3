/**
 * Guest code run to its HLT or to the first exception, for tests of single instructions.
 *
 *   1000h code   5000h handlers   6000h data
 */
import { expect } from '@jest/globals';
import type { Registers } from '../../emulator/vcpu.js';
import { CODE, guestOf, setHandler } from './guest-code.js';

export const HLT = 0xf4;
export const DATA = 0x6000;
export const HANDLERS = 0x5000;
export const NO_EXCEPTION = -1;
/** PE, ET, NE. */
export const CR0_NE = 0x31;
/** OSFXSR, OSXMMEXCPT. */
export const CR4_SSE = 0x600;
/** Exceptions that push an error code. */
const WITH_ERROR = new Set([12, 13, 14]);

interface Ended {
  /** The exception that ended the code, and the offset of the instruction it was raised for. */
  readonly vector: number;
  readonly at: number;
  readonly registers: Registers;
  readonly word: (address: number) => number;
}

/** Run `code` with `data` at DATA to its HLT, or to the first exception. */
export function runCode(code: readonly number[], data: readonly number[] = [], cr4 = CR4_SSE): Ended {
  const { vcpu } = guestOf([...code, HLT]);
  vcpu.ram.write(DATA, Uint8Array.from(data));
  vcpu.setRegisters({ ...vcpu.getRegisters(), cr0: CR0_NE, cr4, edi: 0xffffffff });
  for (const vector of [6, 12, 13, 14, 16, 19]) {
    // mov edi, vector; add esp, 4 when there is an error code; pop esi; hlt
    const error = WITH_ERROR.has(vector) ? [0x83, 0xc4, 4] : [];
    setHandler(vcpu, vector, HANDLERS + 16 * vector, [0xbf, vector, 0, 0, 0, ...error, 0x5e, HLT]);
  }
  expect(vcpu.run(100_000)).toBe('halted');
  const registers = vcpu.getRegisters();
  const { edi, esi } = registers;
  const words = [0, 4, 8, 12, 16, 20, 24, 28].map((offset) => vcpu.ram.readU32(DATA + offset)!);
  vcpu.dispose();
  const vector = edi === 0xffffffff ? NO_EXCEPTION : edi;
  return { vector, at: vector === NO_EXCEPTION ? -1 : esi - CODE, registers, word: (address) => words[address / 4]! };
}
