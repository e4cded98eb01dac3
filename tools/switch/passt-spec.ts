/**
 * The text of `--uplink passt`, with optional parts after a colon, separated by commas.
 *
 *   passt:tcp=8080:80,udp=5353:53        ports of this machine's loopback that reach the guest; 0: any free one
 *   passt:tcp=192.0.2.7/8080:80          the same on another address of this machine
 *   passt:ip=10.86.0.2/24,gateway=10.86.0.1   what the guest gets by DHCP; forwarded ports go to that address
 */
import { ConfigError } from '../../emulator/errors.js';
import { parseIpv4, type Ipv4Address } from '../../hypervisor/network/ipv4.js';
import { parseCount } from '../key-values.js';
import { UPLINK_OPTION, parseNetwork, splitOnce, type UplinkPart } from './uplink-parts.js';

const DEFAULT_IP = '10.86.0.2/24';
const DEFAULT_GATEWAY = '10.86.0.1';
const LOOPBACK = '127.0.0.1';
const FORWARDS_MAX = 64;

export interface PortForward {
  readonly protocol: 'tcp' | 'udp';
  /** Address of this machine. */
  readonly host: string;
  /** 0: any free one. */
  readonly hostPort: number;
  readonly guestPort: number;
}

export interface PasstUplinkSpec {
  readonly kind: 'passt';
  /** The guest's. */
  readonly ip: Ipv4Address;
  readonly prefixBits: number;
  readonly gateway: Ipv4Address;
  readonly forwards: readonly PortForward[];
}

/** @throws ConfigError naming the option, its text and what is allowed */
export function parsePasstUplink(text: string, parts: readonly UplinkPart[]): PasstUplinkSpec {
  let ip = DEFAULT_IP;
  let gateway = DEFAULT_GATEWAY;
  const forwards: PortForward[] = [];
  for (const { text: part, key, value } of parts) {
    if (key === 'tcp' || key === 'udp') forwards.push(parseForward(key, value));
    else if (key === 'ip') ip = value;
    else if (key === 'gateway') gateway = value;
    else throw new ConfigError(UPLINK_OPTION, text, `"${part}" is not one of tcp=, udp=, ip=, gateway=`);
  }
  if (forwards.length > FORWARDS_MAX)
    throw new ConfigError(UPLINK_OPTION, text, `has more than ${FORWARDS_MAX} forwards`);
  const network = parseNetwork(ip);
  const gatewayIp = parseIpv4(UPLINK_OPTION, gateway);
  const size = 2 ** (32 - network.prefixBits);
  if (Math.floor(gatewayIp / size) !== Math.floor(network.ip / size) || gatewayIp === network.ip) {
    throw new ConfigError(UPLINK_OPTION, text, `gateway ${gateway} must be another address of the network of ${ip}`);
  }
  return { kind: 'passt', ...network, gateway: gatewayIp, forwards };
}

function parseForward(protocol: 'tcp' | 'udp', text: string): PortForward {
  const [before, after] = splitOnce(text, '/');
  const [host, ports] = after === undefined ? [LOOPBACK, before] : [before, after];
  const [hostPort, guestPort] = splitOnce(ports, ':');
  if (guestPort === undefined) {
    throw new ConfigError(UPLINK_OPTION, `${protocol}=${text}`, `must be ${protocol}=[ADDRESS/]HOSTPORT:GUESTPORT`);
  }
  parseIpv4(UPLINK_OPTION, host);
  return {
    protocol,
    host,
    hostPort: parseCount(`${UPLINK_OPTION} ${protocol}=`, hostPort, 0, 65535),
    guestPort: parseCount(`${UPLINK_OPTION} ${protocol}=${hostPort}:`, guestPort, 1, 65535),
  };
}
