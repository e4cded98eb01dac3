/**
 * Where an NBD export is.
 *
 *   nbd://HOST[:PORT]/EXPORT        nbd+unix:///EXPORT?socket=PATH
 *   nbds://HOST[:PORT]/EXPORT       nbds+unix:///EXPORT?socket=PATH      with TLS
 *
 * Source: The NBD URI specification, doc/uri.md of the network block device project.
 */
import { ConfigError } from '../../emulator/errors.js';
import { parseAddress, type Address } from '../channel/address.js';

const DEFAULT_PORT = 10809;
const PATTERN = /^nbd(s?)(?::\/\/([^/?#]+)|\+unix:\/\/)(?:\/([^?#]*))?(?:\?socket=([^&#]+))?$/;

export interface NbdUri {
  readonly address: Address;
  readonly export: string;
  readonly tls: boolean;
}

export function isNbdUri(text: string): boolean {
  return /^nbds?(\+unix)?:/.test(text);
}

/** @throws ConfigError naming `option` */
export function parseNbdUri(option: string, text: string): NbdUri {
  const match = PATTERN.exec(text);
  const [, secure, host, name = '', socket] = match ?? [];
  if (match === null || (host === undefined) === (socket === undefined)) {
    throw new ConfigError(
      option,
      text,
      'must be nbd://HOST[:PORT]/EXPORT or nbd+unix:///EXPORT?socket=PATH (nbds: with TLS)',
    );
  }
  const withPort = /:[0-9]+$/.test(host ?? '') ? host : `${host ?? ''}:${DEFAULT_PORT}`;
  const address = parseAddress(
    option,
    socket === undefined ? `tcp://${withPort ?? ''}` : `unix:${decode(option, socket)}`,
  );
  return { address, export: decode(option, name), tls: secure === 's' };
}

function decode(option: string, part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw new ConfigError(option, part, 'has a percent sign that is no escape');
  }
}
