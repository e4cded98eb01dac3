/**
 * MultiProcessor tables of this board, for kernels that look for a local APIC and an I/O APIC there.
 *
 *   offset  size  floating pointer            offset  size  configuration table header
 *   0       4     '_MP_'                      0       4     'PCMP'
 *   4       4     address of the table        4       2     bytes of header and entries
 *   8       1     bytes / 16 (1)              6       1     specification revision (4)
 *   9       1     specification revision (4)  7       1     checksum
 *   10      1     checksum                    8       8+12  OEM and product, padded with spaces
 *   11      1     0: a table follows          34      2     entries
 *   12      1     bit 7: 0, virtual wire      36      4     address of the local APICs
 *
 *   entries, by type: 0 processor (20 bytes), 1 buses, 2 I/O APIC, 3 I/O interrupts, 4 local interrupts (8 bytes each)
 *
 * The pointer comes first and the table right behind it. All bytes of either sum to 0 modulo 256; values are
 * little-endian. One processor; PCI is bus 0, ISA is bus 1; an ISA interrupt that PCI uses is listed as PCI's only.
 * Source: Intel MultiProcessor Specification 1.4, chapter 4.
 */
import { assert } from '../emulator/errors.js';
import { IO_APIC_ADDRESS, IO_APIC_VERSION, ioApicPin } from './io-apic.js';
import { LOCAL_APIC_ADDRESS, LOCAL_APIC_VERSION } from './local-apic.js';

const POINTER_BYTES = 16;
const HEADER_BYTES = 44;
const REVISION = 4;
const LOCAL_APIC_ID = 0;
const IO_APIC_ID = 0;
const PCI_BUS = 0;
const ISA_BUS = 1;
const ISA_IRQS = 16;
/** The 8259's cascade is no interrupt of a device. */
const CASCADE_IRQ = 2;

const PROCESSOR_ENABLED = 1;
const PROCESSOR_BOOTSTRAP = 2;
const IO_APIC_ENABLED = 1;
/** Interrupt types. */
const TYPE_VECTORED = 0;
const TYPE_NMI = 1;
const TYPE_EXTINT = 3;
const ALL_APICS = 0xff;

export interface PciInterrupt {
  readonly slot: number;
  /** 1: INTA# to 4: INTD#. */
  readonly pin: number;
  /** ISA interrupt that it reaches. */
  readonly isaIrq: number;
}

export interface MpTablesOptions {
  /** Where the bytes will be: a multiple of 16 in the EBDA, below 640 KiB or from 0xf0000 to 0xfffff. */
  readonly address: number;
  /** What CPUID leaf 1 shows in EAX and EDX. */
  readonly cpuSignature: number;
  readonly cpuFeatures: number;
  readonly pciInterrupts: readonly PciInterrupt[];
}

/** The floating pointer and, right behind it, the configuration table. */
export function mpTables(options: MpTablesOptions): Uint8Array {
  const { address } = options;
  assert(address % POINTER_BYTES === 0 && address < 0x100000, `no MP tables at ${address}`);
  const pointer = [...ascii('_MP_'), ...u32(address + POINTER_BYTES), 1, REVISION, 0, 0, 0, 0, 0, 0];
  return Uint8Array.from([...summed(pointer, 10), ...configurationTable(options)]);
}

function configurationTable(options: MpTablesOptions): number[] {
  const entries = [
    processor(options),
    bus(PCI_BUS, 'PCI'),
    bus(ISA_BUS, 'ISA'),
    ioApic(),
    ...ioInterrupts(options.pciInterrupts),
    interrupt(4, TYPE_EXTINT, ISA_BUS, 0, LOCAL_APIC_ID, 0),
    interrupt(4, TYPE_NMI, ISA_BUS, 0, ALL_APICS, 1),
  ];
  const body = entries.flat();
  const header = [
    ...[...ascii('PCMP'), ...u16(HEADER_BYTES + body.length), REVISION, 0],
    ...[...ascii('FT86'.padEnd(8)), ...ascii('PC'.padEnd(12))],
    ...[...u32(0), ...u16(0), ...u16(entries.length)],
    ...[...u32(LOCAL_APIC_ADDRESS), ...u16(0), 0, 0],
  ];
  return summed([...header, ...body], 7);
}

function processor({ cpuSignature, cpuFeatures }: MpTablesOptions): number[] {
  const flags = PROCESSOR_ENABLED | PROCESSOR_BOOTSTRAP;
  const version = LOCAL_APIC_VERSION & 0xff;
  return [0, LOCAL_APIC_ID, version, flags, ...u32(cpuSignature), ...u32(cpuFeatures), ...u32(0), ...u32(0)];
}

function bus(id: number, name: string): number[] {
  return [1, id, ...ascii(name.padEnd(6))];
}

function ioApic(): number[] {
  return [2, IO_APIC_ID, IO_APIC_VERSION, IO_APIC_ENABLED, ...u32(IO_APIC_ADDRESS)];
}

function ioInterrupts(pciInterrupts: readonly PciInterrupt[]): number[][] {
  const taken = new Set(pciInterrupts.map(({ isaIrq }) => isaIrq));
  const isa = Array.from({ length: ISA_IRQS }, (_, irq) => irq).filter((irq) => irq !== CASCADE_IRQ && !taken.has(irq));
  return [
    ...pciInterrupts.map(({ slot, pin, isaIrq }) => vectored(PCI_BUS, (slot << 2) | (pin - 1), isaIrq)),
    ...isa.map((irq) => vectored(ISA_BUS, irq, irq)),
  ];
}

function vectored(sourceBus: number, sourceIrq: number, isaIrq: number): number[] {
  return interrupt(3, TYPE_VECTORED, sourceBus, sourceIrq, IO_APIC_ID, ioApicPin(isaIrq));
}

/** An interrupt entry; polarity and trigger are those of its bus. */
function interrupt(
  entry: 3 | 4,
  type: number,
  sourceBus: number,
  sourceIrq: number,
  apic: number,
  pin: number,
): number[] {
  return [entry, type, ...u16(0), sourceBus, sourceIrq, apic, pin];
}

/** The bytes with the one at `at` chosen so that all sum to 0. */
function summed(bytes: readonly number[], at: number): number[] {
  const sum = bytes.reduce((total, byte) => total + byte, 0);
  return bytes.map((byte, index) => (index === at ? -sum & 0xff : byte));
}

function ascii(text: string): number[] {
  return Array.from(text, (character) => character.charCodeAt(0));
}

function u16(value: number): number[] {
  return [value & 0xff, (value >> 8) & 0xff];
}

function u32(value: number): number[] {
  return [...u16(value & 0xffff), ...u16(value >>> 16)];
}
