/**
 * A PC's pair of 8259A interrupt controllers with the edge/level control registers.
 *
 *   IRQ 8..15 -> slave -> input 2 of master
 *   IRQ 0,1,3..7 ------> master -> Environment.interruptRequest -> CPU -> acknowledge() -> vector
 *
 *   0x20, 0xa0  ICW1, OCW2, OCW3 | IRR, ISR, poll     0x4d0, 0x4d1  1 = level-triggered, bit n = input n
 *   0x21, 0xa1  ICW2..4, OCW1    | IMR, poll
 *
 * An edge stays latched when its line falls again before the acknowledge, as in PC chip sets; a level does not. The
 * slave's output reaches the master as a level, so a request that vanishes takes the CPU's interrupt with it, and
 * the spurious vector 7 is left for an acknowledge with nothing requested (15 likewise).
 *
 * Invariants: the output to the CPU is a function of the two chips' registers, recomputed only by #update();
 * restore() and reset() tell nobody: the machine asks `output`.
 * Source: Intel 8259A data sheet (231468), figures 7 and 8 and "Operation Command Words"; 82371SB (PIIX3), ELCR1/2.
 */
import { assert } from '../emulator/errors.js';
import type { DeviceModel, IrqLine, RegisterBlock } from './device.js';
import type { Environment } from './environment.js';
import { Pic8259 } from './pic8259-chip.js';
import type { StateRecord } from './state.js';
import { SavedFields } from './saved-fields.js';

export const PIC_MASTER_PORT = 0x20;
export const PIC_SLAVE_PORT = 0xa0;
/** Ports of each chip. */
export const PIC_PORT_COUNT = 2;
export const ELCR_PORT = 0x4d0;
export const ELCR_PORT_COUNT = 2;

const IRQ_COUNT = 16;
/** The master's input that the slave drives. */
const CASCADE = 2;
/** Inputs of each chip that a PC can make level-triggered (not 0, 1, 2, 8 and 13). */
const ELCR_WRITABLE = [0xf8, 0xde] as const;

export interface Pic8259PairOptions {
  readonly environment: Pick<Environment, 'interruptRequest'>;
  /** IRQs whose edge/level bit is set at power-on, as firmware leaves it for PCI interrupts. */
  readonly levelIrqs?: readonly number[];
}

export class Pic8259Pair implements DeviceModel {
  /** Two ports at 0x20. */
  readonly masterPorts: RegisterBlock;
  /** Two ports at 0xa0. */
  readonly slavePorts: RegisterBlock;
  /** Two ports at 0x4d0. */
  readonly elcrPorts: RegisterBlock;
  readonly #environment: Pick<Environment, 'interruptRequest'>;
  readonly #master: Pic8259;
  readonly #slave: Pic8259;
  #output = false;

  constructor(options: Pic8259PairOptions) {
    this.#environment = options.environment;
    const levels = (options.levelIrqs ?? []).reduce((bits, irq) => bits | (1 << irq), 0);
    const settable = ELCR_WRITABLE[0] | (ELCR_WRITABLE[1] << 8);
    assert((levels & ~settable) === 0, 'an IRQ that cannot be level-triggered');
    this.#master = new Pic8259(levels & 0xff, 1 << CASCADE);
    this.#slave = new Pic8259(levels >> 8, 0);
    this.masterPorts = this.#portsOf(this.#master);
    this.slavePorts = this.#portsOf(this.#slave);
    this.elcrPorts = this.#elcr();
  }

  /** Level of the output to the CPU. */
  get output(): boolean {
    return this.#output;
  }

  /** Input `irq`, 0 to 15. @throws InvariantError for 2, which the slave drives */
  line(irq: number): IrqLine {
    assert(Number.isInteger(irq) && irq >= 0 && irq < IRQ_COUNT && irq !== CASCADE, () => `no interrupt input ${irq}`);
    const chip = irq < 8 ? this.#master : this.#slave;
    const bit = 1 << (irq & 7);
    return {
      set: (level) => {
        if (chip.setInput(bit, level)) this.#update();
      },
    };
  }

  /** The CPU takes the interrupt: returns its vector and marks it in service. Spurious when none is requested. */
  acknowledge(): number {
    const input = this.#master.acknowledge();
    const vector = this.#master.vectorOf(input);
    const answered = this.#isCascade(input) ? this.#slave.vectorOf(this.#slave.acknowledge()) : vector;
    this.#update();
    return answered;
  }

  /** The vector that acknowledge() would return, or null when no interrupt is requested. Changes nothing. */
  pendingVector(): number | null {
    const input = this.#master.pending();
    if (input === null) return null;
    if (!this.#isCascade(input)) return this.#master.vectorOf(input);
    return this.#slave.vectorOf(this.#slave.pending() ?? Pic8259.SPURIOUS);
  }

  reset(): void {
    this.#master.reset();
    this.#slave.reset();
    this.#output = false;
  }

  save(): StateRecord {
    return { master: this.#master.save(), slave: this.#slave.save() };
  }

  restore(state: StateRecord): void {
    const fields = new SavedFields(state, 'pic');
    const master = this.#master.decode(fields.record('master'));
    const slave = this.#slave.decode(fields.record('slave'));
    fields.finish();
    this.#master.apply(master);
    this.#slave.apply(slave);
    this.#output = this.#master.pending() !== null;
  }

  /** A master that was initialised as the only chip gives the slave's input a vector of its own. */
  #isCascade(input: number): boolean {
    return input === CASCADE && !this.#master.single;
  }

  #update(): void {
    this.#master.setCascade(this.#slave.pending() !== null);
    const output = this.#master.pending() !== null;
    if (output === this.#output) return;
    this.#output = output;
    this.#environment.interruptRequest(output);
  }

  #portsOf(chip: Pic8259): RegisterBlock {
    return {
      read: (offset) => {
        const polled = chip.polled;
        const value = chip.read(offset & 1);
        if (polled) this.#update();
        return value;
      },
      write: (offset, _size, value) => {
        chip.write(offset & 1, value & 0xff);
        this.#update();
      },
    };
  }

  #elcr(): RegisterBlock {
    return {
      read: (offset) => (offset === 0 ? this.#master.levelTriggered : this.#slave.levelTriggered),
      write: (offset, _size, value) => {
        if (offset === 0) this.#master.setLevelTriggered(value & ELCR_WRITABLE[0]);
        else this.#slave.setLevelTriggered(value & ELCR_WRITABLE[1]);
        this.#update();
      },
    };
  }
}
