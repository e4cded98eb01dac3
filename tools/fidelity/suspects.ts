/**
 * Instructions that run without a trap of their own: the one after a load of SS, all after flags without TF are popped.
 * The record that differs may be that of a later one.
 * Source: Intel SDM volume 3, 6.8.3 and 17.3.1.4.
 */
import type { Difference } from './compare.js';
import type { Placed } from './sequence.js';

/** The difference as it is, and once for each other instruction that may have made it. */
export function suspects(difference: Difference): Difference[] {
  const { first, sequence } = difference;
  const all = sequence.placed;
  const at = all.findIndex((other) => other.address === first?.address);
  let others: readonly (Placed | undefined)[] = [];
  if ([at, at - 1].some((index) => loadsStack(all[index]))) others = [all[at + 1], all[at - 1]];
  const flags = all.slice(0, at < 0 ? all.length : at + 1).findLastIndex(loadsFlags);
  if (at < 0 || flags >= 0) others = all.slice(Math.max(0, flags));
  const placedElsewhere = others.filter((other) => other !== undefined);
  return [difference, ...placedElsewhere.map((other) => ({ ...difference, placed: other, before: undefined }))];
}

function loadsStack(placed: Placed | undefined): boolean {
  const code = placed?.instruction;
  if (code === undefined) return false;
  const { template: text, bytes: encoded } = code;
  return /^(17|0f b2)/.test(text) || (text.startsWith('8e') && (encoded.at(-1)! & 0x38) === 0x10);
}

function loadsFlags(placed: Placed | undefined): boolean {
  return /^(9d|cf)/.test(placed?.instruction.template ?? '');
}
