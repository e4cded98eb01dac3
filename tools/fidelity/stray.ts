/**
 * Instructions that no sequence was meant to run: a wild jump into other code or into data.
 * Source: Intel SDM volume 2, 2.1 and table 2-2.
 */
import { INTEGER_TABLES } from './integer-table.js';
import { LAYOUT } from './layout.js';
import type { Placed } from './sequence.js';

export const PREFIXES = new Set([0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65]);

const BYTES_MAX = 15;
const REGISTER_FORM = 0xc0;
const POP_SS = 0x17;
const MOV_TO_SEGMENT = 0x8e;
const MODRM_FIELD = 0x38;
const FIELD_SS = 0x10;
const TEMPLATES = Object.values(INTEGER_TABLES).flat();

/** What a sequence finds at an address at its start: its scratch memory is a copy of a template. */
function bytesAt(image: Buffer, entry: Buffer, address: number): number[] {
  const scratch = address - entry.readUInt32LE(24);
  const at = scratch >= 0 && scratch < LAYOUT.SCRATCH_BYTES ? entry.readUInt32LE(28) + scratch : address;
  return [...image.subarray(at, at + BYTES_MAX)];
}

/** Length of POP SS or of MOV SS from a register, behind which the next instruction runs without a trap between; else 0. */
function stackLoadLength(code: readonly number[], opcodeAt: number): number {
  const [opcode, modrm] = [code[opcodeAt], code[opcodeAt + 1] ?? 0];
  if (opcode === POP_SS) return opcodeAt + 1;
  const isStack = opcode === MOV_TO_SEGMENT && modrm >= REGISTER_FORM && (modrm & MODRM_FIELD) === FIELD_SS;
  return isStack ? opcodeAt + 2 : 0;
}

/** Rule for the flags it leaves undefined; unknown where an operand in memory hides the immediate count. */
function flagsRule(opcode: readonly number[], modrm: number): string {
  const found = TEMPLATES.find(
    (template) =>
      template.modrm !== 'none' &&
      template.opcode.join() === opcode.join() &&
      (typeof template.field !== 'number' || template.field === ((modrm >> 3) & 7)),
  );
  if (found === undefined || (found.immediates.length > 0 && modrm < REGISTER_FORM)) return '';
  return found.undefinedFlags;
}

/** What lies at an address of the code: enough of it to tell which instruction it is. */
export function stray(image: Buffer, entry: Buffer, address: number): Placed | undefined {
  if (address >= image.length) return undefined;
  const bytes = bytesAt(image, entry, address);
  const at = bytes.findIndex((byte) => !PREFIXES.has(byte));
  const skipped = stackLoadLength(bytes, at);
  if (skipped > 0) return stray(image, entry, address + skipped);
  const twoBytes = bytes[at] === 0x0f;
  const opcode = bytes.slice(at, at + (twoBytes ? 2 : 1));
  const text = opcode.map((byte) => byte.toString(16).padStart(2, '0'));
  const modrm = bytes[at + opcode.length] ?? 0;
  const kind = modrm >= REGISTER_FORM ? 'reg' : 'mem';
  const column = twoBytes ? ([0xf3, 0xf2, 0x66].find((byte) => bytes.slice(0, at).includes(byte)) ?? 0) : 0;
  if (column !== 0) text.unshift(column.toString(16));
  const template = text[0] === 'd9' && modrm >= 0xe0 ? `d9 ${modrm.toString(16)}` : `${text.join(' ')} /r ${kind}`;
  const undefinedFlags = flagsRule(opcode, modrm);
  // With an operand in a register its length is known: maskOf() looks for a count in the last byte.
  const known = undefinedFlags !== '' && modrm >= REGISTER_FORM ? bytes.slice(0, at + opcode.length + 2) : bytes;
  return { address, instruction: { bytes: known, template, undefinedFlags } };
}
