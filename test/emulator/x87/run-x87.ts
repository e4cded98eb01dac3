/**
 * Runs one FPU instruction on a vcpu for each of many operands.
 *
 *   record, 96 bytes: control word, status word, tags after   16 x -> ST(0)   32 y -> ST(1)   48 64 results
 *
 * Source: Intel SDM volume 2, the instructions' opcodes.
 */
import { CODE, guestOf, le32, setHandler } from '../guest-code.js';
import { readFloat80, writeFloat80, type Float80 } from './float80.js';

export const OPCODES = {
  fsin: 0xfe,
  fcos: 0xff,
  fsincos: 0xfb,
  fptan: 0xf2,
  fpatan: 0xf3,
  f2xm1: 0xf0,
  fyl2x: 0xf1,
  fyl2xp1: 0xf9,
  fprem: 0xf8,
  fprem1: 0xf5,
  fxtract: 0xf4,
  fscale: 0xfd,
} as const;
export type Operation = keyof typeof OPCODES;

export interface Operands {
  /** 37Fh: everything masked, 64 bits, to nearest. */
  readonly control?: number;
  readonly x: Float80;
  /** Without it ST(1) is empty. */
  readonly y?: Float80;
}
export interface Outcome {
  readonly status: number;
  /** Two bits for each physical register; x was in 7, or y in 7 and x in 6. */
  readonly tags: number;
  readonly st0: Float80;
  readonly st1: Float80;
}

const RECORD = 96;
const RECORDS = 0x100000;
const ENVIRONMENT = 0x9000;

function program(code: readonly number[], count: number, two: boolean): number[] {
  const body = [
    ...[0xdb, 0xe3, 0xd9, 0x2e], // fninit; fldcw [esi]
    ...(two ? [0xdb, 0x6e, 32] : []), // fld tbyte [esi+32]
    ...[0xdb, 0x6e, 16], // fld tbyte [esi+16]
    ...code,
    ...[0xd9, 0x35, ...le32(ENVIRONMENT)], // fnstenv
    ...[0xa1, ...le32(ENVIRONMENT + 4), 0x89, 0x46, 4], // status
    ...[0xa1, ...le32(ENVIRONMENT + 8), 0x89, 0x46, 8], // tags
    ...[0xdb, 0x7e, 48, 0xdb, 0x7e, 64], // fstp tbyte [esi+48], [esi+64]
    ...[0x83, 0xc6, RECORD, 0x49], // add esi, 96; dec ecx
  ];
  const start = [0xbe, ...le32(RECORDS), 0xb9, ...le32(count)];
  return [...start, ...body, 0x75, 256 - body.length - 2, 0xf4];
}

/** The instruction's outcome for each of `operands`, which all have a y or all have none. */
export function runX87(operation: Operation, operands: readonly Operands[]): Outcome[] {
  return runX87Code([0xd9, OPCODES[operation]], operands);
}

/** The same for an instruction in machine code. CR0.NE is clear: an unmasked exception stops nothing. */
export function runX87Code(code: readonly number[], operands: readonly Operands[]): Outcome[] {
  const two = operands[0]?.y !== undefined;
  const bytes = new Uint8Array(operands.length * RECORD);
  operands.forEach(({ control = 0x37f, x, y }, index) => {
    new DataView(bytes.buffer).setUint16(index * RECORD, control, true);
    writeFloat80(bytes, index * RECORD + 16, x);
    if (y) writeFloat80(bytes, index * RECORD + 32, y);
  });
  const { vcpu } = guestOf(program(code, operands.length, two));
  vcpu.ram.write(RECORDS, bytes);
  if (vcpu.run(Infinity) !== 'halted') throw new Error('the guest did not end');
  const after = vcpu.ram.read(RECORDS, bytes.length) ?? bytes;
  vcpu.dispose();
  const view = new DataView(after.buffer, after.byteOffset);
  return operands.map((_, index) => ({
    status: view.getUint16(index * RECORD + 4, true),
    tags: view.getUint16(index * RECORD + 8, true),
    st0: readFloat80(after, index * RECORD + 48),
    st1: readFloat80(after, index * RECORD + 64),
  }));
}

/** Runs code that must end in the #MF handler; the address it was raised for. */
export function runToFloatingPointError(code: readonly number[], cr0: number): number | undefined {
  const { vcpu } = guestOf([...code, 0xf4]);
  vcpu.setRegisters({ ...vcpu.getRegisters(), cr0 });
  setHandler(vcpu, 16, 0x5000, [0xbf, 16, 0, 0, 0, 0x5e, 0xf4]); // mov edi, 16; pop esi; hlt
  vcpu.run(100000);
  const { edi, esi } = vcpu.getRegisters();
  vcpu.dispose();
  return edi === 16 ? esi - CODE : undefined;
}
