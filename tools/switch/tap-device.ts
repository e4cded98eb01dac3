/**
 * Loads the TAP addon, the only file that does (an edge). `make native` builds it from tools/switch/native/tap.c.
 */
import { getSystemErrorMap } from 'node:util';
import { ReplicaError } from '../../emulator/errors.js';
import { loadAddon } from '../../emulator/load-addon.js';
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
    this.#addon = loadAddon('tap') as TapAddon;
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
