/** The text of `--uplink`: which kind, and what it is told. */
import { ConfigError } from '../../emulator/errors.js';
import { parseDgramUplink, type DgramUplinkSpec } from './dgram-spec.js';
import { parseHostUplink, type HostUplinkSpec } from './host-spec.js';
import { parsePasstUplink, type PasstUplinkSpec } from './passt-spec.js';
import { parseTapUplink, type TapUplinkSpec } from './tap-spec.js';
import { UPLINK_OPTION, splitOnce, splitParts } from './uplink-parts.js';

export type UplinkSpec = DgramUplinkSpec | HostUplinkSpec | PasstUplinkSpec | TapUplinkSpec;

/** @throws ConfigError naming the option, its text and what is allowed */
export function parseUplink(text: string): UplinkSpec {
  const [kind, rest] = splitOnce(text, ':');
  if (kind === 'tap') return parseTapUplink(text, rest ?? '');
  const parts = rest === undefined ? [] : splitParts(rest);
  if (kind === 'host') return parseHostUplink(text, parts);
  if (kind === 'dgram') return parseDgramUplink(text, parts);
  if (kind === 'passt') return parsePasstUplink(text, parts);
  throw new ConfigError(
    UPLINK_OPTION,
    text,
    'must be host[:udp=HOSTPORT:GUESTIP:GUESTPORT][,ip=ADDRESS/BITS][,mac=MAC][,dhcp=off][,tftp=DIR][,bootfile=NAME] ' +
      'or passt[:tcp=HOSTPORT:GUESTPORT][,udp=HOSTPORT:GUESTPORT][,ip=ADDRESS/BITS][,gateway=ADDRESS] ' +
      'or tap:NAME or dgram:LOCAL,REMOTE',
  );
}
