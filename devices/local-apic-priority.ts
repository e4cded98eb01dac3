/**
 * Which interrupt of a local APIC comes next: requests, those in service, and the task's priority.
 *
 *   request() ──► IRR ──[ class above PPR ]──► next ──take()──► ISR ──end()──► done
 *
 *   PPR   the higher class of TPR and the highest vector in service; a vector's class is its upper 4 bits
 *
 * Invariant: `level` says of a vector requested or in service how its last request was triggered.
 * Source: Intel SDM volume 3A, section 11.8.3 (priorities) and 11.8.4 (IRR, ISR, TMR).
 */
import type { SavedFields } from './saved-fields.js';
import type { StateRecord } from './state.js';
import { VECTOR_SET_WORDS, VectorSet } from './vector-set.js';

/** Vectors below belong to the processor's exceptions. */
export const FIRST_VECTOR = 16;

const SETS = ['requested', 'inService', 'level'] as const;
export type PrioritySet = (typeof SETS)[number];

export interface LocalApicPriorityState {
  readonly tpr: number;
  readonly words: readonly (readonly number[])[];
}

export class LocalApicPriority {
  readonly #sets: Readonly<Record<PrioritySet, VectorSet>> = {
    requested: new VectorSet(),
    inService: new VectorSet(),
    level: new VectorSet(),
  };
  #tpr = 0;

  get tpr(): number {
    return this.#tpr;
  }
  set tpr(value: number) {
    this.#tpr = value & 0xff;
  }

  get ppr(): number {
    const serviced = this.#sets.inService.highest() ?? 0;
    return this.#tpr >> 4 >= serviced >> 4 ? this.#tpr : serviced & 0xf0;
  }

  /** The request that may interrupt the CPU now, or null. */
  get next(): number | null {
    const vector = this.#sets.requested.highest();
    return vector !== null && vector >> 4 > this.ppr >> 4 ? vector : null;
  }

  /** `vector` is FIRST_VECTOR or higher. */
  request(vector: number, level: boolean): void {
    this.#sets.requested.add(vector);
    if (level) this.#sets.level.add(vector);
    else this.#sets.level.delete(vector);
  }

  /** The CPU takes a requested vector. */
  take(vector: number): void {
    this.#sets.requested.delete(vector);
    this.#sets.inService.add(vector);
  }

  /** The CPU is done with the highest vector in service. Returns it if it was level-triggered, or null. */
  end(): number | null {
    const vector = this.#sets.inService.highest();
    if (vector === null) return null;
    this.#sets.inService.delete(vector);
    return this.#sets.level.has(vector) ? vector : null;
  }

  /** Vectors 32 `index` to 32 `index` + 31 of a set, the lowest in bit 0. */
  word(set: PrioritySet, index: number): number {
    return this.#sets[set].word(index);
  }

  reset(): void {
    for (const name of SETS) this.#sets[name].clear();
    this.#tpr = 0;
  }

  save(): StateRecord {
    return { tpr: this.#tpr, ...Object.fromEntries(SETS.map((name) => [name, this.#sets[name].words()])) };
  }

  /** Read what save() wrote, changing nothing. @throws DecodeError */
  decode(fields: SavedFields): LocalApicPriorityState {
    const tpr = fields.integer('tpr', 0, 0xff);
    const words = SETS.map((name) => {
      const set = fields.integers(name, VECTOR_SET_WORDS);
      const impossible = set.length !== VECTOR_SET_WORDS || set.some((word) => word > 0xffffffff);
      if (impossible || (set[0]! & (2 ** FIRST_VECTOR - 1)) !== 0) throw fields.wrong(name, 'not a set of vectors');
      return set;
    });
    fields.finish();
    return { tpr, words };
  }

  apply(state: LocalApicPriorityState): void {
    this.#tpr = state.tpr;
    SETS.forEach((name, index) => this.#sets[name].load(state.words[index]!));
  }
}
