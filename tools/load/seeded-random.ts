/**
 * Repeatable numbers for workloads: the same seeds give the same numbers.
 * Source: the finaliser of MurmurHash3 (fmix32) over a Weyl sequence with the golden ratio's increment, as in
 * Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014, section 5.
 */
const GOLDEN = 0x9e3779b9;

/** Mix 32-bit numbers into one. */
export function mix(...seeds: readonly number[]): number {
  let hash = 0;
  for (const seed of seeds) hash = finalise((hash + GOLDEN) ^ finalise(seed));
  return hash;
}

function finalise(value: number): number {
  let z = value | 0;
  z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
  z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
  return (z ^ (z >>> 16)) >>> 0;
}

export class SeededRandom {
  #state: number;

  constructor(...seeds: readonly number[]) {
    this.#state = mix(...seeds);
  }

  /** A whole number from 0 to `bound` - 1; `bound` is at most 2^32. */
  below(bound: number): number {
    this.#state = (this.#state + GOLDEN) >>> 0;
    return Math.floor((finalise(this.#state) / 2 ** 32) * bound);
  }

  bytes(count: number): Uint8Array {
    // Buffer's pool is several times cheaper than an array of its own.
    const bytes = Buffer.allocUnsafe(count);
    for (let i = 0; i < count; i++) bytes[i] = this.below(256);
    return bytes;
  }
}
