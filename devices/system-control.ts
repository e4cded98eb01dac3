/**
 * The two system control ports of a PC.
 *
 *   0x61  0 gate of timer channel 2 | 1 speaker data | 2, 3 parity and channel check off | 4 refresh toggles
 *         | 5 OUT of timer channel 2 | 6, 7 channel and parity error: never
 *   0x92  0 fast reset (a rising bit resets) | 1 A20 gate
 *
 * A20 is open at power-on: there is no 8086 software to protect, and direct kernel boot expects it so.
 *
 * Source: IBM PS/2 Hardware Interface Technical Reference, system control ports A and B; 82371SB (PIIX3), NMISC.
 */
import type { DeviceModel, RegisterBlock } from './device.js';
import type { Environment } from './environment.js';
import type { Pit8254 } from './pit8254.js';
import { PIT_HZ } from './pit8254.js';
import type { StateRecord } from './state.js';
import { ticksAt } from './tick-clock.js';
import { SavedFields } from './saved-fields.js';

export const SYSTEM_CONTROL_B_PORT = 0x61;
export const SYSTEM_CONTROL_A_PORT = 0x92;

const B_GATE = 0x01;
const B_WRITABLE = 0x0f;
const B_REFRESH = 0x10;
const B_TIMER_OUT = 0x20;
const A_RESET = 0x01;
const A_A20 = 0x02;
/** Timer ticks between two refresh cycles, about 15 us. */
const REFRESH_TICKS = 18;

export interface SystemControlOptions {
  readonly environment: Pick<Environment, 'nowNs' | 'stop'>;
  /** Gets the level of this port's A20 gate whenever it changes. */
  readonly a20: (on: boolean) => void;
  readonly pit: Pick<Pit8254, 'setSpeakerGate' | 'speakerOutput'>;
}

export class SystemControl implements DeviceModel {
  /** One port at 0x61. */
  readonly portB: RegisterBlock;
  /** One port at 0x92. */
  readonly portA: RegisterBlock;
  readonly #options: SystemControlOptions;
  #controlB = 0;
  #controlA = A_A20;

  constructor(options: SystemControlOptions) {
    this.#options = options;
    this.portB = { read: () => this.#readB(), write: (_offset, _size, value) => this.#writeB(value & 0xff) };
    this.portA = { read: () => this.#controlA, write: (_offset, _size, value) => this.#writeA(value & 0xff) };
  }

  /** Level of this port's A20 gate. */
  get a20(): boolean {
    return (this.#controlA & A_A20) !== 0;
  }

  reset(): void {
    this.#controlB = 0;
    this.#controlA = A_A20;
  }

  save(): StateRecord {
    return { controlA: this.#controlA, controlB: this.#controlB };
  }

  restore(state: StateRecord): void {
    const fields = new SavedFields(state, 'system-control');
    const controlA = fields.integer('controlA', 0, A_A20 | A_RESET);
    const controlB = fields.integer('controlB', 0, B_WRITABLE);
    fields.finish();
    this.#controlA = controlA;
    this.#controlB = controlB;
  }

  #readB(): number {
    const { environment, pit } = this.#options;
    const refreshes = Math.floor(ticksAt(environment.nowNs(), PIT_HZ) / REFRESH_TICKS);
    return this.#controlB | (refreshes % 2 === 1 ? B_REFRESH : 0) | (pit.speakerOutput() ? B_TIMER_OUT : 0);
  }

  #writeB(value: number): void {
    this.#controlB = value & B_WRITABLE;
    this.#options.pit.setSpeakerGate((value & B_GATE) !== 0);
  }

  #writeA(value: number): void {
    const { environment } = this.#options;
    const rising = value & ~this.#controlA;
    const changed = value ^ this.#controlA;
    this.#controlA = value & (A_A20 | A_RESET);
    if ((changed & A_A20) !== 0) this.#options.a20((value & A_A20) !== 0);
    if ((rising & A_RESET) !== 0) environment.stop('reset', 0);
  }
}
