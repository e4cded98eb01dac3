/**
 * The 80-bit format for tests: encoding, exact values, and rounding to it.
 *
 *   bytes 0-7 significand with explicit integer bit, 8-9 sign and exponent (bias 3FFFh)
 *
 * Source: Intel SDM volume 1, sections 4.2.2 and 4.8.4 (rounding control).
 */
import { PLACES } from './reference.js';

export interface Float80 {
  readonly signExponent: number;
  readonly significand: bigint;
}

export const BIAS = 0x3fff;
export type Rounding = 'nearest' | 'down' | 'up' | 'chop';
/** In the order of the control word's encoding. */
export const ROUNDINGS: readonly Rounding[] = ['nearest', 'down', 'up', 'chop'];

export function float80(signExponent: number, significand: bigint): Float80 {
  return { signExponent, significand };
}

export function writeFloat80(bytes: Uint8Array, offset: number, { signExponent, significand }: Float80): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  view.setBigUint64(offset, significand, true);
  view.setUint16(offset + 8, signExponent, true);
}

export function readFloat80(bytes: Uint8Array, offset: number): Float80 {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return { significand: view.getBigUint64(offset, true), signExponent: view.getUint16(offset + 8, true) };
}

/** The number in units of 2^-PLACES, which must hold it exactly. */
export function exactly({ signExponent, significand }: Float80): bigint {
  const shift = BigInt(signExponent & 0x7fff) - BigInt(BIAS) - 63n + PLACES;
  const size = shift < 0n ? significand >> -shift : significand << shift;
  if (shift < 0n && size << -shift !== significand) throw new RangeError('too small for an exact value');
  return signExponent & 0x8000 ? -size : size;
}

/** A number rounded to `bits`; the exponent is not biased and has no limits. */
export interface Rounded {
  readonly negative: boolean;
  readonly exponent: number;
  /** 64 bits; the lower ones are 0 when `bits` are fewer. */
  readonly significand: bigint;
  readonly inexact: boolean;
  /** Whether the magnitude grew. */
  readonly up: boolean;
}

/** numerator / denominator rounded to 64 bits, a normal number; `up` if the magnitude grew. */
export function roundQuotient(numerator: bigint, denominator: bigint, rounding: Rounding): [Float80, up: boolean] {
  const { negative, exponent, significand, up } = roundExactly(numerator, denominator, rounding, 64);
  return [float80((negative ? 0x8000 : 0) | (exponent + BIAS), significand), up];
}

/** numerator / denominator, neither 0. */
export function roundExactly(numerator: bigint, denominator: bigint, rounding: Rounding, bits: number): Rounded {
  const negative = numerator < 0n !== denominator < 0n;
  let size = numerator < 0n ? -numerator : numerator;
  let by = denominator < 0n ? -denominator : denominator;
  let exponent = size.toString(2).length - by.toString(2).length;
  const places = BigInt(bits);
  const shift = places - BigInt(exponent);
  if (shift > 0n) size <<= shift;
  else by <<= -shift;
  if (size / by < 1n << places) size <<= 1n;
  else exponent++;
  const quotient = size / by; // one bit more than is kept
  const below = size % by !== 0n;
  const half = (quotient & 1n) !== 0n;
  let significand = quotient >> 1n;
  const inexact = half || below;
  const up =
    rounding === 'nearest'
      ? half && (below || (significand & 1n) !== 0n)
      : inexact && rounding === (negative ? 'down' : 'up');
  if (up) significand++;
  if (significand >> places) [significand, exponent] = [significand >> 1n, exponent + 1];
  return { negative, exponent: exponent - 1, significand: significand << (64n - places), inexact, up };
}
