/** One line of progress on a terminal, overwritten in place; nothing where stderr is no terminal. */
export class Progress {
  readonly #on: boolean;
  #shown = false;

  constructor(wanted: boolean) {
    this.#on = wanted && process.stderr.isTTY;
  }

  show(text: string): void {
    if (!this.#on) return;
    this.#shown = true;
    process.stderr.write(`\r\x1b[2K${text}`);
  }

  clear(): void {
    if (!this.#shown) return;
    this.#shown = false;
    process.stderr.write('\r\x1b[2K');
  }
}
