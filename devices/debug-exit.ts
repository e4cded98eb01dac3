/**
 * isa-debug-exit: a write ends the run with a code.
 *
 *   0xf4..0xf7  a write of any width: stop, the exit code is the lowest byte written (reads: all ones)
 *
 * The code is reported as written. A guest made for QEMU should know that QEMU ends with process status
 * (code << 1) | 1 instead.
 * Source: QEMU manual, device isa-debug-exit (iobase 0xf4, iosize 4).
 */
import type { DeviceModel, RegisterBlock } from './device.js';
import type { Environment } from './environment.js';
import type { StateRecord } from './state.js';
import { SavedFields } from './saved-fields.js';

export const DEBUG_EXIT_PORT = 0xf4;
export const DEBUG_EXIT_PORT_COUNT = 4;

export interface DebugExitOptions {
  readonly environment: Environment;
}

/** Has no state: the first write ends the machine. */
export class DebugExit implements DeviceModel, RegisterBlock {
  readonly #environment: Environment;

  constructor(options: DebugExitOptions) {
    this.#environment = options.environment;
  }

  read(_offset: number, size: number): number {
    return 2 ** (8 * size) - 1;
  }

  write(_offset: number, _size: number, value: number): void {
    this.#environment.stop('debug-exit', value & 0xff);
  }

  reset(): void {}

  save(): StateRecord {
    return {};
  }

  restore(state: StateRecord): void {
    new SavedFields(state, 'debug-exit').finish();
  }
}
