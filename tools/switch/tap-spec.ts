/** The text of `--uplink tap:NAME`: the name of an interface as Linux allows them. */
import { ConfigError } from '../../emulator/errors.js';
import { UPLINK_OPTION } from './uplink-parts.js';

/** IFNAMSIZ without the zero at the end. */
const NAME_BYTES_MAX = 15;

export interface TapUplinkSpec {
  readonly kind: 'tap';
  readonly name: string;
}

/** @throws ConfigError naming the option, its text and what is allowed */
export function parseTapUplink(text: string, name: string): TapUplinkSpec {
  if (!/^[A-Za-z0-9_.-]+$/.test(name) || name === '.' || name === '..') {
    throw new ConfigError(UPLINK_OPTION, text, 'must be tap:NAME, of letters, digits, "_", "-" and "."');
  }
  if (name.length > NAME_BYTES_MAX) {
    throw new ConfigError(UPLINK_OPTION, text, `a name of an interface has at most ${NAME_BYTES_MAX} characters`);
  }
  return { kind: 'tap', name };
}
