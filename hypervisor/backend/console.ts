/**
 * Where a guest's console bytes go: a file or one of this process's standard streams.
 *
 *   write(offset, bytes) -> drop what was taken before -> ByteTarget
 *
 * A file is written at the bytes' own offsets, so that two replicas that use the same file one after the other leave
 * each byte once. A stream cannot take anything back: there the collector's counter is what drops repeats.
 * Neither can refuse an older epoch's replica; the parent's console collector does.
 */
import { closeSync, constants, fstatSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import type { Writable } from 'node:stream';
import { assert, ConfigError, ReplicaError } from '../../emulator/errors.js';
import { hostErrorMessage } from './host-error.js';
import type { ConsoleSink } from './backend.js';

/** Takes bytes in order; `offset` is the first one's. */
interface ByteTarget {
  /** `done` is called when the bytes have left, possibly from inside. */
  write(offset: number, bytes: Uint8Array, done: () => void): void;
  close(): Promise<void>;
}

/**
 * Hands each console byte on once, in order. The first write may start anywhere (a predecessor wrote what is
 * before it); after that a gap would be lost output and is refused.
 */
export class ConsoleCollector implements ConsoleSink {
  readonly #target: ByteTarget;
  /** Offset of the first byte still to come; null before the first write. */
  #next: number | null = null;
  #released = 0;

  constructor(target: ByteTarget) {
    this.#target = target;
  }

  get released(): number {
    return this.#released;
  }

  write(offset: number, bytes: Uint8Array): void {
    assert(Number.isSafeInteger(offset) && offset >= 0, `console offset ${offset} is a byte count`);
    const start = this.#next ?? offset;
    assert(offset <= start, `console bytes ${start} to ${offset} were never written`);
    const fresh = bytes.subarray(Math.min(start - offset, bytes.length));
    if (fresh.length === 0) return;
    this.#next = start + fresh.length;
    this.#target.write(start, fresh, () => {
      this.#released = Math.max(this.#released, start + fresh.length);
    });
  }

  async close(): Promise<void> {
    await this.#target.close();
  }
}

/**
 * A console in a file. `fresh`: empty it first; else what is there stays (a replica that goes live).
 * @throws ConfigError when the file cannot be opened
 */
export function openConsoleFile(path: string, fresh: boolean): ConsoleCollector {
  return new ConsoleCollector(new FileTarget(path, fresh));
}

/**
 * A console on a stream, which is not ended at close().
 * @param onFailure called once when the stream fails otherwise than by its reader having gone
 */
export function openConsoleStream(stream: Writable, onFailure: (error: Error) => void): ConsoleCollector {
  return new ConsoleCollector(new StreamTarget(stream, onFailure));
}

class FileTarget implements ByteTarget {
  readonly #path: string;
  readonly #descriptor: number;
  /** Pipes and terminals have no offsets. */
  readonly #seekable: boolean;

  constructor(path: string, fresh: boolean) {
    this.#path = path;
    try {
      // Not opened with 'w', which would empty a file that cannot be written at all.
      this.#descriptor = openSync(path, constants.O_WRONLY | constants.O_CREAT, 0o644);
      this.#seekable = fstatSync(this.#descriptor).isFile();
      if (fresh && this.#seekable) ftruncateSync(this.#descriptor);
    } catch (error) {
      throw new ConfigError('console file', path, `must be writable: ${hostErrorMessage(error)}`);
    }
  }

  write(offset: number, bytes: Uint8Array, done: () => void): void {
    try {
      for (let at = 0; at < bytes.length;) {
        const position = this.#seekable ? offset + at : null;
        at += writeSync(this.#descriptor, bytes, at, bytes.length - at, position);
      }
    } catch (error) {
      throw new ReplicaError(`console file ${this.#path}: cannot write`, { cause: error });
    }
    done();
  }

  close(): Promise<void> {
    closeSync(this.#descriptor);
    return Promise.resolve();
  }
}

class StreamTarget implements ByteTarget {
  readonly #stream: Writable;
  #broken = false;

  constructor(stream: Writable, onFailure: (error: Error) => void) {
    this.#stream = stream;
    // Stays for the life of the process: an error may come after the last write.
    stream.on('error', (error: NodeJS.ErrnoException) => {
      const first = !this.#broken;
      this.#broken = true;
      // The reader has gone (`ft86 ... | head`): nobody wants the rest, and the guest does not care.
      if (first && error.code !== 'EPIPE') onFailure(new ReplicaError('console: cannot write', { cause: error }));
    });
  }

  write(_offset: number, bytes: Uint8Array, done: () => void): void {
    if (this.#broken) {
      done();
      return;
    }
    // The callback comes with an error as well: then nobody will ever take the bytes.
    // A copy, as the stream may keep the bytes for later (slice() of a Buffer would share them).
    this.#stream.write(new Uint8Array(bytes), () => {
      done();
    });
  }

  async close(): Promise<void> {
    if (this.#broken) return;
    await new Promise<void>((resolve) => {
      this.#stream.write('', () => {
        resolve();
      });
    });
  }
}
