/**
 * A web server in an unmodified Linux on two replicas, and a client of this machine that downloads from it again and again
 * while whichever replica is live is killed and replaced.
 *
 *   passt (host port) -> switch -> the live replica's guest: busybox httpd
 *   client: a third of a download is here -> kill -9 of the live replica -> the download must end, and be right
 */
import { createHash } from 'node:crypto';
import { get } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { ReplicaError } from '../../emulator/errors.js';
import type { ConsoleSink } from '../../hypervisor/backend/backend.js';
import { hostMs } from '../replica/host-time.js';
import type { PairEvent } from './pair-options.js';

/** What the guest says when its server is up. */
const READY = 'demo: serving';
/** Copies of busybox (2 MB each) in the file. */
const COPIES = 6;
/** The words for the guest's init: see images/linux/init. */
export const HTTP_COMMAND = `mkdir /www; for i in $(seq ${COPIES}); do cat /bin/busybox; done >/www/big; httpd -h /www; echo ${READY}`;
const BOOT_MS_MAX = 120_000;
const REPLACED_MS_MAX = 60_000;
const POLL_MS = 50;

export interface Transfer {
  readonly bytes: number;
  readonly seconds: number;
  /** Longest time without a byte. */
  readonly gapMs: number;
  readonly sha256: string;
}

/** Knows from a pair's events which process is live, and from its console when the server is up. */
export class HttpStory {
  readonly console: ConsoleSink;
  #said = '';
  #url: string | null = null;
  readonly #pids = new Map<string, number>();
  #live = 'primary';
  #backups = 0;

  constructor() {
    const sink = {
      released: 0,
      write: (offset: number, bytes: Uint8Array): void => {
        this.#said = (this.#said + Buffer.from(bytes.subarray(Math.max(0, sink.released - offset))).toString()).slice(
          -4096,
        );
        sink.released = Math.max(sink.released, offset + bytes.length);
      },
      close: () => Promise.resolve(),
    };
    this.console = sink;
  }

  /** The URL of the file, once the pair has started. */
  get url(): string | null {
    return this.#url;
  }

  note(event: PairEvent): void {
    if (event.kind === 'started') {
      const [forward] = event.forwards;
      if (forward !== undefined) this.#url = `http://${forward.host}:${forward.port}/big`;
      this.#pids.set('primary', event.primaryPid).set('backup', event.backupPid);
    }
    if (event.kind === 'replacing') this.#pids.set(event.who, event.pid);
    if (event.kind !== 'replica') return;
    if (event.event.kind === 'live') this.#live = event.who;
    if (event.event.kind === 'following') this.#backups++;
  }

  /** Wait until the guest serves. @throws ReplicaError */
  serving(): Promise<void> {
    return until(() => this.#said.includes(READY), BOOT_MS_MAX, 'the guest’s web server did not come up');
  }

  /** Download the file; with `kill`, the live replica dies when a third of it is here. @throws ReplicaError */
  download(kill: boolean): Promise<Transfer> {
    let armed = kill;
    return fetchFile(this.#url ?? '', (bytes, size) => {
      if (!armed || bytes < size / 3) return;
      armed = false;
      process.kill(this.#pids.get(this.#live)!, 'SIGKILL');
    });
  }

  /** Wait until `count` backups have joined in all. @throws ReplicaError */
  backedUp(count: number): Promise<void> {
    return until(() => this.#backups >= count, REPLACED_MS_MAX, 'no backup took the place of the lost replica');
  }
}

function fetchFile(url: string, onBytes: (bytes: number, size: number) => void): Promise<Transfer> {
  return new Promise((resolve, reject) => {
    const startMs = hostMs();
    const failed = (error: Error): void => {
      reject(new ReplicaError(`a transfer failed: ${error.message}`, { cause: error }));
    };
    get(url, (response) => {
      const hash = createHash('sha256');
      const size = Number(response.headers['content-length'] ?? Infinity);
      let [bytes, gapMs, heardMs] = [0, 0, hostMs()];
      response.on('data', (chunk: Buffer) => {
        hash.update(chunk);
        bytes += chunk.length;
        gapMs = Math.max(gapMs, hostMs() - heardMs);
        heardMs = hostMs();
        onBytes(bytes, size);
      });
      response.on('error', failed);
      response.on('end', () => {
        resolve({ bytes, gapMs, seconds: (hostMs() - startMs) / 1000, sha256: hash.digest('hex') });
      });
    }).on('error', failed);
  });
}

async function until(condition: () => boolean, timeoutMs: number, otherwise: string): Promise<void> {
  const endMs = hostMs() + timeoutMs;
  while (!condition()) {
    if (hostMs() > endMs) throw new ReplicaError(otherwise);
    await delay(POLL_MS);
  }
}
