/**
 * Ethernet frames on a byte stream as passt and QEMU's `-netdev stream` carry them. Owns no socket.
 *
 *   0 length u32, big-endian | 4 frame
 *
 * Invariants: a frame is handed out whole or not at all; what is no Ethernet frame for this network (too short, too long)
 * is counted and left out; memory held is never more than what was pushed and one frame.
 * Source: QEMU 7.2, net/stream.c and net/net.c (net_fill_rstate); passt(1), section "Interface".
 */
import { DecodeError } from '../../emulator/errors.js';
import { ChunkQueue } from '../channel/chunk-queue.js';
import { isFrameLength } from './port-protocol.js';

const PREFIX_BYTES = 4;
/** NET_BUFSIZE of QEMU: 4096 + 65536. A longer one is no length but noise. */
const STREAM_FRAME_BYTES_MAX = 4096 + 65536;

/** A frame with its length before it. */
export function encodeStreamFrame(frame: Uint8Array): Uint8Array {
  const bytes = Buffer.allocUnsafe(PREFIX_BYTES + frame.length);
  bytes.writeUInt32BE(frame.length);
  bytes.set(frame, PREFIX_BYTES);
  return bytes;
}

export class StreamFrameSplitter {
  /** Frames left out for their length. */
  unfit = 0;
  readonly #held = new ChunkQueue();
  /** Length of the frame being collected; -1 while its prefix is incomplete. */
  #wanted = -1;

  /** Add what arrived. The chunk is kept by reference and must not change afterwards. */
  push(chunk: Uint8Array): void {
    this.#held.push(chunk);
  }

  /** The next frame, in a buffer of its own; null when more bytes are needed. @throws DecodeError: the stream is useless */
  next(): Uint8Array | null {
    for (;;) {
      if (this.#wanted < 0) {
        if (this.#held.length < PREFIX_BYTES) return null;
        this.#wanted = this.#held.take(PREFIX_BYTES).readUInt32BE(0);
        if (this.#wanted > STREAM_FRAME_BYTES_MAX) {
          throw new DecodeError('too-large', 0, `a frame of ${this.#wanted} bytes is above ${STREAM_FRAME_BYTES_MAX}`);
        }
      }
      if (this.#held.length < this.#wanted) return null;
      const frame = this.#held.take(this.#wanted);
      this.#wanted = -1;
      if (isFrameLength(frame.length)) return new Uint8Array(frame);
      this.unfit++;
    }
  }
}
