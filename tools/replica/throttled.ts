/** Calls that come too close together are left out. */
import { hostMs } from './host-time.js';

/** A function that calls `report` at most once every `intervalMs`. */
export function throttled<T>(intervalMs: number, report: (value: T) => void): (value: T) => void {
  let lastMs = -Infinity;
  return (value) => {
    const now = hostMs();
    if (now - lastMs < intervalMs) return;
    lastMs = now;
    report(value);
  };
}
