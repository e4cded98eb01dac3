/**
 * Runs one x87 instruction on a stack that is given in full, and tells all of it afterwards.
 *
 *   FXRSTOR -> the instruction -> FXSAVE -> FWAIT, where an unmasked exception is raised
 *
 * ST(0) lies in R5. Source: Intel SDM volume 1, 10.5.1, table 10-2 (FXSAVE).
 */
import { CODE, guestOf, le32, setHandler } from '../guest-code.js';
import { CR0_NE, CR4_SSE, HANDLERS, HLT } from '../run-code.js';
import { readFloat80, writeFloat80, type Float80 } from './float80.js';

export const OPERAND = 0x6000;
const OPERAND_BYTES = 10;
const BEFORE = 0x10000;
const AFTER = 0x10200;
const STATUS_BEFORE = 0x10400;
const FX_BYTES = 512;
export const TOP = 5;
export const MASKED = 0x37f;
const C1 = 0x200;
const FLOATING_POINT = 16;

/** Operations of two numbers, each with the digit of its opcodes D8 to DE. */
export const ARITHMETIC: readonly (readonly [name: string, digit: number])[] = [
  ['FADD', 0],
  ['FMUL', 1],
  ['FSUB', 4],
  ['FSUBR', 5],
  ['FDIV', 6],
  ['FDIVR', 7],
];

/** The instruction with its operand in memory, at OPERAND. */
export function memory(opcode: number, digit: number): number[] {
  return [opcode, (digit << 3) | 5, ...le32(OPERAND)];
}

export interface Stack {
  readonly control?: number;
  /** ST(0) to ST(7), which are not empty; undefined: empty, with the number 77 in the register. */
  readonly registers: readonly (Float80 | undefined)[];
  readonly operand?: readonly number[];
  readonly eflags?: number;
}

export interface After {
  /** Without TOP. */
  readonly status: number;
  readonly top: number;
  /** ST(0) to ST(7) by the TOP from before, undefined where they are empty. */
  readonly registers: readonly (Float80 | undefined)[];
  /** What the registers hold, empty or not. */
  readonly contents: readonly Float80[];
  readonly operand: readonly number[];
  readonly eflags: number;
  /** Whether FWAIT raised #MF. */
  readonly raised: boolean;
}

export const LEFT_BEHIND: Float80 = { signExponent: 0x4005, significand: 77n << 57n };

function imageOf({ control = MASKED, registers }: Stack): Uint8Array {
  const image = new Uint8Array(FX_BYTES);
  const view = new DataView(image.buffer);
  view.setUint16(0, control, true);
  view.setUint16(2, (TOP << 11) | C1, true);
  for (let i = 0; i < 8; i++) {
    if (registers[i] !== undefined) image[4]! |= 1 << ((TOP + i) & 7);
    writeFloat80(image, 32 + 16 * i, registers[i] ?? LEFT_BEHIND);
  }
  return image;
}

/** Do `code`; C1 is set before it, and the condition codes are not. */
export function runOnStack(code: readonly number[], stack: Stack): After {
  const flags = [0x68, ...le32(stack.eflags ?? 2), 0x9d]; // push imm32; popf
  const before = [0x0f, 0xae, 0x0d, ...le32(BEFORE), ...flags]; // fxrstor
  // fxsave; pushf; pop [STATUS_BEFORE]
  const after = [0x0f, 0xae, 0x05, ...le32(AFTER), 0x9c, 0x8f, 0x05, ...le32(STATUS_BEFORE)];
  const { vcpu } = guestOf([...before, ...code, ...after, 0x9b, HLT]);
  const operand = stack.operand ?? Array.from({ length: OPERAND_BYTES }, () => 0xaa);
  vcpu.ram.write(OPERAND, Uint8Array.from(operand));
  vcpu.ram.write(BEFORE, imageOf(stack));
  vcpu.setRegisters({ ...vcpu.getRegisters(), cr0: CR0_NE, cr4: CR4_SSE, edi: 0, esi: 0 });
  setHandler(vcpu, FLOATING_POINT, HANDLERS, [0xbf, 1, 0, 0, 0, 0x5e, HLT]); // mov edi, 1; pop esi; hlt
  if (vcpu.run(100_000) !== 'halted') throw new Error('the guest did not end');
  const { edi, esi } = vcpu.getRegisters();
  const image = vcpu.ram.read(AFTER, FX_BYTES)!.slice();
  const view = new DataView(image.buffer, image.byteOffset);
  const left = [...vcpu.ram.read(OPERAND, operand.length)!];
  const eflags = vcpu.ram.readU32(STATUS_BEFORE)!;
  vcpu.dispose();
  const raised = edi === 1;
  if (raised && esi - CODE !== before.length + code.length + after.length) throw new Error('#MF came too early');
  const status = view.getUint16(2, true);
  const top = (status >> 11) & 7;
  const contents = Array.from({ length: 8 }, (_, i) => readFloat80(image, 32 + 16 * ((TOP + i - top) & 7)));
  const registers = contents.map((value, i) => (image[4]! & (1 << ((TOP + i) & 7)) ? value : undefined));
  return { status: status & ~0x3800, top, registers, contents, operand: left, eflags, raised };
}
