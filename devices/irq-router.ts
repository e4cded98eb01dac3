/**
 * PCI interrupt pins onto ISA interrupts, shared and level-triggered.
 *
 *   slot s, pin INTA#..INTD# -> PIRQ (s + pin - 2) mod 4 -> the ISA IRQ that the PIIX3 routes it to, or none
 *
 * A line is high while any source of any PIRQ that is routed to it is. The interrupt controller must take these IRQs as
 * level-triggered, or a second function that raises a line that is already high goes unheard.
 *
 * Invariants: the level of an ISA line is the OR of its sources, recomputed by #sync() alone; restore() sets levels here
 * only, because the interrupt controller restores its own view of its inputs.
 * Source: PCI Local Bus Specification 3.0, section 2.2.6; Intel 82371SB (PIIX3) data sheet, PIRQRC[A:D].
 */
import { assert } from '../emulator/errors.js';
import type { DeviceModel, IrqLine } from './device.js';
import type { StateRecord } from './state.js';
import { SavedFields } from './saved-fields.js';

export const PIRQ_COUNT = 4;
/** Where PIRQA# to PIRQD# go on a board that no firmware has set up. */
export const PIRQ_TO_ISA: readonly number[] = [10, 10, 11, 11];
/** The ISA interrupts of PIRQ_TO_ISA; they must be level-triggered. */
export const PCI_ISA_IRQS: readonly number[] = [...new Set(PIRQ_TO_ISA)];
const ISA_IRQS = 16;

export interface IrqRouterOptions {
  /** Input `irq` of the interrupt controller. */
  readonly line: (irq: number) => IrqLine;
  /** ISA interrupt that PIRQA# (0) to PIRQD# (3) is routed to, or null. A change is told by routingChanged(). */
  readonly route: (pirq: number) => number | null;
}

export class IrqRouter implements DeviceModel {
  readonly #options: IrqRouterOptions;
  /** For each PIRQ, the level of each of its sources. */
  readonly #levels: readonly boolean[][] = Array.from({ length: PIRQ_COUNT }, () => []);
  /** Lines by ISA interrupt, made when a PIRQ is first routed there. */
  readonly #lines = new Array<IrqLine | undefined>(ISA_IRQS);
  /** What each ISA line was last told. */
  readonly #told = new Array<boolean>(ISA_IRQS).fill(false);

  constructor(options: IrqRouterOptions) {
    this.#options = options;
  }

  /** PIRQ (0: PIRQA#) that `pin` (1: INTA# to 4: INTD#) of a slot reaches. */
  pirq(slot: number, pin: number): number {
    assert(pin >= 1 && pin <= 4, () => `no interrupt pin ${pin}`);
    return (slot + pin + 2) % PIRQ_COUNT;
  }

  /** ISA interrupt that the pin reaches now, or null. */
  isaIrq(slot: number, pin: number): number | null {
    return this.#options.route(this.pirq(slot, pin));
  }

  /** A new source on the line that `pin` of a slot reaches: call once per function, in a fixed order. */
  connect(slot: number, pin: number): IrqLine {
    const levels = this.#levels[this.pirq(slot, pin)]!;
    const source = levels.push(false) - 1;
    return {
      set: (level) => {
        if (levels[source] === level) return;
        levels[source] = level;
        this.#sync();
      },
    };
  }

  /** The PIIX3's registers may say something else now. */
  routingChanged(): void {
    this.#sync();
  }

  reset(): void {
    for (const levels of this.#levels) levels.fill(false);
    this.#told.fill(false);
  }

  save(): StateRecord {
    const bits = (levels: readonly boolean[]): number[] => levels.map((level) => (level ? 1 : 0));
    return { pirqs: this.#levels.map((levels) => ({ levels: bits(levels) })), lines: bits(this.#told) };
  }

  restore(state: StateRecord): void {
    const fields = new SavedFields(state, 'irq-router');
    const pirqs = fields.list('pirqs', PIRQ_COUNT);
    const lines = fields.integers('lines', ISA_IRQS);
    fields.finish();
    if (pirqs.length !== PIRQ_COUNT) throw fields.wrong('pirqs', `not ${PIRQ_COUNT} of them`);
    const levels = this.#levels.map((own, pirq) => takeLevels(pirqs[pirq]!, own.length));
    if (lines.length !== ISA_IRQS || lines.some((level) => level > 1)) throw fields.wrong('lines', 'no levels');
    this.#levels.forEach((own, pirq) => own.splice(0, own.length, ...levels[pirq]!));
    lines.forEach((level, irq) => (this.#told[irq] = level === 1));
  }

  #sync(): void {
    let wanted = 0;
    this.#levels.forEach((levels, pirq) => {
      if (!levels.includes(true)) return;
      const irq = this.#options.route(pirq);
      if (irq !== null) wanted |= 1 << irq;
    });
    for (let irq = 0; irq < ISA_IRQS; irq++) {
      const level = ((wanted >> irq) & 1) !== 0;
      if (this.#told[irq] === level) continue;
      this.#told[irq] = level;
      (this.#lines[irq] ??= this.#options.line(irq)).set(level);
    }
  }
}

function takeLevels(fields: SavedFields, count: number): boolean[] {
  const levels = fields.integers('levels', count);
  fields.finish();
  if (levels.length !== count || levels.some((level) => level > 1)) throw fields.wrong('levels', `not ${count} levels`);
  return levels.map((level) => level === 1);
}
