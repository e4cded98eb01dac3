/**
 * Loads the TAP addon, the only file that does (an edge). `make native` builds it from tools/switch/native/tap.c.
 *
 *   sources:  tools/switch/tap-device.ts           -> ../../build/native/tap.node
 *   compiled: build/js/tools/switch/tap-device.js  -> ../../../native/tap.node
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { getSystemErrorMap } from 'node:util';
import { fileURLToPath } from 'node:url';
import { InvariantError, ReplicaError } from '../../emulator/errors.js';
import { ETHERNET_FRAME_BYTES_MAX } from '../../hypervisor/network/ethernet.js';

type Handle = { readonly brand: unique symbol };

interface TapAddon {
  /** A number is a negative errno. */
  open(name: string, onReadable: () => void): Handle | number;
  read(handle: Handle, buffer: Uint8Array): number;
  write(handle: Handle, frame: Uint8Array): number;
  close(handle: Handle): void;
}

const MEANINGS: Readonly<Record<string, string>> = {
  EPERM: 'permission denied: it needs root (CAP_NET_ADMIN), or an interface made for this user',
  EACCES: 'permission denied: it needs root (CAP_NET_ADMIN), or an interface made for this user',
  EBUSY: 'the interface is in use by another program',
  EINVAL: 'there is an interface of that name that is no TAP interface',
  ENOENT: 'this system has no /dev/net/tun',
  ENODEV: 'this system has no /dev/net/tun',
};
/** One byte more than a frame may have, so that a longer one shows. */
const BUFFER_BYTES = ETHERNET_FRAME_BYTES_MAX + 1;

export class TapDevice {
  readonly #addon: TapAddon;
  readonly #handle: Handle;
  readonly #buffer = new Uint8Array(BUFFER_BYTES);

  /** `onReadable` is called while frames wait. @throws ReplicaError saying why there is no such interface for us */
  constructor(name: string, onReadable: () => void) {
    this.#addon = load();
    const opened = this.#addon.open(name, onReadable);
    if (typeof opened === 'number') throw new ReplicaError(`tap:${name} (--uplink): ${describe(errorName(opened))}`);
    this.#handle = opened;
  }

  /** The next frame, which is the caller's; null: none waits; a text: the error's name. */
  read(): Uint8Array | string | null {
    const bytes = this.#addon.read(this.#handle, this.#buffer);
    if (bytes >= 0) return this.#buffer.slice(0, bytes);
    const name = errorName(bytes);
    return name === 'EAGAIN' ? null : name;
  }

  /** False: the system did not take it, e.g. because the interface is down. */
  write(frame: Uint8Array): boolean {
    return this.#addon.write(this.#handle, frame) === frame.length;
  }

  close(): void {
    this.#addon.close(this.#handle);
  }
}

function errorName(errno: number): string {
  return getSystemErrorMap().get(errno)?.[0] ?? `error ${-errno}`;
}

function describe(name: string): string {
  return MEANINGS[name] ?? name;
}

function load(): TapAddon {
  const places = ['../../build/native/tap.node', '../../../native/tap.node'];
  const paths = places.map((place) => fileURLToPath(new URL(place, import.meta.url)));
  const path = paths.find((candidate) => existsSync(candidate));
  if (path === undefined) throw new InvariantError('the TAP addon is not built: run make build');
  return createRequire(import.meta.url)(path) as TapAddon;
}
