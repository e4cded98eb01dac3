/** A set of interrupt vectors, 0 to 255, as a local APIC's registers of eight words hold it. */
export const VECTOR_SET_WORDS = 8;

export class VectorSet {
  #words = new Uint32Array(VECTOR_SET_WORDS);

  has(vector: number): boolean {
    return ((this.#words[vector >> 5]! >>> (vector & 31)) & 1) !== 0;
  }

  add(vector: number): void {
    this.#words[vector >> 5]! |= 1 << (vector & 31);
  }

  delete(vector: number): void {
    this.#words[vector >> 5]! &= ~(1 << (vector & 31));
  }

  /** The highest vector, or null. */
  highest(): number | null {
    for (let index = VECTOR_SET_WORDS - 1; index >= 0; index--) {
      const word = this.#words[index]!;
      if (word !== 0) return 32 * index + 31 - Math.clz32(word);
    }
    return null;
  }

  /** Vectors 32 `index` to 32 `index` + 31, the lowest in bit 0. */
  word(index: number): number {
    return this.#words[index]!;
  }

  /** All words, from vector 0 up. */
  words(): number[] {
    return [...this.#words];
  }

  /** Hold what words() gave. */
  load(words: readonly number[]): void {
    this.#words = Uint32Array.from(words);
  }

  clear(): void {
    this.#words.fill(0);
  }
}
