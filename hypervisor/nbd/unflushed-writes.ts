/**
 * Writes that a server has answered and not flushed. A server that dies with its machine may lose them, so they are
 * sent again when it is back; only then a later flush tells the guest the truth.
 *
 * Invariant: kept in the order of their answers, which is the order of writing where they overlap.
 */

export interface KeptWrite {
  /** Of the guest's request. */
  readonly tag: number;
  readonly offset: number;
  readonly data: Uint8Array;
}

export class UnflushedWrites {
  #writes: KeptWrite[] = [];
  #bytes = 0;
  /** Writes that were kept since the beginning. */
  #count = 0;

  get bytes(): number {
    return this.#bytes;
  }

  /** A flush that begins now covers the writes before this mark. */
  get mark(): number {
    return this.#count;
  }

  /** What is sent again, in this order. */
  get writes(): readonly KeptWrite[] {
    return this.#writes;
  }

  /** Of the guest's requests that `writes` are, or are parts of, each once. */
  get tags(): number[] {
    return [...new Set(this.#writes.map(({ tag }) => tag))];
  }

  answered(write: KeptWrite): void {
    this.#writes.push(write);
    this.#bytes += write.data.length;
    this.#count++;
  }

  /** Let the oldest go that are more than so many bytes. */
  trim(bytesMax: number): void {
    while (this.#bytes > bytesMax) this.#bytes -= this.#writes.shift()?.data.length ?? this.#bytes;
  }

  /** A flush that began at `mark` was answered. */
  flushed(mark: number): void {
    const first = this.#count - this.#writes.length;
    for (const { data } of this.#writes.splice(0, Math.max(0, mark - first))) this.#bytes -= data.length;
  }
}
