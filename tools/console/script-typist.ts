/** Edge: types a script, and ends the run after its last prompt. */
import { readFileSync } from 'node:fs';
import { ConfigError } from '../../emulator/errors.js';
import { ConsoleScript } from './console-script.js';
import type { Keyboard, Typist } from './typist.js';

/** The prompt of a shell of root. */
export const DEFAULT_PROMPT = '# ';
/** A console that says nothing for so long has said all it wanted. */
const QUIET_MS = 30;

export class ScriptTypist implements Typist {
  readonly #script: ConsoleScript;
  readonly #path: string;
  #keyboard: Keyboard | null = null;
  #timer: NodeJS.Timeout | null = null;
  #over = false;

  /** @throws ConfigError when the file cannot be read */
  constructor(path: string, prompt: string) {
    if (prompt === '') throw new ConfigError('--prompt', prompt, 'must not be empty');
    this.#path = path;
    try {
      this.#script = new ConsoleScript(readFileSync(path, 'utf8'), prompt);
    } catch (error) {
      throw new ConfigError(
        '--script',
        path,
        `cannot be read (${(error as NodeJS.ErrnoException).code ?? String(error)})`,
      );
    }
  }

  start(keyboard: Keyboard): void {
    this.#keyboard = keyboard;
  }

  output(bytes: Uint8Array): void {
    this.#script.output(bytes);
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#quiet();
    }, QUIET_MS);
  }

  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    const { typed, lines } = this.#script;
    if (typed < lines) process.stderr.write(`ft86: ${this.#path}: ${typed} of ${lines} lines were typed\n`);
  }

  #quiet(): void {
    if (this.#over) return;
    const step = this.#script.next();
    if (step.kind === 'type') this.#keyboard?.type(step.bytes);
    if (step.kind !== 'over') return;
    this.#over = true;
    this.#keyboard?.end();
  }
}
