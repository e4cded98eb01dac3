/**
 * A template made into bytes: prefixes, ModRM and SIB forms, immediates.
 * Source: Intel SDM volume 2, chapter 2, tables 2-1 to 2-3.
 */
import type { Chooser } from './random-values.js';
import { dataOffset, type Shape } from './shape.js';
import type { Immediate, Template } from './template.js';

export interface Instruction {
  readonly bytes: number[];
  readonly template: string;
  /** Rule for the flags it leaves undefined. */
  readonly undefinedFlags: string;
  /** A place in `bytes` to be filled in with where a later unit starts. */
  readonly target?: Target;
}

export interface Target {
  readonly at: number;
  readonly size: number;
  readonly relative: boolean;
}

export function littleEndian(value: number, size: number): number[] {
  return Array.from({ length: size }, (_, i) => (i < 4 ? (value >>> (8 * i)) & 255 : 0));
}

/** An instruction given by its bytes. */
export function fixed(template: string, ...bytes: readonly number[]): Instruction {
  return { bytes: [...bytes], template, undefinedFlags: '' };
}

/** A register number; seldom that of the stack pointer. */
export function anyRegister(choose: Chooser): number {
  const register = choose.below(8);
  return register === 4 && choose.chance(85) ? choose.below(4) : register;
}

function memory16(choose: Chooser, shape: Shape, field: number, align: number): number[] {
  const mod = choose.pick([0, 0, 0, 1, 2]);
  const rm = mod === 0 && choose.chance(60) ? 6 : choose.below(8);
  const first = (mod << 6) | (field << 3) | rm;
  if (mod === 1) return [first, choose.below(256)];
  if (mod === 2) return [first, ...littleEndian(choose.chance(70) ? choose.below(64) : choose.below(0x10000), 2)];
  return rm === 6 ? [first, ...littleEndian(dataOffset(shape, choose, align), 2)] : [first];
}

function displacement32(choose: Chooser): number {
  return choose.chance(80) ? choose.below(256) : choose.chance(50) ? -choose.below(256) : choose.value();
}

function memory32(choose: Chooser, shape: Shape, field: number, align: number): number[] {
  const direct = (): number[] => littleEndian(dataOffset(shape, choose, align), 4);
  if (choose.chance(40)) return [(field << 3) | 5, ...direct()];
  const mod = choose.pick([0, 1, 2]);
  const rm = choose.chance(35) ? 4 : choose.below(8);
  const first = (mod << 6) | (field << 3) | rm;
  const bytes = [first];
  let base = rm;
  if (rm === 4) {
    const index = choose.chance(30) ? 4 : choose.below(8);
    base = choose.below(8);
    bytes.push((choose.pick([0, 0, 1, 2, 3]) << 6) | (index << 3) | base);
  }
  if (mod === 0 && base === 5) bytes.push(...direct());
  if (mod === 1) bytes.push(choose.below(256));
  if (mod === 2) bytes.push(...littleEndian(displacement32(choose), 4));
  return bytes;
}

/** ModRM with all that follows it. */
function modrm(choose: Chooser, shape: Shape, template: Template, addressBits: number): number[] {
  let field: number;
  if (template.field === 'register') field = anyRegister(choose);
  else if (template.field === 'segment') field = choose.pick([0, 2, 3, 4, 5]);
  else field = template.field;
  const memory = template.modrm === 'mem' || (template.modrm === 'any' && choose.chance(50));
  if (!memory) return [0xc0 | (field << 3) | anyRegister(choose)];
  const align = template.words.has('al16') && choose.chance(85) ? 16 : 1;
  return addressBits === 16 ? memory16(choose, shape, field, align) : memory32(choose, shape, field, align);
}

function immediate(choose: Chooser, shape: Shape, kind: Immediate, sizes: Sizes): number[] {
  switch (kind) {
    case 'ib':
      return [choose.chance(60) ? choose.below(34) : choose.below(256)];
    case 'i3':
      return [choose.below(8)];
    case 'iw':
      return littleEndian(choose.chance(90) ? choose.below(64) : choose.below(0x10000), 2);
    case 'iz':
      return littleEndian(choose.value(), sizes.operandBits / 8);
    case 'ia':
      return littleEndian(dataOffset(shape, choose, 1), sizes.addressBits / 8);
    case 'rel8':
      return [0];
    case 'relz':
      return littleEndian(0, sizes.operandBits / 8);
    case 'far':
      return [
        ...littleEndian(choose.below(0x400), sizes.operandBits / 8),
        ...littleEndian(choose.pick(shape.selectors), 2),
      ];
  }
}

interface Sizes {
  readonly operandBits: number;
  readonly addressBits: number;
}

const LOCK = 0xf0;
const SEGMENT_OVERRIDES = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65];

/** Prefixes that change nothing of the template's meaning but sizes, segment and atomicity; seldom a wrong LOCK. */
function prefixes(choose: Chooser, shape: Shape, template: Template): { bytes: number[]; sizes: Sizes } {
  const bytes: number[] = [];
  const hasAddress = template.modrm !== 'none' || template.immediates.includes('ia');
  let operandBits: number = shape.bits;
  let addressBits: number = shape.bits;
  if (hasAddress && choose.chance(8)) bytes.push(choose.pick(SEGMENT_OVERRIDES));
  if (template.words.has('only32')) {
    if (shape.bits === 16) bytes.push(0x66);
    operandBits = 32;
  } else if (!template.words.has('no66') && choose.chance(shape.bits === 16 ? 35 : 18)) {
    bytes.push(0x66);
    operandBits = 48 - operandBits;
  }
  if (hasAddress && shape.paging && choose.chance(shape.bits === 16 ? 20 : 6)) {
    bytes.push(0x67);
    addressBits = 48 - addressBits;
  }
  if (choose.chance(template.words.has('lock') ? 12 : 1)) bytes.push(LOCK);
  return { bytes, sizes: { operandBits, addressBits } };
}

/** Make one instruction of a template. */
export function encode(choose: Chooser, shape: Shape, template: Template): Instruction {
  const { bytes, sizes } = prefixes(choose, shape, template);
  const operands = template.modrm === 'none' ? [] : modrm(choose, shape, template, sizes.addressBits);
  // LOCK with a bit string in a register ends QEMU 7.2 itself (docs/fidelity.md).
  if (bytes.at(-1) === LOCK && template.undefinedFlags === 'OSAP' && operands[0]! >= 0xc0) bytes.pop();
  bytes.push(...template.opcode);
  if (template.plusRegister) bytes[bytes.length - 1]! |= anyRegister(choose);
  bytes.push(...operands);
  let target: Target | undefined;
  for (const kind of template.immediates) {
    const value = immediate(choose, shape, kind, sizes);
    if (kind === 'rel8' || kind === 'relz') target = { at: bytes.length, size: value.length, relative: true };
    bytes.push(...value);
  }
  const { text, undefinedFlags } = template;
  return target === undefined
    ? { bytes, template: text, undefinedFlags }
    : { bytes, template: text, undefinedFlags, target };
}
