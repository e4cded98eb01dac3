/**
 * One passt process (an edge). It gets one end of a socket pair, so no path on the disk needs permissions, and it ends
 * with us even when we die by kill -9.
 *
 *   switch == socket pair (length + frame) == passt -- the host's own sockets
 *
 * Invariants: it never runs as root (started by root it becomes nobody); no frame leaves before it is ready.
 * Source: passt(1).
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { Duplex } from 'node:stream';
import { DecodeError, ReplicaError } from '../../emulator/errors.js';
import { encodeArp } from '../../hypervisor/network/arp.js';
import { BROADCAST_MAC, ETHERTYPE_ARP, MAC_BYTES, buildFrame, etherType } from '../../hypervisor/network/ethernet.js';
import type { Ipv4Address } from '../../hypervisor/network/ipv4.js';
import { StreamFrameSplitter, encodeStreamFrame } from '../../hypervisor/network/stream-frames.js';

const READY_MS_MAX = 10_000;
const STOP_MS = 2000;
const SOCKET_FD = 3;
/** It says this again and again where no syslog runs, and where it was started by root. */
const NOISE = /^Failed to send \d+ bytes to syslog|^Don't run as root|^$/;

export class PasstProcess {
  /** Gets each frame; the buffer is not used again. */
  onFrame: ((frame: Uint8Array) => void) | null = null;
  /** More may be sent. */
  onDrain: (() => void) | null = null;
  readonly exited: Promise<string>;
  readonly #child: ChildProcess;
  readonly #stream: Duplex;
  readonly #splitter = new StreamFrameSplitter();
  #lastLine = '';

  private constructor(args: readonly string[]) {
    this.#child = spawn('passt', [...args, '--foreground', '--stderr', '--quiet', '--fd', String(SOCKET_FD)], {
      stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
    });
    const stream = this.#child.stdio[SOCKET_FD];
    if (!(stream instanceof Duplex)) throw new ReplicaError('no socket pair for passt');
    this.#stream = stream;
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      for (const line of text.split('\n')) if (!NOISE.test(line)) this.#lastLine = line;
    });
    this.exited = new Promise((resolve) => {
      this.#child.once('error', (error: NodeJS.ErrnoException) => {
        resolve(error.code === 'ENOENT' ? 'it is not installed (Debian: apt install passt)' : error.message);
      });
      this.#child.once('close', (code, signal) => {
        resolve(this.#lastLine === '' ? `ended with ${signal ?? `status ${code ?? '?'}`}` : this.#lastLine);
      });
    });
    // A broken stream means that passt is going; its exit is what counts.
    this.#stream.on('error', () => undefined);
    this.#stream.on('drain', () => this.onDrain?.());
    this.#stream.on('data', (chunk: Uint8Array) => {
      this.#receive(chunk);
    });
  }

  /**
   * Start passt and wait until it answers for its gateway.
   * @throws ReplicaError with what passt said last
   */
  static async start(args: readonly string[], gateway: Ipv4Address): Promise<PasstProcess> {
    const passt = new PasstProcess(args);
    let timer: NodeJS.Timeout | undefined;
    const answered = new Promise<null>((resolve) => {
      passt.onFrame = (frame) => {
        if (etherType(frame) === ETHERTYPE_ARP) resolve(null);
      };
    });
    const late = new Promise<string>((resolve) => {
      timer = setTimeout(() => {
        resolve(`not ready within ${READY_MS_MAX / 1000} s`);
      }, READY_MS_MAX);
    });
    passt.send(probe(gateway));
    const problem = await Promise.race([answered, passt.exited, late]);
    clearTimeout(timer);
    passt.onFrame = null;
    if (problem === null) return passt;
    await passt.stop();
    throw new ReplicaError(`passt (--uplink): ${problem}`);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }
  /** Frames left out for their length. */
  get unfit(): number {
    return this.#splitter.unfit;
  }
  /** Bytes that wait for passt. */
  get bufferedBytes(): number {
    return this.#stream.writableLength;
  }

  send(frame: Uint8Array): void {
    if (this.#stream.writable) this.#stream.write(encodeStreamFrame(frame));
  }

  async stop(): Promise<void> {
    this.#stream.destroy();
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_MS);
    this.#child.kill('SIGTERM');
    await this.exited;
    clearTimeout(timer);
  }

  #receive(chunk: Uint8Array): void {
    try {
      this.#splitter.push(chunk);
      for (let frame = this.#splitter.next(); frame !== null; frame = this.#splitter.next()) this.onFrame?.(frame);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.#lastLine = error.message;
      this.#child.kill('SIGKILL');
    }
  }
}

/** Who is the gateway? From the address of all: passt takes whoever spoke last for the guest. */
function probe(gateway: Ipv4Address): Uint8Array {
  const targetMac = new Uint8Array(MAC_BYTES);
  const request = {
    operation: 'request',
    senderMac: BROADCAST_MAC,
    senderIp: 0,
    targetMac,
    targetIp: gateway,
  } as const;
  return buildFrame(BROADCAST_MAC, BROADCAST_MAC, ETHERTYPE_ARP, encodeArp(request));
}
