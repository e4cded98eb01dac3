/** A disk server of this process on scratch files, real NBD clients, and a raw connection for bytes of one's own. */
import { execFile } from 'node:child_process';
import { truncateSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { ChunkQueue } from '../../../hypervisor/channel/chunk-queue.js';
import {
  runDiskServer,
  type DiskServerOptions,
  type DiskServerResult,
} from '../../../tools/disk-server/disk-server.js';
import { withScratch } from '../../e2e/ft86.js';

export interface ServedDisk {
  /** `127.0.0.1:PORT` */
  readonly address: string;
  readonly port: number;
  readonly folder: string;
  /** Path of the first export, called `disk`. */
  readonly path: string;
  readonly log: string[];
}

export const DISK_BYTES = 4 << 20;

/** Serve two disks, `disk` and `other`, while `use` runs; returns what the server counted. */
export function withServedDisk(
  use: (served: ServedDisk) => Promise<void>,
  options: Partial<DiskServerOptions> = {},
): Promise<DiskServerResult> {
  return withScratch(async (folder) => {
    const path = join(folder, 'disk');
    for (const name of ['disk', 'other']) {
      writeFileSync(join(folder, name), '');
      truncateSync(join(folder, name), DISK_BYTES);
    }
    const log: string[] = [];
    const abort = new AbortController();
    let port = 0;
    let ready: () => void = () => undefined;
    const started = new Promise<void>((resolve) => (ready = resolve));
    const result = runDiskServer(
      {
        files: [path, join(folder, 'other')],
        readonly: false,
        epochs: undefined,
        listen: ['tcp://127.0.0.1:0'],
        key: null,
        onReady: ({ listen }) => {
          port = Number(listen[0]?.split(':').at(-1));
          ready();
        },
        log: (line) => log.push(line),
        ...options,
      },
      abort.signal,
    );
    try {
      await Promise.race([started, result]);
      await use({ address: `127.0.0.1:${port}`, port, folder, path, log });
    } finally {
      abort.abort();
      await result;
    }
    return result;
  });
}

export interface Answer {
  readonly status: number | string;
  readonly text: string;
}

/** Run a real client. A client that is not installed fails its test: `make extras` installs it. */
export function client(command: string, args: readonly string[]): Promise<Answer> {
  return new Promise((resolve, reject) => {
    execFile(command, [...args], { timeout: 30_000 }, (error, stdout, stderr) => {
      if (error?.code === 'ENOENT') reject(new Error(`${command} is not installed; "make extras" installs it`));
      else resolve({ status: error === null ? 0 : (error.code ?? 'killed'), text: stdout + stderr });
    });
  });
}

/** A connection that sends any bytes and collects what comes. */
export class RawClient {
  readonly socket: Socket;
  readonly closed: Promise<void>;
  readonly #received = new ChunkQueue();
  #wake: () => void = () => undefined;

  constructor(port: number) {
    this.socket = connect(port, '127.0.0.1');
    this.socket.on('data', (chunk: Buffer) => {
      this.#received.push(chunk);
      this.#wake();
    });
    this.socket.on('error', () => undefined);
    this.closed = new Promise((resolve) => {
      this.socket.on('close', () => {
        this.#wake();
        resolve();
      });
    });
  }

  send(...parts: readonly Uint8Array[]): void {
    this.socket.write(Buffer.concat(parts));
  }

  /** The next `bytes` bytes; fewer when the connection closes before. */
  async take(bytes: number): Promise<Buffer> {
    while (this.#received.length < bytes && !this.socket.closed) {
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    return this.#received.take(Math.min(bytes, this.#received.length));
  }
}
