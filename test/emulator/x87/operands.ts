/**
 * Operands for FPU tests: random ones from a seed, and the special ones by name.
 * Source: Intel SDM volume 1, tables 4-3 and 8-3 (encodings, unsupported encodings).
 */
import { BIAS, float80, type Float80 } from './float80.js';

export class RandomOperands {
  #state: bigint;
  constructor(seed: number) {
    this.#state = BigInt(seed) * 2n + 1n;
  }
  bits(): bigint {
    this.#state = BigInt.asUintN(128, this.#state * 0x2360ed051fc65da44385df649fccf645n + 1n);
    return this.#state >> 64n;
  }
  below(limit: number): number {
    return Number(this.bits() % BigInt(limit));
  }
  /** A normal number; a third of the significands have few bits, some are all ones or a power of two. */
  normal(exponentMin: number, exponentMax: number): Float80 {
    let significand = this.bits();
    const kind = this.below(12);
    if (kind < 4) significand &= this.bits() & this.bits();
    if (kind === 4) significand = (1n << 64n) - 1n;
    if (kind === 5) significand = 0n;
    const exponent = exponentMin + this.below(exponentMax - exponentMin + 1) + BIAS;
    return float80(exponent | (this.below(2) << 15), significand | (1n << 63n));
  }
}

const INTEGER = 1n << 63n;

export const SPECIAL = {
  '+0': float80(0, 0n),
  '-0': float80(0x8000, 0n),
  '+inf': float80(0x7fff, INTEGER),
  '-inf': float80(0xffff, INTEGER),
  qnan: float80(0x7fff, 0xc000000000000001n),
  bignan: float80(0xffff, 0xc000000000000002n),
  snan: float80(0x7fff, 0x8000000000000005n),
  quieted: float80(0x7fff, 0xc000000000000005n),
  indefinite: float80(0xffff, 0xc000000000000000n),
  unnormal: float80(0x3fff, 0x4000000000000000n),
  pseudoinf: float80(0x7fff, 0n),
  pseudonan: float80(0x7fff, 5n),
  denormal: float80(0, 1234n),
  '-denormal': float80(0x8000, 1234n),
  pseudodenormal: float80(0, 0x9000000000000000n),
  smallest: float80(1, INTEGER),
  '1': float80(BIAS, INTEGER),
  '-1': float80(BIAS | 0x8000, INTEGER),
  '2': float80(BIAS + 1, INTEGER),
  '-3': float80((BIAS + 1) | 0x8000, 0xc000000000000000n),
  '0.5': float80(BIAS - 1, INTEGER),
  '-0.5': float80((BIAS - 1) | 0x8000, INTEGER),
  '2^-70': float80(BIAS - 70, INTEGER),
  '2^63': float80(BIAS + 63, INTEGER),
  '-2^63': float80((BIAS + 63) | 0x8000, INTEGER),
  largest: float80(0x7ffe, (1n << 64n) - 1n),
  '+pi': float80(BIAS + 1, 0xc90fdaa22168c235n),
  '-pi': float80((BIAS + 1) | 0x8000, 0xc90fdaa22168c235n),
  '+pi/2': float80(BIAS, 0xc90fdaa22168c235n),
  '-pi/2': float80(BIAS | 0x8000, 0xc90fdaa22168c235n),
  '+pi/4': float80(BIAS - 1, 0xc90fdaa22168c235n),
  '-pi/4': float80((BIAS - 1) | 0x8000, 0xc90fdaa22168c235n),
  '+3pi/4': float80(BIAS + 1, 0x96cbe3f9990e91a8n),
  '-3pi/4': float80((BIAS + 1) | 0x8000, 0x96cbe3f9990e91a8n),
} as const;
export type Special = keyof typeof SPECIAL;

/** The name of a value if it has one, else its digits. */
export function nameOf(value: Float80): string {
  const found = Object.entries(SPECIAL).find(
    ([, one]) => one.signExponent === value.signExponent && one.significand === value.significand,
  );
  return found?.[0] ?? `${value.signExponent.toString(16)}:${value.significand.toString(16)}`;
}
