/**
 * What a live replica has sent to its backup and knows no acknowledgement of: what must be sent again on a new connection.
 *
 *   sent(messages, lastSeq) ... acknowledged(seq)          broken connection: after(nextSeq) -> everything from there on
 *
 * An item is a frame of the log, or all messages of a checkpoint; it is received whole or not at all. The log's window
 * (flow-control.ts) bounds what is kept: what is executed was acknowledged.
 * Sans-io.
 */
import { assert } from '../../emulator/errors.js';

/** A message: `body` behind `head`. */
export interface SentMessage {
  readonly head: Uint8Array;
  readonly body: Uint8Array;
}

interface Item {
  readonly firstSeq: number;
  readonly lastSeq: number;
  readonly messages: readonly SentMessage[];
}

/** In the place of an item that was acknowledged. */
const LET_GO: Item = { firstSeq: -1, lastSeq: -1, messages: [] };

export class Unacknowledged {
  #items: Item[] = [];
  #head = 0;
  #nextSeq: number;
  readonly #letGo: (body: Uint8Array) => void;

  /**
   * @param nextSeq first entry of the first item
   * @param letGo told of each message that is not sent again; all of it has left then
   */
  constructor(nextSeq: number, letGo: (body: Uint8Array) => void) {
    this.#nextSeq = nextSeq;
    this.#letGo = letGo;
  }

  /** Messages that bring every entry up to `lastSeq` were sent. */
  sent(messages: readonly SentMessage[], lastSeq: number): void {
    assert(lastSeq >= this.#nextSeq, 'what is sent follows what was sent');
    this.#items.push({ firstSeq: this.#nextSeq, lastSeq, messages });
    this.#nextSeq = lastSeq + 1;
  }

  /** The backup holds every entry up to `seq`. */
  acknowledged(seq: number): void {
    for (
      let next = this.#items[this.#head];
      next !== undefined && next.lastSeq <= seq;
      next = this.#items[this.#head]
    ) {
      for (const { body } of next.messages) this.#letGo(body);
      this.#items[this.#head++] = LET_GO;
    }
    // Not for each: an acknowledgement comes for every frame, and many may be under way.
    if (this.#head < 1024 && this.#head < this.#items.length) return;
    this.#items = this.#items.slice(this.#head);
    this.#head = 0;
  }

  /**
   * What a backup lacks that holds every entry before `nextSeq`, in order.
   * Null: it does not stand where one item ends and the next begins, or before what it has acknowledged.
   */
  after(nextSeq: number): SentMessage[] | null {
    if (nextSeq === this.#nextSeq) return [];
    const first = this.#items.findIndex(({ firstSeq }, i) => i >= this.#head && firstSeq === nextSeq);
    return first === -1 ? null : this.#items.slice(first).flatMap(({ messages }) => messages);
  }
}
