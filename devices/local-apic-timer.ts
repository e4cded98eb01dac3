/**
 * Timer of a local APIC: counts down from an initial count at the bus clock of 1 GHz, divided.
 *
 *   initial count ──► current count ──► 0: expired(); periodic: from the initial count again, one-shot: stops
 *
 *   divide configuration, bits 3, 1, 0: 000 = by 2, 001 = 4, ... 110 = 128, 111 = 1
 *
 * Current count and expiry follow from guest time and one number, the time of the next expiry. A timer whose interrupt
 * nobody would see counts without deadlines. However long guest time jumps, it expires once: an interrupt request that
 * is pending already cannot be made again.
 *
 * Invariants: a period is at least 1 ns; `expiryNs` is null while the timer stands.
 * Source: Intel SDM volume 3A, section 11.5.4 (APIC timer).
 */
import type { TimedDevice } from './device.js';
import type { Environment } from './environment.js';
import type { SavedFields } from './saved-fields.js';
import type { StateRecord } from './state.js';

const NS_PER_BUS_CLOCK = 1;
const DIVIDE_WRITABLE = 0x0b;
const COUNT_MAX = 0xffffffff;
/** In saved state: the timer stands. */
const STANDS = -1;

export interface LocalApicTimerOptions {
  readonly environment: Pick<Environment, 'nowNs' | 'deadlineChanged'>;
  /** The count reached 0 while the timer was audible. */
  readonly expired: () => void;
}

/** All that is the timer's own; its mode belongs to the local vector table. */
export interface LocalApicTimerState {
  readonly initialCount: number;
  readonly divide: number;
  readonly expiryNs: number | null;
}

export class LocalApicTimer implements TimedDevice {
  readonly #options: LocalApicTimerOptions;
  #initialCount = 0;
  #divide = 0;
  #expiryNs: number | null = null;
  #periodic = false;
  #audible = false;

  constructor(options: LocalApicTimerOptions) {
    this.#options = options;
  }

  get initialCount(): number {
    return this.#initialCount;
  }
  get divideConfiguration(): number {
    return this.#divide;
  }

  /** The count at the present guest time. */
  currentCount(): number {
    const now = this.#options.environment.nowNs();
    this.advance(now);
    return this.#countAt(now);
  }

  /** Start to count down from `count`; 0 stops the timer. */
  start(count: number): void {
    const now = this.#options.environment.nowNs();
    this.advance(now);
    this.#initialCount = count;
    this.#expiryNs = count === 0 ? null : now + count * this.#tickNs;
    this.#options.environment.deadlineChanged();
  }

  /** The count goes on from where it is, at another rate. */
  setDivideConfiguration(value: number): void {
    const now = this.#options.environment.nowNs();
    this.advance(now);
    const count = this.#countAt(now);
    this.#divide = value & DIVIDE_WRITABLE;
    if (this.#expiryNs !== null) this.#expiryNs = now + count * this.#tickNs;
    this.#options.environment.deadlineChanged();
  }

  /**
   * Take over mode and audibility (the table's entry is unmasked and the APIC enabled). What expired before was settled
   * in the mode of that time.
   */
  configure(periodic: boolean, audible: boolean): void {
    if (periodic === this.#periodic && audible === this.#audible) return;
    this.advance(this.#options.environment.nowNs());
    this.#periodic = periodic;
    this.#audible = audible;
    this.#options.environment.deadlineChanged();
  }

  nextDeadlineNs(): number | null {
    return this.#audible ? this.#expiryNs : null;
  }

  advance(nowNs: number): void {
    if (this.#expiryNs === null || this.#expiryNs > nowNs) return;
    const periodNs = this.#initialCount * this.#tickNs;
    const passed = Math.floor((nowNs - this.#expiryNs) / periodNs) + 1;
    this.#expiryNs = this.#periodic ? this.#expiryNs + passed * periodNs : null;
    if (this.#audible) this.#options.expired();
  }

  reset(): void {
    this.#initialCount = 0;
    this.#divide = 0;
    this.#expiryNs = null;
    this.#periodic = false;
    this.#audible = false;
  }

  save(): StateRecord {
    return { initialCount: this.#initialCount, divide: this.#divide, expiryNs: this.#expiryNs ?? STANDS };
  }

  /** Read what save() wrote, changing nothing. @throws DecodeError */
  decode(fields: SavedFields): LocalApicTimerState {
    const initialCount = fields.integer('initialCount', 0, COUNT_MAX);
    const divide = fields.integer('divide', 0, DIVIDE_WRITABLE);
    const expiryNs = fields.integer('expiryNs', STANDS, Number.MAX_SAFE_INTEGER);
    fields.finish();
    if ((divide & ~DIVIDE_WRITABLE) !== 0) throw fields.wrong('divide', 'has a reserved bit set');
    if (initialCount === 0 && expiryNs !== STANDS) throw fields.wrong('expiryNs', 'given for a timer without a count');
    return { initialCount, divide, expiryNs: expiryNs === STANDS ? null : expiryNs };
  }

  apply(state: LocalApicTimerState, periodic: boolean, audible: boolean): void {
    this.#initialCount = state.initialCount;
    this.#divide = state.divide;
    this.#expiryNs = state.expiryNs;
    this.#periodic = periodic;
    this.#audible = audible;
  }

  get #tickNs(): number {
    const code = ((this.#divide & 8) >> 1) | (this.#divide & 3);
    return NS_PER_BUS_CLOCK * (code === 7 ? 1 : 2 << code);
  }

  #countAt(nowNs: number): number {
    return this.#expiryNs === null ? 0 : Math.ceil((this.#expiryNs - nowNs) / this.#tickNs);
  }
}
