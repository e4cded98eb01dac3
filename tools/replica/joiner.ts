/**
 * Edge: collects a live replica's state in a joining backup: WELCOME makes the machine, PAGES fill its RAM, STATE
 * completes it.
 */
import { DecodeError } from '../../emulator/errors.js';
import type { Message, Welcome } from '../../hypervisor/channel/messages.js';
import type { MachineConfig } from '../../hypervisor/machine/machine-config.js';
import { Machine } from '../../hypervisor/machine/machine.js';
import { configOfHeader } from './handshake.js';
import { initialRate } from '../../hypervisor/ft/clock-policy.js';
import { decodeMachineState, storePages } from './state-transfer.js';

export class Joiner {
  readonly #checkConfig: (config: MachineConfig) => void;
  #machine: Machine | null = null;
  #welcome: Welcome | null = null;
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

  /** @throws DecodeError, ConfigError */
  welcome({ welcome, header }: Extract<Message, { type: 'welcome' }>): Welcome {
    if (this.#machine !== null) throw new DecodeError('bad-order', 0, 'a second welcome');
    const config = configOfHeader(header);
    this.#checkConfig(config);
    this.#machine = new Machine(config, initialRate(config.clock), () => undefined);
    this.#welcome = welcome;
    return welcome;
  }

  /** @throws DecodeError */
  pages({ pages }: Extract<Message, { type: 'pages' }>): void {
    storePages(this.#joining(), pages);
    this.#pagesStored += pages.length;
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

  #joining(): Machine {
    if (this.#machine === null || this.#complete) throw new DecodeError('bad-order', 0, 'state outside a join');
    return this.#machine;
  }
}
