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

interface Item {
  readonly firstSeq: number;
  readonly lastSeq: number;
  readonly messages: readonly Uint8Array[];
}

export class Unacknowledged {
  #items: Item[] = [];
  #nextSeq: number;

  /** @param nextSeq first entry of the first item */
  constructor(nextSeq: number) {
    this.#nextSeq = nextSeq;
  }

  /** Messages that bring every entry up to `lastSeq` were sent. */
  sent(messages: readonly Uint8Array[], lastSeq: number): void {
    assert(lastSeq >= this.#nextSeq, 'what is sent follows what was sent');
    this.#items.push({ firstSeq: this.#nextSeq, lastSeq, messages });
    this.#nextSeq = lastSeq + 1;
  }

  /** The backup holds every entry up to `seq`. */
  acknowledged(seq: number): void {
    const first = this.#items.findIndex(({ lastSeq }) => lastSeq > seq);
    this.#items = first === -1 ? [] : this.#items.slice(first);
  }

  /**
   * What a backup lacks that holds every entry before `nextSeq`, in order.
   * Null: it does not stand where one item ends and the next begins, or before what it has acknowledged.
   */
  after(nextSeq: number): Uint8Array[] | null {
    if (nextSeq === this.#nextSeq) return [];
    const first = this.#items.findIndex(({ firstSeq }) => firstSeq === nextSeq);
    return first === -1 ? null : this.#items.slice(first).flatMap(({ messages }) => messages);
  }
}
