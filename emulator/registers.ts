/**
 * The processor's registers by name, and their order as words in the native core (`core_registers` in
 * native/core.h): EAX ECX EDX EBX ESP EBP ESI EDI, EIP EFLAGS, CR0 CR2 CR3 CR4, eight segment registers
 * of four words each, GDT and IDT base and limit: 50 words.
 *
 * Source: Intel SDM volume 3, sections 2.4 (GDTR, IDTR), 3.4.5 (hidden parts of segment registers).
 */
import { assert } from './errors.js';

export interface SegmentRegister {
  readonly selector: number;
  readonly base: number;
  /** In bytes, granularity applied. */
  readonly limit: number;
  /** The descriptor's second word without base and limit: type and DPL in bits 8-15, AVL, D, G in 20-23. */
  readonly flags: number;
}

const GENERAL = ['eax', 'ecx', 'edx', 'ebx', 'esp', 'ebp', 'esi', 'edi', 'eip', 'eflags'] as const;
const CONTROL = ['cr0', 'cr2', 'cr3', 'cr4'] as const;
const SEGMENTS = ['es', 'cs', 'ss', 'ds', 'fs', 'gs', 'ldt', 'tr'] as const;
const TABLES = ['gdtBase', 'gdtLimit', 'idtBase', 'idtLimit'] as const;

type NumberName = (typeof GENERAL)[number] | (typeof CONTROL)[number] | (typeof TABLES)[number];
export type Registers = { readonly [name in NumberName]: number } & {
  readonly [name in (typeof SEGMENTS)[number]]: SegmentRegister;
};

const WORDS = GENERAL.length + CONTROL.length + 4 * SEGMENTS.length + TABLES.length;

export function registersFromWords(words: Uint32Array): Registers {
  assert(words.length === WORDS, `registers: ${words.length} words`);
  const found: Record<string, number | SegmentRegister> = {};
  let at = 0;
  const next = (): number => words[at++]!;
  for (const name of [...GENERAL, ...CONTROL]) found[name] = next();
  for (const name of SEGMENTS) found[name] = { selector: next(), base: next(), limit: next(), flags: next() };
  for (const name of TABLES) found[name] = next();
  return found as unknown as Registers;
}

export function wordsFromRegisters(registers: Registers): Uint32Array {
  const words: number[] = [];
  for (const name of [...GENERAL, ...CONTROL]) words.push(registers[name]);
  for (const name of SEGMENTS) {
    const { selector, base, limit, flags } = registers[name];
    words.push(selector, base, limit, flags);
  }
  for (const name of TABLES) words.push(registers[name]);
  return Uint32Array.from(words);
}
