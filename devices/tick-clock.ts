/**
 * Exact conversion between guest time in ns and ticks of a clock of a whole number of Hz.
 *
 *   ticksAt(ns) = floor(ns * hz / 10^9)        nsOfTick(t) = the smallest ns with ticksAt(ns) = t
 *
 * Whole seconds and the rest are converted apart, so every product stays below 2^53 for rates up to 9 MHz.
 */

const NS_PER_SECOND = 1_000_000_000;

/** Ticks that have passed at `ns` (any safe integer, also negative: rounds towards the past). */
export function ticksAt(ns: number, hz: number): number {
  const seconds = Math.floor(ns / NS_PER_SECOND);
  const rest = ns - seconds * NS_PER_SECOND;
  return seconds * hz + Math.floor((rest * hz) / NS_PER_SECOND);
}

/** The first ns at which `ticks` ticks have passed. */
export function nsOfTick(ticks: number, hz: number): number {
  const seconds = Math.floor(ticks / hz);
  const rest = ticks - seconds * hz;
  return seconds * NS_PER_SECOND + Math.ceil((rest * NS_PER_SECOND) / hz);
}
