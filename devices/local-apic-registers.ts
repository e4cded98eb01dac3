/**
 * Registers of a local APIC: offsets from its base, fields, and what a snapshot keeps.
 *
 * Source: Intel SDM volume 3A, table 11-1 and figures 11-8 (LVT), 11-12 (ICR), 11-9 (ESR), 11-23 (SVR).
 */
import type { InterruptMessage } from './interrupt-source.js';
import type { SavedFields } from './saved-fields.js';

export const APIC_ID = 0x020;
export const APIC_VERSION = 0x030;
export const APIC_TPR = 0x080;
export const APIC_APR = 0x090;
export const APIC_PPR = 0x0a0;
export const APIC_EOI = 0x0b0;
export const APIC_REMOTE_READ = 0x0c0;
export const APIC_LDR = 0x0d0;
export const APIC_DFR = 0x0e0;
export const APIC_SVR = 0x0f0;
/** Eight registers each, 16 bytes apart. */
export const APIC_ISR = 0x100;
export const APIC_TMR = 0x180;
export const APIC_IRR = 0x200;
export const APIC_ESR = 0x280;
export const APIC_ICR_LOW = 0x300;
export const APIC_ICR_HIGH = 0x310;
export const APIC_LVT_TIMER = 0x320;
export const APIC_LVT_PERFORMANCE = 0x340;
export const APIC_LVT_LINT0 = 0x350;
export const APIC_LVT_LINT1 = 0x360;
export const APIC_LVT_ERROR = 0x370;
export const APIC_INITIAL_COUNT = 0x380;
export const APIC_CURRENT_COUNT = 0x390;
export const APIC_DIVIDE = 0x3e0;

/** Destination of a message to all. */
export const BROADCAST = 0xff;

export const SVR_ENABLED = 1 << 8;
export const SVR_WRITABLE = 0x3ff;
export const DFR_ONES = 0x0fffffff;
export const ESR_SEND_ILLEGAL_VECTOR = 1 << 5;
export const ESR_RECEIVE_ILLEGAL_VECTOR = 1 << 6;
export const ESR_ILLEGAL_REGISTER = 1 << 7;
export const ESR_BITS = ESR_SEND_ILLEGAL_VECTOR | ESR_RECEIVE_ILLEGAL_VECTOR | ESR_ILLEGAL_REGISTER;
export const LVT_MASKED = 1 << 16;
export const LVT_PERIODIC = 1 << 17;
export const LVT_VECTOR = 0xff;
/** Delivery modes, bits 10..8 of LVT entries and of the ICR. */
export const DELIVERY_SHIFT = 8;
export const DELIVERY_MASK = 7;
export const DELIVERY_FIXED = 0;
export const DELIVERY_LOWEST = 1;
export const DELIVERY_NMI = 4;
export const DELIVERY_EXTINT = 7;
export const ICR_LOGICAL = 1 << 11;
/** Bit 12, the delivery status, always reads 0. */
export const ICR_LOW_WRITABLE = 0xccfff;
export const ICR_SHORTHAND_SHIFT = 18;
export const SHORTHAND_SELF = 1;
export const SHORTHAND_ALL = 2;
export const SHORTHAND_OTHERS = 3;

/** Entries of the local vector table in the order in which they are kept. */
export const LVT_ENTRIES = ['timer', 'performance', 'lint0', 'lint1', 'error'] as const;
export type LvtEntry = (typeof LVT_ENTRIES)[number];
export const LVT_WRITABLE: Readonly<Record<LvtEntry, number>> = {
  timer: 0x300ff,
  performance: 0x107ff,
  lint0: 0x1a7ff,
  lint1: 0x1a7ff,
  error: 0x100ff,
};

/** Registers that a guest writes, and the errors; priorities and timer are kept apart. */
export interface LocalApicRegisters {
  id: number;
  ldr: number;
  dfr: number;
  svr: number;
  /** What ESR shows, and what it will show after the next write to it. */
  esr: number;
  errors: number;
  icrLow: number;
  icrHigh: number;
  readonly lvt: Record<LvtEntry, number>;
}

/** The processor's values, but with the LINT pins as firmware leaves them: 8259 and NMI straight to the CPU. */
export function powerOnApicRegisters(): LocalApicRegisters {
  return {
    id: 0,
    ldr: 0,
    dfr: 0xffffffff,
    svr: 0xff,
    esr: 0,
    errors: 0,
    icrLow: 0,
    icrHigh: 0,
    lvt: {
      timer: LVT_MASKED,
      performance: LVT_MASKED,
      lint0: DELIVERY_EXTINT << DELIVERY_SHIFT,
      lint1: DELIVERY_NMI << DELIVERY_SHIFT,
      error: LVT_MASKED,
    },
  };
}

/** Read what a snapshot keeps, changing nothing. Does not finish the record. @throws DecodeError */
export function decodeApicRegisters(fields: SavedFields): LocalApicRegisters {
  const only = (field: keyof LocalApicRegisters, bits: number, set = 0): number => {
    const value = fields.integer(field, 0, 0xffffffff);
    if ((value & ~bits) !== 0 || (value & set) >>> 0 !== set) throw fields.wrong(field, 'has impossible bits');
    return value;
  };
  const lvt = fields.record('lvt');
  const entry = (name: LvtEntry): number => {
    const value = lvt.integer(name, 0, 0xffffffff);
    if ((value & ~LVT_WRITABLE[name]) !== 0) throw lvt.wrong(name, 'has a reserved bit set');
    return value;
  };
  const registers: LocalApicRegisters = {
    id: only('id', 0xff000000),
    ldr: only('ldr', 0xff000000),
    dfr: only('dfr', 0xffffffff, DFR_ONES),
    svr: only('svr', SVR_WRITABLE),
    esr: only('esr', ESR_BITS),
    errors: only('errors', ESR_BITS),
    icrLow: only('icrLow', ICR_LOW_WRITABLE),
    icrHigh: only('icrHigh', 0xff000000),
    lvt: {
      timer: entry('timer'),
      performance: entry('performance'),
      lint0: entry('lint0'),
      lint1: entry('lint1'),
      error: entry('error'),
    },
  };
  lvt.finish();
  return registers;
}

/** Whether a message is for the APIC with these registers. */
export function isAddressed({ id, ldr, dfr }: LocalApicRegisters, { logical, destination }: InterruptMessage): boolean {
  if (destination === BROADCAST) return true;
  if (!logical) return destination === id >>> 24;
  const own = ldr >>> 24;
  // Cluster model: a cluster's number above a set of its members.
  if (dfr >>> 28 === 0) return own >> 4 === destination >> 4 && (own & destination & 0x0f) !== 0;
  return (own & destination) !== 0;
}

/**
 * What the ICR orders: a delivery mode, and the message to send, or null when it is not for this processor. To itself by
 * the shorthand a processor can send nothing but a vector (table 11-3).
 */
export function interruptCommand({ icrLow, icrHigh }: LocalApicRegisters): {
  readonly mode: number;
  readonly message: InterruptMessage | null;
} {
  const mode = (icrLow >> DELIVERY_SHIFT) & DELIVERY_MASK;
  const shorthand = icrLow >> ICR_SHORTHAND_SHIFT;
  if (shorthand === SHORTHAND_OTHERS || (shorthand === SHORTHAND_SELF && mode === DELIVERY_NMI)) {
    return { mode, message: null };
  }
  const all = shorthand === SHORTHAND_SELF || shorthand === SHORTHAND_ALL;
  const destination = all ? BROADCAST : icrHigh >>> 24;
  const logical = (icrLow & ICR_LOGICAL) !== 0;
  return { mode, message: { vector: icrLow & LVT_VECTOR, level: false, logical, destination } };
}

/** Whether a write to this register is lost. */
export function isReadOnly(offset: number): boolean {
  if (offset >= APIC_ISR && offset < APIC_ESR) return true;
  return [APIC_VERSION, APIC_APR, APIC_PPR, APIC_REMOTE_READ, APIC_CURRENT_COUNT].includes(offset);
}
