/** What the texts of all uplinks have in common: a kind, then parts after a colon, separated by commas. */
import { parseIpv4, type Ipv4Address } from '../../hypervisor/network/ipv4.js';
import { parseCount } from '../key-values.js';

export const UPLINK_OPTION = '--uplink';

/** `KEY=VALUE` as it stands in the text; without an equals sign the value is empty. */
export interface UplinkPart {
  readonly text: string;
  readonly key: string;
  readonly value: string;
}

export function splitParts(text: string): UplinkPart[] {
  return text.split(',').map((part) => {
    const [key, value = ''] = splitOnce(part, '=');
    return { text: part, key, value };
  });
}

/** `ADDRESS/BITS` of a network with room for two stations. @throws ConfigError */
export function parseNetwork(text: string): { readonly ip: Ipv4Address; readonly prefixBits: number } {
  const [address, bits = ''] = splitOnce(text, '/');
  return {
    ip: parseIpv4(UPLINK_OPTION, address),
    prefixBits: parseCount(`${UPLINK_OPTION} ip=${address}/`, bits, 8, 30),
  };
}

export function splitOnce(text: string, separator: string): [string, string?] {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}
