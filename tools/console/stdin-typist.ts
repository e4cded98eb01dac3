/**
 * Edge: this process's stdin is the guest's keyboard. A terminal is put into raw mode, so that every key reaches the
 * guest, Ctrl-C too; Ctrl-A x ends the run, Ctrl-A Ctrl-A (or Ctrl-A a) types a Ctrl-A. A pipe's or file's bytes go
 * through as they are; its end ends nothing.
 */
import { KeyFilter } from './key-filter.js';
import type { Keyboard, Typist } from './typist.js';

export class StdinTypist implements Typist {
  readonly #filter = new KeyFilter();
  #keyboard: Keyboard | null = null;
  readonly #receive = (data: Buffer): void => {
    this.#typed(data);
  };
  readonly #restore = (): void => {
    if (process.stdin.isTTY) process.stdin.setRawMode(false);
  };

  start(keyboard: Keyboard): void {
    this.#keyboard = keyboard;
    const { stdin } = process;
    if (stdin.isTTY) {
      process.stderr.write('ft86: this terminal is the guest’s console; Ctrl-A x ends the run\n');
      stdin.setRawMode(true);
      process.on('exit', this.#restore);
    }
    stdin.on('data', this.#receive);
  }

  output(): void {
    // A person sees the console anyway.
  }

  close(): void {
    if (this.#keyboard === null) return;
    this.#keyboard = null;
    const { stdin } = process;
    stdin.off('data', this.#receive);
    this.#restore();
    process.off('exit', this.#restore);
    // A pipe whose writer lives on must not keep this process alive.
    stdin.destroy();
  }

  #typed(data: Buffer): void {
    const { bytes, end } = process.stdin.isTTY ? this.#filter.take(data) : { bytes: data, end: false };
    if (bytes.length > 0) this.#keyboard?.type(bytes);
    if (end) this.#keyboard?.end();
  }
}
