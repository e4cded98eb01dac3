/**
 * Descriptor tables, task state segments and page tables of the fidelity tests' guest.
 *
 * Each kind of descriptor that a sequence may meet exists once: valid ones, ones that raise #GP, #NP or #SS, gates.
 * Four address spaces map the first 64 MiB to themselves; they differ in the rights of the scratch pages.
 * Source: Intel SDM volume 3, sections 3.4.5 (descriptors), 3.5 (system descriptors), 4.3 (32-bit paging), 5.8.3
 * (call gates), 7.2 (TSS).
 */
import type { MonitorSymbols } from './assemble.js';
import { LAYOUT, VECTORS } from './layout.js';

const { CODE, CODE_BYTES, GDT, IDT, LDT, SCRATCH, SCRATCH_BYTES, SCRATCH_LOW, SPACES, SPACE_BYTES } = LAYOUT;

/** Selectors without their RPL; those below 40h are the monitor's. */
export const SELECTORS = {
  code3: 0x40,
  code0: 0x48,
  data3: 0x50,
  extra3: 0x58,
  stack3: 0x60,
  stack3Small: 0x68,
  readOnly3: 0x70,
  expandDown3: 0x78,
  executeOnly3: 0x80,
  conforming: 0x88,
  notPresent: 0x90,
  data0: 0x98,
  flatData3: 0xa0,
  flatCode3: 0xa8,
  gate32: 0xb0,
  gate16: 0xb8,
  gateRing0: 0xc0,
  gateNotPresent: 0xc8,
  task16: 0xd0,
  taskBusy: 0xd8,
  interruptGate: 0xe0,
  taskGate: 0xe8,
  reservedType: 0xf0,
  readOnly0: 0xf8,
  /** Six 16-bit code segments of 64 KiB, one after the other from CODE on. */
  code16: 0x100,
  codeNotPresent: 0x130,
} as const;

export const CODE16_WINDOWS = 6;

/** Selectors of everything there is; a sequence without paging must not load these from ring 0, and not those in ring 3. */
export const FLAT_SELECTORS: readonly number[] = [LAYOUT.MONITOR_CODE, LAYOUT.MONITOR_DATA];
export const FLAT_USER_SELECTORS: readonly number[] = [SELECTORS.flatData3, SELECTORS.flatCode3];

/** Selectors worth trying where any but a flat one may appear. */
export const BOUNDED_SELECTORS: readonly number[] = [
  0,
  ...Object.values(SELECTORS).filter((selector) => !FLAT_USER_SELECTORS.includes(selector)),
  LAYOUT.TSS_SELECTOR,
  LAYOUT.LDT_SELECTOR,
  ...[4, 0xc, 0x14, 0x1c, 0x24], // in the LDT, the last beyond its limit
  ...[0x1f8, 0x200, 0xfff8],
];

/** `access`: type, S, DPL, P; `granularity`: G, D/B, L, AVL as a nibble. */
function descriptor(base: number, limit: number, access: number, granularity: number): number[] {
  return [
    (limit & 0xffff) | ((base & 0xffff) << 16),
    ((base >>> 16) & 0xff) | (access << 8) | (limit & 0xf0000) | (granularity << 20) | (base & 0xff000000),
  ];
}

function gate(selector: number, offset: number, access: number, parameters: number): number[] {
  return [(offset & 0xffff) | (selector << 16), (offset & 0xffff0000) | (access << 8) | parameters];
}

const FLAT = 0xfffff;
const BYTE32 = 4;
const PAGE32 = 0xc;

function gdtEntries(symbols: MonitorSymbols): Map<number, number[]> {
  const { code3, code0, data3, extra3, stack3, stack3Small, readOnly3, expandDown3, executeOnly3 } = SELECTORS;
  const last = SCRATCH_BYTES - 1;
  const { gateTarget32, gateTarget16 } = symbols;
  const entries: [number, number[]][] = [
    [LAYOUT.MONITOR_CODE, descriptor(0, FLAT, 0x9b, PAGE32)],
    [LAYOUT.MONITOR_DATA, descriptor(0, FLAT, 0x93, PAGE32)],
    [LAYOUT.TSS_SELECTOR, descriptor(LAYOUT.TSS, LAYOUT.TSS_BYTES - 1, 0x89, 0)],
    [LAYOUT.DF_SELECTOR, descriptor(LAYOUT.DF_TSS, 0x67, 0x89, 0)],
    [LAYOUT.LDT_SELECTOR, descriptor(LDT, 0x1f, 0x82, 0)],
    [LAYOUT.REAL_DATA, descriptor(0, 0xffff, 0x93, 0)],
    [LAYOUT.REAL_CODE, descriptor(0, 0xffff, 0x9b, 0)],
    [code3, descriptor(CODE, CODE_BYTES - 1, 0xfb, BYTE32)],
    [code0, descriptor(CODE, CODE_BYTES - 1, 0x9b, BYTE32)],
    [data3, descriptor(SCRATCH, last, 0xf2, BYTE32)],
    [extra3, descriptor(SCRATCH + 0x800, last - 0x800, 0xf2, BYTE32)],
    [stack3, descriptor(SCRATCH + 0x3000, 0xfff, 0xf3, BYTE32)],
    [stack3Small, descriptor(SCRATCH + 0x3000, 0xfff, 0xf2, 0)],
    [readOnly3, descriptor(SCRATCH, last, 0xf0, BYTE32)],
    [expandDown3, descriptor(SCRATCH + SCRATCH_BYTES - 0x10000, 0x10000 - SCRATCH_BYTES - 1, 0xf6, 0)],
    [executeOnly3, descriptor(CODE, CODE_BYTES - 1, 0xf8, BYTE32)],
    [SELECTORS.conforming, descriptor(CODE, CODE_BYTES - 1, 0x9e, BYTE32)],
    [SELECTORS.notPresent, descriptor(SCRATCH, last, 0x72, BYTE32)],
    [SELECTORS.data0, descriptor(SCRATCH, last, 0x92, BYTE32)],
    [SELECTORS.flatData3, descriptor(0, FLAT, 0xf3, PAGE32)],
    [SELECTORS.flatCode3, descriptor(0, FLAT, 0xfb, PAGE32)],
    [SELECTORS.gate32, gate(LAYOUT.MONITOR_CODE, gateTarget32, 0xec, 2)],
    [SELECTORS.gate16, gate(LAYOUT.MONITOR_CODE, gateTarget16, 0xe4, 2)],
    [SELECTORS.gateRing0, gate(LAYOUT.MONITOR_CODE, gateTarget32, 0x8c, 2)],
    [SELECTORS.gateNotPresent, gate(LAYOUT.MONITOR_CODE, gateTarget32, 0x6c, 2)],
    [SELECTORS.task16, descriptor(LAYOUT.DF_TSS, 0x2b, 0x81, 0)],
    [SELECTORS.taskBusy, descriptor(LAYOUT.TSS, 0x67, 0x8b, 0)],
    [SELECTORS.interruptGate, gate(LAYOUT.MONITOR_CODE, gateTarget32, 0xee, 0)],
    [SELECTORS.taskGate, gate(LAYOUT.DF_SELECTOR, 0, 0x85, 0)],
    [SELECTORS.reservedType, descriptor(SCRATCH, last, 0xe8, 0)],
    [SELECTORS.readOnly0, descriptor(SCRATCH, last, 0x90, BYTE32)],
    [SELECTORS.codeNotPresent, descriptor(CODE, CODE_BYTES - 1, 0x7a, BYTE32)],
  ];
  for (let i = 0; i < CODE16_WINDOWS; i++)
    entries.push([SELECTORS.code16 + 8 * i, descriptor(CODE + 0x10000 * i, 0xffff, 0xfb, 0)]);
  return new Map(entries);
}

function putWords(ram: Buffer, address: number, words: readonly number[]): void {
  words.forEach((word, index) => ram.writeUInt32LE(word >>> 0, address + 4 * index));
}

function writeDescriptorTables(ram: Buffer, symbols: MonitorSymbols): void {
  for (const [selector, words] of gdtEntries(symbols)) putWords(ram, GDT + selector, words);
  const last = SCRATCH_BYTES - 1;
  putWords(ram, LDT, descriptor(SCRATCH, last, 0xf2, BYTE32));
  putWords(ram, LDT + 8, descriptor(CODE, CODE_BYTES - 1, 0xfa, BYTE32));
  putWords(ram, LDT + 16, descriptor(SCRATCH, last, 0x92, BYTE32));
  for (let vector = 0; vector < VECTORS; vector++) {
    const forUser = vector === 3 || vector === 4 || (vector >= 0x20 && vector < 0x28);
    const access = vector % 2 === 1 && vector > 0x20 ? 0x8f : 0x8e; // trap or interrupt gate
    const target = symbols.stubs + symbols.stubBytes * vector;
    putWords(ram, IDT + 8 * vector, gate(LAYOUT.MONITOR_CODE, target, access | (forUser ? 0x60 : 0), 0));
  }
  // Real mode has all 256; those without a stub of their own share the last one's.
  for (let vector = 0; vector < 256; vector++)
    putWords(ram, 4 * vector, [LAYOUT.REAL_MONITOR + 8 * Math.min(vector, VECTORS - 1)]);
  putWords(ram, IDT + 8 * 8, gate(LAYOUT.DF_SELECTOR, 0, 0x85, 0));
}

function writeTasks(ram: Buffer, symbols: MonitorSymbols): void {
  putWords(ram, LAYOUT.TSS + 4, [LAYOUT.MONITOR_STACK, LAYOUT.MONITOR_DATA]);
  ram.writeUInt16LE(0x68, LAYOUT.TSS + 0x66);
  // Ring 3 may use ports 5000h to 5fffh, where no device is.
  ram.fill(0xff, LAYOUT.TSS + 0x68, LAYOUT.TSS + LAYOUT.TSS_BYTES);
  ram.fill(0, LAYOUT.TSS + 0x68 + 0x5000 / 8, LAYOUT.TSS + 0x68 + 0x6000 / 8);
  const data = LAYOUT.MONITOR_DATA;
  putWords(ram, LAYOUT.DF_TSS + 0x1c, [spaceAddress(0), symbols.doubleFault, 2]);
  putWords(ram, LAYOUT.DF_TSS + 0x38, [LAYOUT.DF_STACK]);
  putWords(ram, LAYOUT.DF_TSS + 0x48, [data, LAYOUT.MONITOR_CODE, data, data, data, data, LAYOUT.LDT_SELECTOR]);
  ram.writeUInt16LE(0x68, LAYOUT.DF_TSS + 0x66);
}

const P = 1;
const W = 2;
const U = 4;

/** Rights of the four scratch pages in each address space; both scratch areas have the same. */
const SCRATCH_RIGHTS: readonly (readonly number[])[] = [
  [P | W | U, P | W | U, P | W | U, P | W | U],
  [P | W | U, W | U, P | U, P | W | U],
  [P | U, P | W, P | W | U, P | W | U],
  [P | W | U, P, 0, P | W | U],
];

/** CR3 of an address space. */
export function spaceAddress(space: number): number {
  return SPACES + SPACE_BYTES * space;
}

/** What the monitor needs of the first 4 MiB while a sequence runs. Everything else is missing, so that wild addresses fault. */
const USED: readonly (readonly [start: number, bytes: number])[] = [
  [LAYOUT.MONITOR, LAYOUT.MONITOR_BYTES],
  [GDT, 0x8000],
  [LAYOUT.MONITOR_STACK - 0x1000, 0x2000],
  [LAYOUT.DF_STACK - 0x1000, 0x2000],
  [LAYOUT.LENGTHS, CODE_BYTES],
];

function pageRights(page: number, space: number): number {
  const address = page * 0x1000;
  for (const scratch of [SCRATCH, SCRATCH_LOW]) {
    const index = (address - scratch) / 0x1000;
    if (index >= 0 && index < SCRATCH_BYTES / 0x1000) return SCRATCH_RIGHTS[space]![index]!;
  }
  if (address >= CODE && address < CODE + CODE_BYTES) return P | U;
  return USED.some(([start, bytes]) => address >= start && address < start + bytes) ? P | W : 0;
}

function writeSpaces(ram: Buffer): void {
  for (let space = 0; space < LAYOUT.SPACE_COUNT; space++) {
    const directory = spaceAddress(space);
    const table = directory + 0x1000;
    putWords(ram, directory, [table | P | W | U]);
    for (let page = 0; page < 1024; page++) putWords(ram, table + 4 * page, [(page << 12) | pageRights(page, space)]);
  }
}

/** Write all tables into a RAM image. */
export function writeTables(ram: Buffer, symbols: MonitorSymbols): void {
  writeDescriptorTables(ram, symbols);
  writeTasks(ram, symbols);
  writeSpaces(ram);
}
