/**
 * The functions of the FPU with several hundred correct bits, as plainly as they can be written: integers that
 * stand for multiples of 2^-PLACES, power series, and no algorithm in common with emulator/native/x87_*.c.
 *
 *   ln      many square roots, then the series of artanh       2^x   halvings, the series of e^x, squarings
 *   arctan  halvings of the angle, then its series             sin, cos  their series after an exact remainder
 *
 * Source: the series are those of any textbook; pi of 66 bits: Intel SDM volume 1, section 8.3.8.
 */

/** Binary places of all numbers here. Operands of the tests have exponents from -200 to 70. */
export const PLACES = 640n;
export const ONE = 1n << PLACES;

export function multiply(a: bigint, b: bigint): bigint {
  return (a * b) >> PLACES;
}

export function divide(a: bigint, b: bigint): bigint {
  return (a << PLACES) / b;
}

/** Square root by Newton's iteration from above. */
export function squareRoot(a: bigint): bigint {
  const square = a << PLACES;
  let root = 1n << (BigInt(square.toString(2).length + 1) / 2n + 1n);
  for (;;) {
    const next = (root + square / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}

/** The sum of term(0), term(1), ... until they vanish. */
function series(first: bigint, next: (term: bigint, index: bigint) => bigint): bigint {
  let sum = 0n;
  let term = first;
  for (let index = 0n; term !== 0n && term !== -1n; index++) {
    sum += term;
    term = next(term, index);
  }
  return sum;
}

/** x - x^3/3 + x^5/5 ... (sign -1) or x + x^3/3 + ... (sign 1) */
function oddReciprocals(x: bigint, sign: bigint): bigint {
  const square = multiply(x, x);
  let power = x;
  let sum = x;
  for (let odd = 3n; power / odd !== 0n; odd += 2n) {
    power = sign * multiply(power, square);
    sum += power / odd;
  }
  return sum;
}

/** arctan of any x; halved until small: tan(a/2) = t / (1 + sqrt(1 + t^2)). */
export function arctan(x: bigint): bigint {
  let t = x;
  const halvings = 12n;
  for (let index = 0n; index < halvings; index++) t = divide(t, ONE + squareRoot(ONE + multiply(t, t)));
  return oddReciprocals(t, -1n) << halvings;
}

/** Machin: pi/4 = 4 arctan(1/5) - arctan(1/239) */
export const PI = 4n * (4n * oddReciprocals(ONE / 5n, -1n) - oddReciprocals(ONE / 239n, -1n));

/** Natural logarithm of 1 + x, x > -1; small x lose nothing. */
export function naturalLog1p(x: bigint): bigint {
  let root = ONE + x;
  const roots = 12n;
  for (let index = 0n; index < roots; index++) root = squareRoot(root);
  const t = divide(root - ONE, root + ONE);
  return (2n * oddReciprocals(t, 1n)) << roots;
}

export const LN2 = naturalLog1p(ONE);

export function log2(x: bigint): bigint {
  return divide(naturalLog1p(x - ONE), LN2);
}

/** 2^x - 1 */
export function exp2m1(x: bigint): bigint {
  const halvings = 12n;
  const small = multiply(x, LN2) >> halvings;
  let result = series(small, (term, index) => multiply(term, small) / (index + 2n));
  for (let index = 0n; index < halvings; index++) result = 2n * result + multiply(result, result);
  return result;
}

/** The processor's own pi: 0.C90FDAA2 2168C234 C * 2^2. */
const PI_66 = 0xc90fdaa22168c234cn << (PLACES - 66n);

/** sin(x) and cos(x) with the processor's pi. */
export function sinCos(x: bigint): [sine: bigint, cosine: bigint] {
  const half = PI_66 / 2n;
  let turns = x / half;
  let rest = x - turns * half;
  if (2n * rest > half) [turns, rest] = [turns + 1n, rest - half];
  if (2n * rest < -half) [turns, rest] = [turns - 1n, rest + half];
  const square = multiply(rest, rest);
  const step = (first: bigint) => (term: bigint, index: bigint) =>
    -multiply(term, square) / ((2n * index + first) * (2n * index + first + 1n));
  const sine = series(rest, step(2n));
  const cosine = series(ONE, step(1n));
  switch (((turns % 4n) + 4n) % 4n) {
    case 0n:
      return [sine, cosine];
    case 1n:
      return [cosine, -sine];
    case 2n:
      return [-sine, -cosine];
    default:
      return [-cosine, sine];
  }
}

/** The angle of (x, y). */
export function arctan2(y: bigint, x: bigint): bigint {
  const angle = arctan(divide(y < 0n ? -y : y, x < 0n ? -x : x));
  const above = x < 0n ? PI - angle : angle;
  return y < 0n ? -above : above;
}
