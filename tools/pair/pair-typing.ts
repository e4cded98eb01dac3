/**
 * The wire from a pair's typist to the guest: bytes go to the replica that is live, and wait while none is.
 *
 *   typist -> type() -> live replica's process -> serial entry
 *   both replicas' console messages -> output() -> typist, each byte once
 *
 * What a primary took and did not log before it died is lost, as on a line whose receiver is reset.
 */
import { ConsoleTap, type Typist } from '../console/typist.js';
import type { Child } from './child.js';

export class PairTyping {
  /** The typist wants the run to end. */
  readonly ended: Promise<void>;
  readonly #typist: Typist;
  readonly #tap: ConsoleTap;
  readonly #end: () => void;
  #live: Child | null = null;
  #started = false;
  #waiting: Uint8Array[] = [];

  constructor(typist: Typist) {
    this.#typist = typist;
    this.#tap = new ConsoleTap(typist);
    let end: () => void = () => undefined;
    this.ended = new Promise<void>((resolve) => {
      end = resolve;
    });
    this.#end = end;
  }

  /** `child` is the live replica from now on, until it exits. */
  connect(child: Child): void {
    this.#live = child;
    void child.exited.then(() => {
      if (this.#live === child) this.#live = null;
    });
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const bytes of waiting) this.#type(bytes);
    if (this.#started) return;
    this.#started = true;
    this.#typist.start({
      type: (bytes) => {
        this.#type(bytes);
      },
      end: this.#end,
    });
  }

  /** Console bytes as a replica sends them; `offset` is the first one's. */
  output(offset: number, bytes: Uint8Array): void {
    this.#tap.write(offset, bytes);
  }

  close(): void {
    this.#typist.close();
  }

  #type(bytes: Uint8Array): void {
    if (this.#live === null) this.#waiting.push(bytes);
    else this.#live.send({ type: 'serial', base64: Buffer.from(bytes).toString('base64') });
  }
}
