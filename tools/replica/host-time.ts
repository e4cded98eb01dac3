/** The host's monotonic time, read only at the edge and passed into everything else. */

/** Nanoseconds since an arbitrary start, a safe integer. */
export function hostNs(): number {
  return Math.floor(performance.now() * 1e6);
}

/** Milliseconds of the same clock as hostNs(), with fractions. */
export function hostMs(): number {
  return performance.now();
}
