/**
 * The last console bytes of a live replica: those that its sink has taken but not reported as gone. They travel with
 * the state, so that a backup that goes live soon after its join can write them again.
 */
import type { ConsoleSink } from '../../hypervisor/backend/backend.js';

export class ConsoleTail {
  readonly #sink: ConsoleSink;
  #chunks: { readonly offset: number; readonly bytes: Uint8Array }[] = [];
  #end: number;

  /** @param offset position of the first byte still to come */
  constructor(sink: ConsoleSink, offset: number) {
    this.#sink = sink;
    this.#end = offset;
  }

  write(offset: number, bytes: Uint8Array): void {
    this.#trim();
    this.#chunks.push({ offset, bytes });
    this.#end = offset + bytes.length;
    this.#sink.write(offset, bytes);
  }

  /** What may not have left yet. */
  unreleased(): { readonly offset: number; readonly bytes: Uint8Array } {
    this.#trim();
    const first = this.#chunks[0];
    return {
      offset: first?.offset ?? this.#end,
      bytes: Buffer.concat(this.#chunks.map(({ bytes }) => bytes)),
    };
  }

  #trim(): void {
    const { released } = this.#sink;
    while (this.#chunks[0] !== undefined && this.#chunks[0].offset + this.#chunks[0].bytes.length <= released) {
      this.#chunks.shift();
    }
  }
}
