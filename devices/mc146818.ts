/**
 * MC146818 real-time clock with 128 bytes of CMOS memory.
 *
 *   0x70  index (bits 6..0), NMI mask (bit 7), write-only      0x71  the byte at the index
 *
 *   0x00..0x09 time and alarm | 0x0a..0x0d registers A to D | 0x0e..0x7f memory, of which 0x32 is the century
 *
 * The clock shows Environment.bootUnixSeconds plus guest time, plus whatever the guest set. Flags in register C are
 * found out when somebody looks; only an enabled interrupt whose line is low has a deadline.
 *
 * Invariants: the IRQ level is C & B & 0x70, recomputed only by #sync(); flags hold everything up to `settledNs`;
 * the time bytes of `memory` mean something only while the clock is stopped.
 * Source: Motorola MC146818A data sheet, "Registers" and "Interrupts"; IBM PC/AT Technical Reference, CMOS RAM map;
 *   Bochs BIOS, rombios.c, int19 (boot order).
 */
import { assert } from '../emulator/errors.js';
import type { DeviceModel, IrqLine, RegisterBlock, TimedDevice } from './device.js';
import type { Environment } from './environment.js';
import * as clock from './mc146818-time.js';
import type { StateRecord } from './state.js';
import { SavedFields } from './saved-fields.js';

export const RTC_PORT = 0x70;
export const RTC_PORT_COUNT = 2;

const REGISTER_A = 0x0a;
const REGISTER_B = 0x0b;
const REGISTER_C = 0x0c;
const REGISTER_D = 0x0d;
const MEMORY_BYTES = 128;

const A_UIP = 0x80;
const A_DIVIDER_RESET = 0x60;
/** 32,768 Hz time base, 1,024 Hz periodic rate: what PC firmware sets. */
const A_POWER_ON = 0x26;
const B_SET = 0x80;
const B_PIE = 0x40;
const B_AIE = 0x20;
const B_UIE = 0x10;
const C_IRQF = 0x80;
const C_PF = 0x40;
const C_AF = 0x20;
const C_UF = 0x10;
const INTERRUPTS = B_PIE | B_AIE | B_UIE;
/** Valid RAM and time. */
const D_VRT = 0x80;

const NMI_MASK = 0x80;
const HALF_SECOND_NS = 500_000_000;

/** CMOS RAM map: equipment, memory sizes (little-endian), checksum (big-endian) over 0x10 to 0x2d; boot order, a nibble
 * each, the first one low, as the BIOSes of emulated PCs read it. */
const CMOS_EQUIPMENT = 0x14;
const EQUIPMENT_FPU = 0x02;
const CMOS_BASE_KIB = 0x15;
const CMOS_EXTENDED_KIB = 0x17;
const CMOS_EXTENDED_KIB_2 = 0x30;
const CMOS_ABOVE_16M_64KIB = 0x34;
const CMOS_CHECKSUM = 0x2e;
const CMOS_BOOT_ORDER = 0x3d;
const BOOT_HARD_DISK = 2;
const BASE_KIB = 640;
const MIB = 1024 * 1024;

export interface Mc146818Options {
  readonly environment: Pick<Environment, 'nowNs' | 'bootUnixSeconds' | 'deadlineChanged'>;
  /** IRQ 8. */
  readonly irq: IrqLine;
  /** Guest RAM, which firmware reads out of the CMOS memory. */
  readonly ramBytes: number;
}

export class Mc146818 implements DeviceModel, TimedDevice, RegisterBlock {
  readonly #options: Mc146818Options;
  readonly #memory = new Uint8Array(MEMORY_BYTES);
  #index = 0;
  #nmiMasked = false;
  #baseSeconds = 0;
  #phaseNs = 0;
  #weekdayShift = 0;
  #flags = 0;
  #settledNs = 0;
  /** Follows from the rest; kept because it is asked for often. */
  #deadlineNs: number | null = null;

  constructor(options: Mc146818Options) {
    assert(options.ramBytes >= MIB, 'a PC has at least 1 MiB of RAM');
    this.#options = options;
    this.reset();
  }

  /** Bit 7 of port 0x70. */
  get nmiMasked(): boolean {
    return this.#nmiMasked;
  }

  read(offset: number, _size: number): number {
    if (offset !== 1) return 0xff;
    const now = this.#options.environment.nowNs();
    switch (this.#index) {
      case REGISTER_A:
        return this.#memory[REGISTER_A]! | (this.#isRunning() && clock.updateInProgress(this.#clock, now) ? A_UIP : 0);
      case REGISTER_C:
        return this.#readFlags(now);
      case REGISTER_D:
        return D_VRT;
      default:
        if (isTime(this.#index) && this.#isRunning()) return this.#shownAt(now)[this.#index]!;
        return this.#memory[this.#index]!;
    }
  }

  write(offset: number, _size: number, value: number): void {
    const byte = value & 0xff;
    if (offset === 0) {
      this.#index = byte & ~NMI_MASK;
      this.#nmiMasked = (byte & NMI_MASK) !== 0;
    } else if (offset === 1) {
      const now = this.#options.environment.nowNs();
      this.#settle(now);
      this.#writeRegister(byte, now);
      this.#sync();
    }
  }

  nextDeadlineNs(): number | null {
    return this.#deadlineNs;
  }

  advance(nowNs: number): void {
    if (this.#deadlineNs === null || nowNs < this.#deadlineNs) return;
    this.#settle(nowNs);
    this.#options.irq.set(this.#requested);
    this.#deadlineNs = this.#findDeadline();
  }

  /** The time the guest set is lost, as with a new battery; it counts from power-on again. */
  reset(): void {
    this.#memory.fill(0);
    this.#memory[REGISTER_A] = A_POWER_ON;
    this.#memory[REGISTER_B] = clock.B_24_HOURS;
    fillCmos(this.#memory, this.#options.ramBytes);
    this.#index = 0;
    this.#nmiMasked = false;
    this.#baseSeconds = this.#options.environment.bootUnixSeconds;
    this.#phaseNs = 0;
    this.#weekdayShift = 0;
    this.#flags = 0;
    this.#settledNs = 0;
    this.#deadlineNs = null;
  }

  save(): StateRecord {
    return {
      index: this.#index,
      nmiMasked: this.#nmiMasked,
      memory: this.#memory.slice(),
      baseSeconds: this.#baseSeconds,
      phaseNs: this.#phaseNs,
      weekdayShift: this.#weekdayShift,
      flags: this.#flags,
      settledNs: this.#settledNs,
    };
  }

  restore(state: StateRecord): void {
    const fields = new SavedFields(state, 'rtc');
    const index = fields.integer('index', 0, MEMORY_BYTES - 1);
    const nmiMasked = fields.boolean('nmiMasked');
    const memory = fields.bytes('memory', MEMORY_BYTES);
    // Centuries on both sides of any boot time: enough for whatever a guest can set.
    const seconds = 2 ** 42;
    const baseSeconds = fields.integer('baseSeconds', -seconds, seconds);
    const phaseNs = fields.integer('phaseNs', -HALF_SECOND_NS, Number.MAX_SAFE_INTEGER);
    const weekdayShift = fields.integer('weekdayShift', 0, 6);
    const flags = fields.integer('flags', 0, INTERRUPTS);
    const settledNs = fields.integer('settledNs', 0, Number.MAX_SAFE_INTEGER);
    fields.finish();
    if ((flags & ~INTERRUPTS) !== 0) throw fields.wrong('flags', 'has unknown bits');
    if ((memory[REGISTER_A]! & A_UIP) !== 0) throw fields.wrong('memory', 'has UIP stored in register A');
    this.#index = index;
    this.#nmiMasked = nmiMasked;
    this.#memory.set(memory);
    this.#baseSeconds = baseSeconds;
    this.#phaseNs = phaseNs;
    this.#weekdayShift = weekdayShift;
    this.#flags = flags;
    this.#settledNs = settledNs;
    this.#deadlineNs = this.#findDeadline();
  }

  get #clock(): clock.RunningClock {
    return { baseSeconds: this.#baseSeconds, phaseNs: this.#phaseNs };
  }
  get #registerB(): number {
    return this.#memory[REGISTER_B]!;
  }
  #isDividerReset(): boolean {
    return (this.#memory[REGISTER_A]! & A_DIVIDER_RESET) === A_DIVIDER_RESET;
  }
  #isRunning(): boolean {
    return (this.#registerB & B_SET) === 0 && !this.#isDividerReset();
  }
  get #rateSelect(): number {
    return this.#isDividerReset() ? 0 : this.#memory[REGISTER_A]! & 15;
  }
  get #requested(): boolean {
    return (this.#flags & this.#registerB & INTERRUPTS) !== 0;
  }

  /** The memory with the time registers as a running clock shows them. */
  #shownAt(now: number): Uint8Array {
    const shown = this.#memory.slice();
    clock.encodeTime(clock.secondsAt(this.#clock, now), this.#registerB, this.#weekdayShift, shown);
    return shown;
  }

  /** Let the clock go on from what `registers` show. */
  #setTime(registers: Uint8Array, now: number): void {
    const wanted = clock.decodeTime(registers, this.#registerB);
    this.#baseSeconds += wanted - clock.secondsAt(this.#clock, now);
    this.#weekdayShift = clock.weekdayShiftOf(registers, this.#registerB);
  }

  #readFlags(now: number): number {
    this.#settle(now);
    const flags = this.#flags | (this.#requested ? C_IRQF : 0);
    this.#flags = 0;
    this.#sync();
    return flags;
  }

  #writeRegister(value: number, now: number): void {
    const index = this.#index;
    if (index === REGISTER_A) {
      this.#writeControl(REGISTER_A, value & ~A_UIP, now);
    } else if (index === REGISTER_B) {
      const set = (value & B_SET) !== 0;
      // Setting SET clears UIE.
      this.#writeControl(REGISTER_B, set ? value & ~B_UIE : value, now);
    } else if (index === REGISTER_C || index === REGISTER_D) {
      return;
    } else if (isTime(index) && this.#isRunning()) {
      const shown = this.#shownAt(now);
      shown[index] = value;
      this.#setTime(shown, now);
    } else {
      this.#memory[index] = value;
    }
  }

  /** Write register A or B; the clock may stop or start by it. */
  #writeControl(register: number, value: number, now: number): void {
    const wasRunning = this.#isRunning();
    const wasReset = this.#isDividerReset();
    if (wasRunning) this.#memory.set(this.#shownAt(now));
    this.#memory[register] = value;
    // The first update after a divider reset comes half a second later.
    if (wasReset && !this.#isDividerReset()) this.#phaseNs = now - HALF_SECOND_NS;
    if (!wasRunning && this.#isRunning()) this.#setTime(this.#memory, now);
    if (this.#isRunning()) for (const at of clock.TIME_REGISTERS) this.#memory[at] = 0;
  }

  /** Bring the flags up to `now`. */
  #settle(now: number): void {
    const { periodsAt, secondsAt, nextAlarm } = clock;
    const before = periodsAt(this.#phaseNs, this.#rateSelect, this.#settledNs);
    const periods = periodsAt(this.#phaseNs, this.#rateSelect, now);
    if (periods !== null && before !== null && periods > before) this.#flags |= C_PF;
    if (this.#isRunning()) {
      const from = secondsAt(this.#clock, this.#settledNs);
      const to = secondsAt(this.#clock, now);
      if (to > from) {
        this.#flags |= C_UF;
        const alarm = nextAlarm(from, this.#memory, this.#registerB);
        if (alarm !== null && alarm <= to) this.#flags |= C_AF;
      }
    }
    this.#settledNs = now;
  }

  #sync(): void {
    this.#options.irq.set(this.#requested);
    const deadline = this.#findDeadline();
    if (deadline === this.#deadlineNs) return;
    this.#deadlineNs = deadline;
    this.#options.environment.deadlineChanged();
  }

  /** When the line rises next: null while it is high, or nothing that is enabled will ever happen. */
  #findDeadline(): number | null {
    const enabled = this.#registerB & INTERRUPTS;
    if (enabled === 0 || this.#requested) return null;
    const times: (number | null)[] = [];
    const rate = this.#rateSelect;
    if ((enabled & B_PIE) !== 0) {
      const periods = clock.periodsAt(this.#phaseNs, rate, this.#settledNs);
      times.push(periods === null ? null : clock.nsOfPeriod(this.#phaseNs, rate, periods + 1));
    }
    if (this.#isRunning()) {
      const seconds = clock.secondsAt(this.#clock, this.#settledNs);
      if ((enabled & B_UIE) !== 0) times.push(clock.nsOfSecond(this.#clock, seconds + 1));
      if ((enabled & B_AIE) !== 0) {
        const alarm = clock.nextAlarm(seconds, this.#memory, this.#registerB);
        times.push(alarm === null ? null : clock.nsOfSecond(this.#clock, alarm));
      }
    }
    const due = times.filter((time) => time !== null);
    return due.length === 0 ? null : Math.min(...due);
  }
}

function isTime(index: number): boolean {
  return (clock.TIME_REGISTERS as readonly number[]).includes(index);
}

/** What PC firmware finds about the machine. */
function fillCmos(memory: Uint8Array, ramBytes: number): void {
  const view = new DataView(memory.buffer);
  const extendedKib = Math.min(ramBytes / 1024 - 1024, 0xffff);
  memory[CMOS_EQUIPMENT] = EQUIPMENT_FPU;
  memory[CMOS_BOOT_ORDER] = BOOT_HARD_DISK;
  view.setUint16(CMOS_BASE_KIB, BASE_KIB, true);
  view.setUint16(CMOS_EXTENDED_KIB, extendedKib, true);
  view.setUint16(CMOS_EXTENDED_KIB_2, extendedKib, true);
  view.setUint16(CMOS_ABOVE_16M_64KIB, Math.max(0, Math.floor((ramBytes - 16 * MIB) / 65536)), true);
  const sum = memory.subarray(0x10, CMOS_CHECKSUM).reduce((total, byte) => total + byte, 0);
  view.setUint16(CMOS_CHECKSUM, sum, false);
}
