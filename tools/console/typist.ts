/**
 * Who types on the guest's console: a person at this terminal, a pipe, or a script.
 *
 *   Typist --type()--> Keyboard -> serial input of the live replica
 *          <-output()- what the guest's console said, once, in order
 */
import type { ConsoleSink } from '../../hypervisor/backend/backend.js';

/** The guest's end of the serial line, and the switch of the machine. */
export interface Keyboard {
  type(bytes: Uint8Array): void;
  /** End the run in order. */
  end(): void;
}

export interface Typist {
  /** The guest runs; called once. */
  start(keyboard: Keyboard): void;
  output(bytes: Uint8Array): void;
  /** The run is over: let go of the terminal. */
  close(): void;
}

/** Shows a typist each console byte once, whoever writes it; `offset` is the first byte's in the guest's stream. */
export class ConsoleTap {
  readonly #typist: Typist;
  #next = 0;

  constructor(typist: Typist) {
    this.#typist = typist;
  }

  write(offset: number, bytes: Uint8Array): void {
    const fresh = bytes.subarray(Math.min(bytes.length, Math.max(0, this.#next - offset)));
    this.#next = Math.max(this.#next, offset + bytes.length);
    if (fresh.length > 0) this.#typist.output(fresh);
  }
}

/** A console that a typist reads along. */
export class TappedConsole implements ConsoleSink {
  readonly #sink: ConsoleSink;
  readonly #tap: ConsoleTap;

  constructor(sink: ConsoleSink, typist: Typist) {
    this.#sink = sink;
    this.#tap = new ConsoleTap(typist);
  }

  get released(): number {
    return this.#sink.released;
  }

  write(offset: number, bytes: Uint8Array): void {
    this.#sink.write(offset, bytes);
    this.#tap.write(offset, bytes);
  }

  close(): Promise<void> {
    return this.#sink.close();
  }
}
