/**
 * Local APIC (xAPIC) of the one processor, with the 8259 pair behind its pin LINT0.
 *
 *   I/O APIC, self IPI, timer, error ──► accept(vector) ──► IRR ─[ > PPR ]─┐
 *   8259 pair ──► LINT0 ─[ ExtINT, unmasked, or APIC off ]─────────────────┴─► output ──► CPU
 *                                           acknowledge(): IRR ──► ISR, or the 8259's own acknowledge
 *
 * While software has not enabled the APIC it is as if it were not there: the 8259 pair has the CPU to itself. At power-on
 * the pins are as firmware leaves them (virtual wire mode), because a kernel may be started without any. A request of
 * the APIC goes before one of the 8259. The processor may send itself an NMI, whether its APIC is enabled or not; SMI and
 * INIT have no source and no effect on a board with one processor.
 *
 * Invariants: the output is a function of the registers and of the level of LINT0, recomputed only by #update();
 * an ISR bit is set by acknowledge() alone; restore() and reset() tell nobody.
 * Source: Intel SDM volume 3A, chapter 11 (APIC); Intel MultiProcessor Specification 1.4, section 3.6.2.2.
 */
import type { DeviceModel, RegisterBlock, TimedDevice } from './device.js';
import type { Environment } from './environment.js';
import type { InterruptMessage, InterruptSource } from './interrupt-source.js';
import * as apic from './local-apic-registers.js';
import { FIRST_VECTOR, LocalApicPriority } from './local-apic-priority.js';
import { LocalApicTimer } from './local-apic-timer.js';
import { SavedFields } from './saved-fields.js';
import type { StateRecord } from './state.js';
import { VECTOR_SET_WORDS } from './vector-set.js';

export const LOCAL_APIC_ADDRESS = 0xfee00000;
export const LOCAL_APIC_BYTES = 0x1000;
/** Integrated APIC, the last entry of its vector table is number 4. */
export const LOCAL_APIC_VERSION = 0x00040014;

const REGISTER_STRIDE = 0x10;
const TOP_BYTE = 0xff000000;

const LVT_AT: ReadonlyMap<number, apic.LvtEntry> = new Map([
  [apic.APIC_LVT_TIMER, 'timer'],
  [apic.APIC_LVT_PERFORMANCE, 'performance'],
  [apic.APIC_LVT_LINT0, 'lint0'],
  [apic.APIC_LVT_LINT1, 'lint1'],
  [apic.APIC_LVT_ERROR, 'error'],
]);

type Calls = 'nowNs' | 'deadlineChanged' | 'interruptRequest' | 'nonMaskableInterrupt';

export interface LocalApicOptions {
  readonly environment: Pick<Environment, Calls>;
  /** The 8259 pair. Its changes of output must be announced to picChanged(), not to the machine. */
  readonly pic: InterruptSource;
  /** The guest ended a level-triggered interrupt: for the I/O APIC. */
  readonly endOfInterrupt: (vector: number) => void;
}

export class LocalApic implements DeviceModel, TimedDevice, RegisterBlock, InterruptSource {
  readonly #options: LocalApicOptions;
  readonly #timer: LocalApicTimer;
  readonly #priority = new LocalApicPriority();
  #r = apic.powerOnApicRegisters();
  /** Level of the pin. */
  #lint0 = false;
  #output = false;

  constructor(options: LocalApicOptions) {
    this.#options = options;
    this.#timer = new LocalApicTimer({
      environment: options.environment,
      expired: () => {
        this.#raise('timer');
        this.#update();
      },
    });
  }

  get output(): boolean {
    return this.#output;
  }

  pendingVector(): number | null {
    const vector = this.#deliverable();
    if (vector !== null) return vector;
    return this.#extInt ? this.#options.pic.pendingVector() : null;
  }

  acknowledge(): number {
    const vector = this.#deliverable();
    if (vector === null) {
      const answersSpurious = this.#enabled && !(this.#extInt && this.#lint0);
      return answersSpurious ? this.#r.svr & apic.LVT_VECTOR : this.#options.pic.acknowledge();
    }
    this.#priority.take(vector);
    this.#update();
    return vector;
  }

  /** The output of the 8259 pair may have changed. */
  picChanged(): void {
    const rising = this.#options.pic.output && !this.#lint0;
    this.#lint0 = this.#options.pic.output;
    // In fixed mode LINT0 is taken as an edge, whatever its trigger bit says.
    if (rising && this.#lintMode === apic.DELIVERY_FIXED) this.#raise('lint0');
    this.#update();
  }

  /** A message on the APIC bus. True when it was for this APIC and was taken. */
  deliver(message: InterruptMessage): boolean {
    if (!this.#enabled || !apic.isAddressed(this.#r, message)) return false;
    this.#accept(message.vector, message.level);
    this.#update();
    return true;
  }

  nextDeadlineNs(): number | null {
    return this.#timer.nextDeadlineNs();
  }

  advance(nowNs: number): void {
    this.#timer.advance(nowNs);
  }

  /** Registers are 32 bits wide, 16 bytes apart; smaller reads see their bytes. */
  read(offset: number, size: number): number {
    const value = offset % REGISTER_STRIDE < 4 ? this.#read(offset & ~3) : 0;
    const shifted = value >>> (8 * (offset & 3));
    return size === 4 ? shifted : shifted & (2 ** (8 * size) - 1);
  }

  /** Only aligned writes of 32 bits reach a register. */
  write(offset: number, size: number, value: number): void {
    if (size !== 4 || offset % REGISTER_STRIDE !== 0) return;
    this.#write(offset, value);
    this.#update();
  }

  reset(): void {
    this.#r = apic.powerOnApicRegisters();
    this.#priority.reset();
    this.#timer.reset();
    this.#lint0 = false;
    this.#output = false;
  }

  save(): StateRecord {
    return {
      ...this.#r,
      lvt: { ...this.#r.lvt },
      priority: this.#priority.save(),
      timer: this.#timer.save(),
      lint0: this.#lint0,
    };
  }

  restore(state: StateRecord): void {
    const fields = new SavedFields(state, 'local-apic');
    const registers = apic.decodeApicRegisters(fields);
    const priority = this.#priority.decode(fields.record('priority'));
    const timer = this.#timer.decode(fields.record('timer'));
    const lint0 = fields.boolean('lint0');
    fields.finish();
    this.#r = registers;
    this.#priority.apply(priority);
    this.#timer.apply(timer, ...this.#timerMode);
    this.#lint0 = lint0;
    this.#output = this.#outputLevel();
  }

  get #enabled(): boolean {
    return (this.#r.svr & apic.SVR_ENABLED) !== 0;
  }
  /** Delivery mode of LINT0, or null while nothing gets through it. */
  get #lintMode(): number | null {
    const entry = this.#r.lvt.lint0;
    const open = this.#enabled && (entry & apic.LVT_MASKED) === 0;
    return open ? (entry >> apic.DELIVERY_SHIFT) & apic.DELIVERY_MASK : null;
  }
  /** Whether the 8259 pair interrupts the CPU by itself. */
  get #extInt(): boolean {
    return !this.#enabled || this.#lintMode === apic.DELIVERY_EXTINT;
  }
  /** Whether the timer is periodic, and whether anybody would hear it. */
  get #timerMode(): readonly [boolean, boolean] {
    const entry = this.#r.lvt.timer;
    return [(entry & apic.LVT_PERIODIC) !== 0, this.#enabled && (entry & apic.LVT_MASKED) === 0];
  }

  /** The request that the CPU would take now, or null. */
  #deliverable(): number | null {
    return this.#enabled ? this.#priority.next : null;
  }

  #outputLevel(): boolean {
    return this.#deliverable() !== null || (this.#extInt && this.#lint0);
  }

  #update(): void {
    const output = this.#outputLevel();
    if (output === this.#output) return;
    this.#output = output;
    this.#options.environment.interruptRequest(output);
  }

  #accept(vector: number, level: boolean): void {
    if (vector < FIRST_VECTOR) {
      this.#error(apic.ESR_RECEIVE_ILLEGAL_VECTOR);
      return;
    }
    this.#priority.request(vector, level);
  }

  /** A source of the local vector table has something to say. */
  #raise(entry: apic.LvtEntry): void {
    const value = this.#r.lvt[entry];
    if (this.#enabled && (value & apic.LVT_MASKED) === 0) this.#accept(value & apic.LVT_VECTOR, false);
  }

  /** Note an error. Only the first of its kind since ESR was written interrupts. */
  #error(bit: number): void {
    if ((this.#r.errors & bit) !== 0) return;
    this.#r.errors |= bit;
    this.#raise('error');
  }

  #read(offset: number): number {
    const r = this.#r;
    const entry = LVT_AT.get(offset);
    if (entry !== undefined) return r.lvt[entry];
    if (offset >= apic.APIC_ISR && offset < apic.APIC_ESR) {
      const set = offset < apic.APIC_TMR ? 'inService' : offset < apic.APIC_IRR ? 'level' : 'requested';
      return this.#priority.word(set, (offset >> 4) % VECTOR_SET_WORDS);
    }
    switch (offset) {
      case apic.APIC_ID:
        return r.id;
      case apic.APIC_VERSION:
        return LOCAL_APIC_VERSION;
      case apic.APIC_TPR:
        return this.#priority.tpr;
      case apic.APIC_PPR:
        return this.#priority.ppr;
      case apic.APIC_LDR:
        return r.ldr;
      case apic.APIC_DFR:
        return r.dfr;
      case apic.APIC_SVR:
        return r.svr;
      case apic.APIC_ESR:
        return r.esr;
      case apic.APIC_ICR_LOW:
        return r.icrLow;
      case apic.APIC_ICR_HIGH:
        return r.icrHigh;
      case apic.APIC_INITIAL_COUNT:
        return this.#timer.initialCount;
      case apic.APIC_CURRENT_COUNT:
        return this.#timer.currentCount();
      case apic.APIC_DIVIDE:
        return this.#timer.divideConfiguration;
      case apic.APIC_APR:
      case apic.APIC_EOI:
      case apic.APIC_REMOTE_READ:
        // There, but without a value in this model of APIC.
        return 0;
      default:
        this.#error(apic.ESR_ILLEGAL_REGISTER);
        this.#update();
        return 0;
    }
  }

  #write(offset: number, value: number): void {
    const r = this.#r;
    const entry = LVT_AT.get(offset);
    if (entry !== undefined) {
      this.#writeLvt(entry, value);
      return;
    }
    switch (offset) {
      case apic.APIC_ID:
        r.id = (value & TOP_BYTE) >>> 0;
        break;
      case apic.APIC_TPR:
        this.#priority.tpr = value;
        break;
      case apic.APIC_EOI:
        this.#endOfInterrupt(this.#priority.end());
        break;
      case apic.APIC_LDR:
        r.ldr = (value & TOP_BYTE) >>> 0;
        break;
      case apic.APIC_DFR:
        r.dfr = (value | apic.DFR_ONES) >>> 0;
        break;
      case apic.APIC_SVR:
        this.#writeSvr(value & apic.SVR_WRITABLE);
        break;
      case apic.APIC_ESR:
        r.esr = r.errors;
        r.errors = 0;
        break;
      case apic.APIC_ICR_LOW:
        r.icrLow = value & apic.ICR_LOW_WRITABLE;
        this.#sendInterrupt();
        break;
      case apic.APIC_ICR_HIGH:
        r.icrHigh = (value & TOP_BYTE) >>> 0;
        break;
      case apic.APIC_INITIAL_COUNT:
        this.#timer.start(value);
        break;
      case apic.APIC_DIVIDE:
        this.#timer.setDivideConfiguration(value);
        break;
      default:
        // The other registers are read-only; what is no register at all is an error.
        if (!apic.isReadOnly(offset)) this.#error(apic.ESR_ILLEGAL_REGISTER);
    }
  }

  #writeLvt(entry: apic.LvtEntry, value: number): void {
    // What is due came before this write.
    if (entry === 'timer') this.#timer.advance(this.#options.environment.nowNs());
    const masked = this.#enabled ? 0 : apic.LVT_MASKED;
    this.#r.lvt[entry] = (value & apic.LVT_WRITABLE[entry]) | masked;
    if (entry === 'timer') this.#timer.configure(...this.#timerMode);
  }

  #writeSvr(value: number): void {
    const disabled = this.#enabled && (value & apic.SVR_ENABLED) === 0;
    if (disabled) this.#timer.advance(this.#options.environment.nowNs());
    this.#r.svr = value;
    if (disabled) for (const entry of apic.LVT_ENTRIES) this.#r.lvt[entry] |= apic.LVT_MASKED;
    this.#timer.configure(...this.#timerMode);
  }

  #endOfInterrupt(level: number | null): void {
    if (level !== null) this.#options.endOfInterrupt(level);
  }

  /** An interprocessor interrupt: on this board only one to the processor itself arrives anywhere. */
  #sendInterrupt(): void {
    const { mode, message } = apic.interruptCommand(this.#r);
    if (mode === apic.DELIVERY_NMI) {
      if (message !== null && apic.isAddressed(this.#r, message)) this.#options.environment.nonMaskableInterrupt();
      return;
    }
    if (mode !== apic.DELIVERY_FIXED && mode !== apic.DELIVERY_LOWEST) return;
    if ((this.#r.icrLow & apic.LVT_VECTOR) < FIRST_VECTOR) this.#error(apic.ESR_SEND_ILLEGAL_VECTOR);
    else if (message !== null) this.deliver(message);
  }
}
