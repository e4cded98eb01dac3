/**
 * Where a server of ours listens: `tcp://HOST:PORT`, `tcp://[IPV6]:PORT` or `unix:PATH`.
 *
 * Invariant: without a key an address is on this machine (127.0.0.0/8, ::1, localhost) or a UNIX socket.
 * `localhost` always means 127.0.0.1, whatever the host's name service says.
 */
import { isIPv4, isIPv6 } from 'node:net';
import { ConfigError } from '../../emulator/errors.js';

/** sun_path has 108 bytes including the final zero (unix(7)). */
const UNIX_PATH_BYTES_MAX = 107;

export type Address =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

/** @throws ConfigError naming `option` */
export function parseAddress(option: string, text: string): Address {
  if (text.startsWith('unix:')) {
    const path = text.slice('unix:'.length);
    if (path === '' || path.includes('\0') || Buffer.byteLength(path) > UNIX_PATH_BYTES_MAX) {
      throw new ConfigError(option, text, `the path of a UNIX socket has 1 to ${UNIX_PATH_BYTES_MAX} bytes`);
    }
    return { kind: 'unix', path };
  }
  const match = /^tcp:\/\/(?:\[([0-9a-fA-F:.]+)\]|([^[\]:/\s]+)):([0-9]{1,5})$/.exec(text);
  const [, ipv6, name, digits] = match ?? [];
  const port = Number(digits);
  if (match === null || port > 65535 || (ipv6 !== undefined && !isIPv6(ipv6))) {
    throw new ConfigError(option, text, 'must be tcp://HOST:PORT (port 0 to 65535) or unix:PATH');
  }
  const host = ipv6 ?? name ?? '';
  return { kind: 'tcp', host: host === 'localhost' ? '127.0.0.1' : host, port };
}

/** The address as the user writes it. */
export function formatAddress(address: Address): string {
  if (address.kind === 'unix') return `unix:${address.path}`;
  return isIPv6(address.host) ? `tcp://[${address.host}]:${address.port}` : `tcp://${address.host}:${address.port}`;
}

/** Whether only processes of this machine can reach the address. */
export function isLocal(address: Address): boolean {
  if (address.kind === 'unix') return true;
  if (isIPv4(address.host)) return address.host.startsWith('127.');
  return /^(?:0{0,4}:){1,7}0{0,3}1$/.test(address.host);
}

/** Refuse an address that means every address of this host: whoever is told it elsewhere finds nobody. @throws ConfigError naming `option` */
export function requireOneHost(option: string, text: string): void {
  const address = parseAddress(option, text);
  if (address.kind === 'unix' || !/^(?:0x)?[0:.]+$|^[0:]+:ffff:[0:.]+$/i.test(address.host)) return;
  throw new ConfigError(option, text, 'with --pool it must be an address at which spare hosts reach this one');
}

/** @throws ConfigError when there is no key and other machines could reach the address */
export function requireLocalWithoutKey(option: string, text: string, address: Address, key: Uint8Array | null): void {
  if (key !== null || isLocal(address)) return;
  throw new ConfigError(
    option,
    text,
    'without --key FILE only loopback (127.0.0.0/8, ::1, localhost) or unix:PATH is allowed; "ft86 keygen" makes a key file',
  );
}

/** Refuse an address that a listener could not have. @throws ConfigError naming `option` */
export function checkAddress(option: string, text: string, key: Uint8Array | null): void {
  requireLocalWithoutKey(option, text, parseAddress(option, text), key);
}
