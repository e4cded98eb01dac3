/** A replica or server started by `pair` as a process of its own, with Node's IPC pipe to it. */
import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { projectRoot } from '../images/manifest.js';
import type { FromParent, ToParent } from '../replica/parent-link.js';
import { spawnChild } from '../spawn-child.js';
import { takeEarly } from './early-replicas.js';

export interface ChildExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export class Child {
  readonly name: string;
  readonly exited: Promise<ChildExit>;
  onMessage: ((message: ToParent) => void) | null = null;
  readonly #process: ChildProcess;
  #exit: ChildExit | null = null;
  #killed = false;
  #refusal: string | null = null;
  #discarded = false;
  #waiting: { readonly type: ToParent['type']; readonly resolve: (message: ToParent) => void }[] = [];

  /** Start `ft86 ARGS`, if it was not started early. */
  constructor(name: string, args: readonly string[]) {
    this.name = name;
    this.#process = takeEarly(args) ?? spawnChild(join(projectRoot(), 'ft86'), args);
    this.#process.on('message', (message) => {
      this.#receive(message as ToParent);
    });
    this.exited = new Promise((resolve) => {
      this.#process.on('exit', (code, signal) => {
        const exit = { code, signal };
        this.#exit = exit;
        // What it said last may still be in the pipe.
        if (!this.#process.connected) resolve(exit);
        else
          this.#process.once('disconnect', () => {
            resolve(exit);
          });
      });
    });
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }
  get alive(): boolean {
    return this.#exit === null;
  }
  /** What of the user's input it could not take; known when it has ended. */
  get refusal(): string | null {
    return this.#refusal;
  }
  /** Killed by us on purpose, or by its own --kill-at. */
  get killed(): boolean {
    return !this.#discarded && (this.#killed || this.#exit?.signal === 'SIGKILL');
  }

  /** The next message of that type. Never resolves when the child ends first: race it with `exited`. */
  next<T extends ToParent['type']>(type: T): Promise<Extract<ToParent, { type: T }>> {
    return new Promise((resolve) => {
      this.#waiting.push({ type, resolve: resolve as (message: ToParent) => void });
    });
  }

  send(message: FromParent): void {
    // One that dies just now is heard of by its exit.
    if (this.alive && this.#process.connected) this.#process.send(message, () => undefined);
  }

  /** kill -9. */
  kill(): void {
    this.#killed = true;
    this.#process.kill('SIGKILL');
  }

  terminate(): void {
    this.#process.kill('SIGTERM');
  }

  /** It is not needed any more: end it without calling that a loss. */
  discard(): void {
    this.#discarded = true;
    this.#process.kill('SIGKILL');
  }

  #receive(message: ToParent): void {
    if (message.type === 'refused') this.#refusal = message.message;
    const waiting = this.#waiting.filter((w) => w.type === message.type);
    this.#waiting = this.#waiting.filter((w) => w.type !== message.type);
    for (const { resolve } of waiting) resolve(message);
    this.onMessage?.(message);
  }
}
