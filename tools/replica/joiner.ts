/**
 * Edge: collects a live replica's state in a joining backup: BLOBs bring its firmware, WELCOME makes the machine, PAGES
 * fill its RAM, STATE completes it.
 */
import { DecodeError } from '../../emulator/errors.js';
import type { Message, Welcome } from '../../hypervisor/channel/messages.js';
import { BlobStore } from '../../hypervisor/machine/blob-store.js';
import { BLOB_BYTES_MAX, FILES_MAX, type MachineConfig } from '../../hypervisor/machine/machine-config.js';
import { Machine } from '../../hypervisor/machine/machine.js';
import { configOfHeader } from './handshake.js';
import { initialRate } from '../../hypervisor/ft/clock-policy.js';
import { decodeMachineState, storePages } from './state-transfer.js';

/** The firmware and the files. */
const BLOBS_MAX = 1 + FILES_MAX;

export class Joiner {
  readonly #checkConfig: (config: MachineConfig) => void;
  #machine: Machine | null = null;
  #welcome: Welcome | null = null;
  readonly #blobs = new BlobStore();
  #blobCount = 0;
  #pagesStored = 0;
  #complete = false;

  /** @param checkConfig refuses a machine that this replica cannot serve, by throwing ConfigError */
  constructor(checkConfig: (config: MachineConfig) => void) {
    this.#checkConfig = checkConfig;
  }

  get machine(): Machine | null {
    return this.#machine;
  }
  /** What the live replica said of itself. */
  get welcomed(): Welcome | null {
    return this.#welcome;
  }

  /** A part of the state. @throws DecodeError */
  take(message: Extract<Message, { type: 'blob' | 'pages' }>): void {
    if (message.type === 'blob') {
      this.#blob(message.data);
      return;
    }
    storePages(this.#joining(), message.pages);
    this.#pagesStored += message.pages.length;
  }

  /** @throws DecodeError, ConfigError */
  welcome({ welcome, header }: Extract<Message, { type: 'welcome' }>): Welcome {
    if (this.#machine !== null) throw new DecodeError('bad-order', 0, 'a second welcome');
    const config = configOfHeader(header);
    this.#checkConfig(config);
    this.#machine = new Machine(config, initialRate(config.clock), () => undefined, this.#blobs);
    this.#welcome = welcome;
    return welcome;
  }

  /** The state is whole: returns the machine at the live replica's icount. @throws DecodeError */
  complete(message: Extract<Message, { type: 'state' }>): Machine {
    const machine = this.#joining();
    if (message.pagesSent !== this.#pagesStored) {
      throw new DecodeError('bad-pages', 0, `${this.#pagesStored} pages arrived of ${message.pagesSent}`);
    }
    machine.restore(decodeMachineState(message.state));
    this.#complete = true;
    return machine;
  }

  /** Something that the machine's configuration will name. */
  #blob(data: Uint8Array): void {
    if (this.#machine !== null) throw new DecodeError('bad-order', 0, 'a blob after the welcome');
    if (data.length > BLOB_BYTES_MAX) throw new DecodeError('bad-length', 1, `a blob of ${data.length} bytes`);
    if (++this.#blobCount > BLOBS_MAX) throw new DecodeError('bad-order', 0, 'too many blobs');
    this.#blobs.add(Uint8Array.from(data));
  }

  #joining(): Machine {
    if (this.#machine === null || this.#complete) throw new DecodeError('bad-order', 0, 'state outside a join');
    return this.#machine;
  }
}
