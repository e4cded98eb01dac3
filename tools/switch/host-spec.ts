/**
 * The text of `--uplink host`, with optional parts after a colon, separated by commas.
 *
 *   host
 *   host:udp=HOSTPORT:GUESTIP:GUESTPORT          HOSTPORT 0: any free one; may be repeated
 *   host:ip=10.86.0.1/24,mac=02:86:00:00:00:01
 *   host:dhcp=off                                no addresses for guests that ask (on: the upper half of the network)
 *   host:tftp=DIR,bootfile=NAME                  files for guests that boot from the network, and what they start
 */
import { ConfigError } from '../../emulator/errors.js';
import { BOOT_FILE_BYTES_MAX } from '../../hypervisor/network/dhcp.js';
import { parseMac } from '../../hypervisor/network/ethernet.js';
import { parseIpv4, type Ipv4Address } from '../../hypervisor/network/ipv4.js';
import { parseCount } from '../key-values.js';
import { UPLINK_OPTION, parseNetwork, type UplinkPart } from './uplink-parts.js';

const DEFAULT_IP = '10.86.0.1/24';
/** Locally administered (second lowest bit of the first byte). */
const DEFAULT_MAC = '02:86:00:00:00:01';
const FORWARDS_MAX = 64;

export interface UdpForward {
  /** Port on 127.0.0.1; 0: any free one. */
  readonly hostPort: number;
  readonly guestIp: Ipv4Address;
  readonly guestPort: number;
}

export interface HostUplinkSpec {
  readonly kind: 'host';
  readonly ip: Ipv4Address;
  readonly prefixBits: number;
  readonly mac: Uint8Array;
  readonly forwards: readonly UdpForward[];
  /** Whether it gives addresses to guests that ask. */
  readonly dhcp: boolean;
  /** A directory whose files it serves by TFTP, or null. */
  readonly tftp: string | null;
  /** The file that guests are told to start (a name in that directory, or a URL), or null. */
  readonly bootFile: string | null;
}

/** @throws ConfigError naming the option, its text and what is allowed */
export function parseHostUplink(text: string, parts: readonly UplinkPart[]): HostUplinkSpec {
  let ip = DEFAULT_IP;
  let mac = DEFAULT_MAC;
  let dhcp = true;
  let tftp: string | null = null;
  let bootFile: string | null = null;
  const forwards: UdpForward[] = [];
  for (const { text: part, key, value } of parts) {
    if (key === 'udp') forwards.push(parseForward(value));
    else if (key === 'ip') ip = value;
    else if (key === 'mac') mac = value;
    else if (part === 'dhcp=on' || part === 'dhcp=off') dhcp = value === 'on';
    else if (key === 'tftp') tftp = value;
    else if (key === 'bootfile') bootFile = value;
    else
      throw new ConfigError(
        UPLINK_OPTION,
        text,
        `"${part}" is not one of udp=, ip=, mac=, dhcp=on|off, tftp=, bootfile=`,
      );
  }
  if (forwards.length > FORWARDS_MAX)
    throw new ConfigError(UPLINK_OPTION, text, `has more than ${FORWARDS_MAX} forwards`);
  if (bootFile !== null) checkBootFile(text, bootFile, dhcp);
  return {
    kind: 'host',
    ...parseNetwork(ip),
    mac: parseMac(UPLINK_OPTION, mac),
    forwards,
    dhcp,
    tftp,
    bootFile,
  };
}

function checkBootFile(text: string, name: string, dhcp: boolean): void {
  if (!dhcp) throw new ConfigError(UPLINK_OPTION, text, 'bootfile= is told by DHCP, which is off');
  if (!/^[\x21-\x7e]+$/.test(name) || name.length > BOOT_FILE_BYTES_MAX) {
    throw new ConfigError(
      UPLINK_OPTION,
      text,
      `bootfile= must have 1 to ${BOOT_FILE_BYTES_MAX} printable ASCII characters`,
    );
  }
}

function parseForward(text: string): UdpForward {
  const parts = text.split(':');
  const [hostPort = '', guestIp = '', guestPort = ''] = parts;
  if (parts.length !== 3) throw new ConfigError(UPLINK_OPTION, `udp=${text}`, 'must be udp=HOSTPORT:GUESTIP:GUESTPORT');
  return {
    hostPort: parseCount(`${UPLINK_OPTION} udp=`, hostPort, 0, 65535),
    guestIp: parseIpv4(UPLINK_OPTION, guestIp),
    guestPort: parseCount(`${UPLINK_OPTION} udp=${hostPort}:${guestIp}:`, guestPort, 1, 65535),
  };
}
