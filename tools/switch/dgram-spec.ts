/**
 * The text of `--uplink dgram:LOCAL,REMOTE`: two UDP addresses of this machine, as QEMU's `-netdev dgram` takes them.
 *
 *   dgram:127.0.0.1:7001,127.0.0.1:7002      frames come to the first and go to the second
 *
 * Invariant: both are on loopback, because nothing authenticates the other end.
 */
import { ConfigError } from '../../emulator/errors.js';
import { formatIpv4, parseIpv4 } from '../../hypervisor/network/ipv4.js';
import { parseCount } from '../key-values.js';
import { UPLINK_OPTION, splitOnce, type UplinkPart } from './uplink-parts.js';

const LOOPBACK_NET = 127;

export interface UdpAddress {
  readonly host: string;
  readonly port: number;
}

export interface DgramUplinkSpec {
  readonly kind: 'dgram';
  readonly local: UdpAddress;
  readonly remote: UdpAddress;
}

/** @throws ConfigError naming the option, its text and what is allowed */
export function parseDgramUplink(text: string, parts: readonly UplinkPart[]): DgramUplinkSpec {
  const [local, remote] = parts;
  if (local === undefined || remote === undefined || parts.length !== 2) {
    throw new ConfigError(UPLINK_OPTION, text, 'must be dgram:LOCAL,REMOTE, e.g. dgram:127.0.0.1:7001,127.0.0.1:7002');
  }
  const spec = { kind: 'dgram', local: parseAddress(local.text), remote: parseAddress(remote.text) } as const;
  if (spec.local.host === spec.remote.host && spec.local.port === spec.remote.port) {
    throw new ConfigError(UPLINK_OPTION, text, 'LOCAL and REMOTE must be two addresses');
  }
  return spec;
}

function parseAddress(text: string): UdpAddress {
  const [address, port = ''] = splitOnce(text, ':');
  const host = parseIpv4(UPLINK_OPTION, address);
  if (host >>> 24 !== LOOPBACK_NET) {
    throw new ConfigError(UPLINK_OPTION, text, 'must be on loopback: nothing authenticates the other end');
  }
  return { host: formatIpv4(host), port: parseCount(`${UPLINK_OPTION} ${address}:`, port, 1, 65535) };
}
