/**
 * PCI interrupt pins onto ISA interrupts, shared and level-triggered.
 *
 *   slot s, pin INTA#..INTD# -> PIRQ (s + pin - 1) mod 4 -> ISA IRQ 10, 11, 10, 11
 *
 * A line is high while any of its sources is. The interrupt controller must take these IRQs as level-triggered, or a
 * second function that raises a line that is already high goes unheard.
 *
 * Invariants: the level of an ISA line is the OR of its sources; restore() sets levels here only, because the
 * interrupt controller restores its own view of its inputs.
 * Source: PCI Local Bus Specification 3.0, section 2.2.6; Intel 82371SB (PIIX3) data sheet, PIRQRC[A:D].
 */
import { assert } from '../emulator/errors.js';
import type { DeviceModel, IrqLine } from './device.js';
import type { StateRecord } from './state.js';
import { SavedFields } from './saved-fields.js';

/** ISA interrupt of PIRQA# to PIRQD#. */
const PIRQ_TO_ISA = [10, 11, 10, 11] as const;
/** ISA interrupts that PCI functions use; they must be level-triggered. */
export const PCI_ISA_IRQS: readonly number[] = [...new Set(PIRQ_TO_ISA)];

export interface IrqRouterOptions {
  /** Input `irq` of the interrupt controller. */
  readonly line: (irq: number) => IrqLine;
}

interface SharedLine {
  readonly irq: number;
  readonly target: IrqLine;
  readonly levels: boolean[];
}

export class IrqRouter implements DeviceModel {
  readonly #lines: readonly SharedLine[];

  constructor(options: IrqRouterOptions) {
    this.#lines = PCI_ISA_IRQS.map((irq) => ({ irq, target: options.line(irq), levels: [] }));
  }

  /** ISA interrupt that `pin` (1: INTA# to 4: INTD#) of a slot reaches. */
  isaIrq(slot: number, pin: number): number {
    const irq = PIRQ_TO_ISA[(slot + pin - 1) & 3];
    assert(irq !== undefined && pin >= 1 && pin <= 4, `no interrupt pin ${pin}`);
    return irq;
  }

  /** A new source on the line that `pin` of a slot reaches: call once per function, in a fixed order. */
  connect(slot: number, pin: number): IrqLine {
    const irq = this.isaIrq(slot, pin);
    const line = this.#lines.find((candidate) => candidate.irq === irq);
    assert(line !== undefined, `no shared line for IRQ ${irq}`);
    const source = line.levels.push(false) - 1;
    return {
      set: (level) => {
        if (line.levels[source] === level) return;
        line.levels[source] = level;
        line.target.set(line.levels.includes(true));
      },
    };
  }

  reset(): void {
    for (const line of this.#lines) line.levels.fill(false);
  }

  save(): StateRecord {
    return { lines: this.#lines.map(({ irq, levels }) => ({ irq, levels: levels.map((level) => (level ? 1 : 0)) })) };
  }

  restore(state: StateRecord): void {
    const fields = new SavedFields(state, 'irq-router');
    const lines = fields.list('lines', this.#lines.length);
    fields.finish();
    if (lines.length !== this.#lines.length) throw fields.wrong('lines', `not ${this.#lines.length} lines`);
    const levels = this.#lines.map((line, index) => takeLevels(lines[index]!, line));
    this.#lines.forEach((line, index) => line.levels.splice(0, line.levels.length, ...levels[index]!));
  }
}

function takeLevels(fields: SavedFields, line: SharedLine): boolean[] {
  fields.integer('irq', line.irq, line.irq);
  const levels = fields.integers('levels', line.levels.length);
  fields.finish();
  if (levels.length !== line.levels.length || levels.some((level) => level > 1)) {
    throw fields.wrong('levels', `not ${line.levels.length} levels`);
  }
  return levels.map((level) => level === 1);
}
