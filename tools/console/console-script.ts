/**
 * A script on the guest's console: each line is typed when the guest shows its prompt, and one more prompt ends it.
 *
 *   output() -> the line the cursor is in -> ends with the prompt? -> next(): bytes to type, or the end
 *
 * Sans-io; the caller asks next() when the console has been quiet for a moment, so that output that happens to stop
 * at something like a prompt is not taken for one.
 *
 * Invariants: lines are typed in order, each once; after a line the guest must have begun a new line (its echo)
 * before a prompt counts again. A kernel that writes its messages to the same console may do so right after a prompt:
 * the prompt still counts when nothing but such messages has come since.
 */

/** What to do now: type these bytes, wait for more output, or the script is over. */
export type ScriptStep =
  { readonly kind: 'type'; readonly bytes: Uint8Array } | { readonly kind: 'wait' } | { readonly kind: 'over' };

/** More of a line than any prompt is long. */
const LINE_CHARACTERS_MAX = 4096;
/** What terminals are told between the characters: ESC [ ... letter, or ESC and one character. */
// eslint-disable-next-line no-control-regex -- escape sequences begin with a control character
const ESCAPES = /\x1b(\[[0-9;?]*[ -/]*[@-~]|[^[])/g;

/** How a line of Linux's own messages begins, with the seconds since power-on. */
const KERNEL_MESSAGE = /^\[ *\d+\.\d{6}\] /;

export class ConsoleScript {
  readonly #lines: readonly string[];
  readonly #prompt: string;
  #typed = 0;
  #line = '';
  #echoSeen = true;
  /** A prompt was shown, and since then the kernel's messages only. */
  #promptAbove = false;

  /** `text`: the file's contents; a newline at its end does not begin one more line. */
  constructor(text: string, prompt: string) {
    this.#lines = text === '' ? [] : text.replace(/\r?\n$/, '').split(/\r?\n/);
    this.#prompt = prompt;
  }

  /** Lines typed so far, of all. */
  get typed(): number {
    return this.#typed;
  }
  get lines(): number {
    return this.#lines.length;
  }

  /** The guest's console said something. */
  output(bytes: Uint8Array): void {
    const text = this.#line + Buffer.from(bytes).toString('latin1');
    const lines = text.split('\n');
    this.#line = lines.pop()!.slice(-LINE_CHARACTERS_MAX);
    for (const line of lines) {
      this.#promptAbove = this.#echoSeen && this.#keepsPrompt(line.replace(ESCAPES, ''));
      this.#echoSeen = true;
    }
  }

  /** To be asked when the console has been quiet. */
  next(): ScriptStep {
    const shown = this.#line.replace(ESCAPES, '');
    const atPrompt = shown.endsWith(this.#prompt) || (this.#promptAbove && shown === '');
    if (!this.#echoSeen || !atPrompt) return { kind: 'wait' };
    const line = this.#lines[this.#typed];
    if (line === undefined) return { kind: 'over' };
    this.#typed++;
    this.#echoSeen = false;
    this.#promptAbove = false;
    return { kind: 'type', bytes: Buffer.from(`${line}\r`, 'utf8') };
  }

  /** Whether a prompt is still open after this whole line: it is in it, or was before, and the rest is the kernel's. */
  #keepsPrompt(line: string): boolean {
    if (KERNEL_MESSAGE.test(line)) return this.#promptAbove;
    const end = line.indexOf(`${this.#prompt}[`) + this.#prompt.length;
    return end >= this.#prompt.length && KERNEL_MESSAGE.test(line.slice(end));
  }
}
