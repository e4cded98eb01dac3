/** Options of the form `key=value,key=value`, as people know them from QEMU's -drive and -netdev. */
import { ConfigError } from '../emulator/errors.js';

/**
 * Split `text` into its keys and values.
 * @param allowed the keys and, for each, the values allowed or null for any
 * @throws ConfigError naming `option`, the part at fault and what is allowed
 */
export function parseKeyValues(
  option: string,
  text: string,
  allowed: Readonly<Record<string, readonly string[] | null>>,
): Record<string, string> {
  const result: Record<string, string> = {};
  for (const part of text.split(',')) {
    const at = part.indexOf('=');
    const key = at < 0 ? part : part.slice(0, at);
    const value = at < 0 ? '' : part.slice(at + 1);
    const values = Object.hasOwn(allowed, key) ? allowed[key] : undefined;
    if (values === undefined || at < 0) {
      throw new ConfigError(option, text, `"${part}" is not one of ${Object.keys(allowed).join('=, ')}=`);
    }
    if (values !== null && !values.includes(value)) {
      throw new ConfigError(option, text, `${key} must be ${values.join(' or ')}, not "${value}"`);
    }
    if (Object.hasOwn(result, key)) throw new ConfigError(option, text, `${key} is given twice`);
    result[key] = value;
  }
  return result;
}

/** A whole number within bounds. @throws ConfigError */
export function parseCount(option: string, text: string, min: number, max: number): number {
  const value = /^[0-9]{1,16}$/.test(text) ? Number(text) : NaN;
  if (!(value >= min && value <= max)) {
    throw new ConfigError(option, text, `must be a whole number from ${min} to ${max}`);
  }
  return value;
}
