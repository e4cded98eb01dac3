/**
 * `--pcap FILE`: every frame that enters the bridge, once, into a capture file (an edge).
 *
 *   frame -> record -> waiting bytes -> file, at 64 KiB or after 200 ms
 *
 * Invariants: what waits is bounded, since a full buffer is written before more is taken; a file that cannot be
 * written ends the capture and disturbs no frame.
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import { ConfigError } from '../../emulator/errors.js';
import { hostErrorMessage } from '../../hypervisor/backend/host-error.js';
import { pcapHeader, pcapRecord } from '../../hypervisor/network/pcap.js';

const BUFFER_BYTES = 1 << 16;
const FLUSH_MS = 200;

/** What a capture holds at its end. */
export interface PcapCounters {
  readonly file: string;
  readonly frames: number;
  readonly bytes: number;
}

export class PcapFile {
  readonly #path: string;
  readonly #log: (message: string) => void;
  readonly #timer: NodeJS.Timeout;
  #fd: number | null;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #frames = 0;
  #bytes = 0;

  /** Start a new capture. @throws ConfigError when the file cannot be made */
  constructor(path: string, log: (message: string) => void) {
    this.#path = path;
    this.#log = log;
    try {
      this.#fd = openSync(path, 'w');
    } catch (error) {
      throw new ConfigError('--pcap', path, `cannot be written: ${hostErrorMessage(error)}`);
    }
    this.#add(pcapHeader());
    this.flush();
    this.#timer = setInterval(() => {
      this.flush();
    }, FLUSH_MS);
    this.#timer.unref();
  }

  get counters(): PcapCounters {
    return { file: this.#path, frames: this.#frames, bytes: this.#bytes };
  }

  /** Note a frame seen at `nowMs` of this process's clock. */
  add(frame: Uint8Array, nowMs: number): void {
    if (this.#fd === null) return;
    this.#frames++;
    this.#add(pcapRecord(frame, performance.timeOrigin + nowMs));
    if (this.#waitingBytes >= BUFFER_BYTES) this.flush();
  }

  flush(): void {
    if (this.#fd === null || this.#waitingBytes === 0) return;
    const bytes = Buffer.concat(this.#waiting);
    this.#waiting = [];
    this.#waitingBytes = 0;
    try {
      for (let done = 0; done < bytes.length;) done += writeSync(this.#fd, bytes, done);
      this.#bytes += bytes.length;
    } catch (error) {
      this.#log(`--pcap ${this.#path}: ${hostErrorMessage(error)}; the capture ends here`);
      this.#end();
    }
  }

  close(): void {
    this.flush();
    this.#end();
  }

  #add(bytes: Uint8Array): void {
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
  }

  #end(): void {
    clearInterval(this.#timer);
    if (this.#fd !== null) closeSync(this.#fd);
    this.#fd = null;
  }
}
