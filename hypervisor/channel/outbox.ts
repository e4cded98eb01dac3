/**
 * What one turn of the event loop sends over a connection, put together in few chunks: a chunk costs the host's stream
 * more than copying a frame does.
 *
 *   add(frame) -> [u32 length][frame] | [u32 length][frame] | ...  -> flush() -> one write
 *
 * Invariants: bytes leave in the order of add(); a block is written to again only when the host has taken all of it.
 */
import { LENGTH_PREFIX_BYTES, writeLengthPrefix } from './framing.js';

/** Where frames are put together. */
const BLOCK_BYTES = 64 << 10;
/** Larger frames are chunks of their own. */
const COPY_BYTES_MAX = 8 << 10;

/** What is asked of the host's stream. */
interface ByteStream {
  /** Neither ended nor destroyed. */
  readonly writable: boolean;
  /** Bytes that it has and the host has not. */
  readonly writableLength: number;
  cork(): void;
  uncork(): void;
  write(chunk: Uint8Array): unknown;
}

export class Outbox {
  readonly #stream: ByteStream;
  #block: Buffer | null = null;
  /** What of the block belongs to the stream. */
  #start = 0;
  #end = 0;
  #corked = false;

  constructor(stream: ByteStream) {
    this.#stream = stream;
  }

  /** Bytes that the stream does not have yet. */
  get bytes(): number {
    return this.#end - this.#start;
  }

  /** A frame in two parts, of which the first is small; the second must not change afterwards. */
  add(head: Uint8Array, frame: Uint8Array): void {
    const length = head.length + frame.length;
    const copied = length <= COPY_BYTES_MAX;
    const block = this.#room(LENGTH_PREFIX_BYTES + (copied ? length : head.length));
    writeLengthPrefix(block, this.#end, length);
    this.#end += LENGTH_PREFIX_BYTES;
    // Few bytes are there sooner than a call that copies any number.
    for (const byte of head) block[this.#end++] = byte;
    if (copied) {
      block.set(frame, this.#end);
      this.#end += frame.length;
      return;
    }
    if (!this.#corked) this.#stream.cork();
    this.#corked = true;
    this.#write();
    if (this.#stream.writable) this.#stream.write(frame);
  }

  /** Hand all of it to the host; what the stream does not take any more is lost. */
  flush(): void {
    this.#write();
    if (this.#corked) this.#stream.uncork();
    this.#corked = false;
    // The host has it all: nobody reads the block any more.
    if (this.#stream.writableLength === 0) this.#start = this.#end = 0;
  }

  #write(): void {
    if (this.#block === null || this.#end === this.#start) return;
    const chunk = this.#block.subarray(this.#start, this.#end);
    this.#start = this.#end;
    // What a stream does not take any more is lost.
    if (this.#stream.writable) this.#stream.write(chunk);
  }

  #room(bytes: number): Buffer {
    if (this.#block !== null && this.#end + bytes <= BLOCK_BYTES) return this.#block;
    this.#write();
    this.#start = this.#end = 0;
    return (this.#block = Buffer.allocUnsafeSlow(BLOCK_BYTES));
  }
}
