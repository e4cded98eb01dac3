/**
 * Which of the known differences from QEMU explains one that was found.
 */
import type { Difference, Field } from './compare.js';
import { onlyBits, type KnownDifference } from './difference.js';
import { KNOWN_DIFFERENCES } from './known-differences.js';
import { suspects } from './suspects.js';

/** The entry that explains a difference, if there is one. Of several instructions without a trap one may have left flags undefined. */
export function explain(difference: Difference): KnownDifference | undefined {
  const all = suspects(difference);
  const entry = (fields: readonly Field[]): KnownDifference | undefined =>
    all
      .map((suspect) => KNOWN_DIFFERENCES.find(({ matches }) => matches({ ...suspect, fields })))
      .find((known) => known !== undefined);
  const whole = entry(difference.fields);
  const isShadow = all.slice(1).some(({ placed }) => (placed?.instruction.undefinedFlags ?? '') !== '');
  const rest = difference.fields.filter((field) => field.name !== 'eflags' || !onlyBits(field, 0x8d5));
  return whole === undefined && isShadow && rest.length > 0 ? entry(rest) : whole;
}
