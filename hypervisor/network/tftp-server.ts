/**
 * A TFTP server that only reads, without sockets, timers or files of its own: datagrams and the time in, datagrams out.
 *
 *   read request to port 69 -> open -> +-- options asked for: OACK, wait for ack 0 --+
 *                                      +---------------------------------------------+-> block n, wait for ack n -> ...
 *   silence: the last packet again, at most 8 times; the ack of a block that is not full: done
 *
 * Each transfer has a port of its own. Block numbers have 16 bits and go on with 0, which all clients of large files
 * expect.
 * Invariants: bounded; an ack that is not the expected one sends nothing (RFC 1123, 4.2.3.1: no block is doubled for
 * ever); a packet from anyone but a transfer's client disturbs nobody; every opened file is closed once.
 * Source: RFC 1350; RFC 2347 (options), 2348 (blksize), 2349 (timeout, tsize).
 */
import { UDP_PAYLOAD_BYTES_MAX, type Ipv4Address } from './ipv4.js';
import {
  DATA_HEADER_BYTES,
  TFTP_ERROR,
  TFTP_PORT,
  decodeTftp,
  encodeTftp,
  type TftpPacket,
  type TftpRequest,
} from './tftp.js';
import type { UdpAddress } from './virtual-host.js';

export interface TftpFile {
  readonly bytes: number;
  /** Up to that many bytes; fewer or null: the file cannot be read any more. */
  read(offset: number, bytes: number): Uint8Array | null;
  close(): void;
}

export interface TftpServerOptions {
  /** Open what a client names; called for each read request. */
  readonly open: (name: string) => TftpFile | 'not-found' | 'refused';
  readonly send: (fromPort: number, to: UdpAddress, payload: Uint8Array) => void;
}

export interface TftpCounters {
  requests: number;
  completed: number;
  /** Requests for writing, for no file, in another mode, or one too many. */
  refused: number;
  /** Transfers that the client gave up, or whose file could not be read. */
  aborted: number;
  /** Transfers whose client fell silent. */
  timedOut: number;
  retransmissions: number;
  /** Damaged packets, and packets that belong to no transfer. */
  ignored: number;
  /** Of files, each block once. */
  bytes: number;
}

interface Refusal {
  readonly code: number;
  readonly text: string;
}

interface Transfer {
  /** The request as it came, until the first packet is acknowledged; then null. */
  request: string | null;
  readonly port: number;
  readonly client: UdpAddress;
  readonly file: TftpFile;
  readonly blockBytes: number;
  readonly timeoutMs: number;
  /** Number of the packet that waits for its ack, from 0 (the options) on, without the limit of 16 bits. */
  block: number;
  packet: Uint8Array;
  last: boolean;
  sentMs: number;
  tries: number;
}

/** Below the ports of forwarded clients. */
const PORT_FIRST = 32768;
const PORT_LAST = 49151;
const TRANSFERS_MAX = 64;
const BLOCK_BYTES = 512;
/** RFC 2348. */
const BLOCK_BYTES_MIN = 8;
const BLOCK_BYTES_MAX = 65464;
const TIMEOUT_SECONDS_MAX = 255;
const TIMEOUT_MS = 1000;
const TRIES_MAX = 8;

export class TftpServer {
  readonly #options: TftpServerOptions;
  readonly #transfers = new Map<number, Transfer>();
  readonly #counters: TftpCounters = {
    requests: 0,
    completed: 0,
    refused: 0,
    aborted: 0,
    timedOut: 0,
    retransmissions: 0,
    ignored: 0,
    bytes: 0,
  };
  #nextPort = PORT_FIRST;

  constructor(options: TftpServerOptions) {
    this.#options = options;
  }

  get counters(): Readonly<TftpCounters> {
    return { ...this.#counters };
  }

  /** Transfers that have not ended. */
  get active(): number {
    return this.#transfers.size;
  }

  /** Take a datagram; false: its port is none of ours. */
  receive(from: Ipv4Address, fromPort: number, toPort: number, payload: Uint8Array, nowMs: number): boolean {
    if (toPort !== TFTP_PORT && (toPort < PORT_FIRST || toPort > PORT_LAST)) return false;
    const client = { ip: from, port: fromPort };
    const packet = decodeTftp(payload);
    const transfer = this.#transfers.get(toPort);
    if (packet === null) this.#counters.ignored++;
    else if (toPort === TFTP_PORT) this.#request(packet, payload, client, nowMs);
    else if (transfer === undefined) this.#counters.ignored++;
    else if (!same(transfer.client, client)) this.#stranger(toPort, client);
    else this.#proceed(transfer, packet, nowMs);
    return true;
  }

  /** Let time pass: repeats what was not acknowledged. To be called every 100 ms or so. */
  tick(nowMs: number): void {
    for (const transfer of this.#transfers.values()) {
      if (nowMs - transfer.sentMs < transfer.timeoutMs) continue;
      if (transfer.tries === TRIES_MAX) {
        this.#counters.timedOut++;
        this.#end(transfer);
      } else {
        this.#counters.retransmissions++;
        transfer.tries++;
        this.#transmit(transfer, nowMs);
      }
    }
  }

  /** End all transfers. */
  close(): void {
    for (const transfer of this.#transfers.values()) this.#end(transfer);
  }

  #request(packet: TftpPacket, payload: Uint8Array, client: UdpAddress, nowMs: number): void {
    if (packet.kind !== 'read' && packet.kind !== 'write') {
      this.#counters.ignored++;
      return;
    }
    const request = Buffer.from(payload).toString('latin1');
    if (this.#repeated(request, client, nowMs)) return;
    this.#counters.requests++;
    const file = this.#open(packet);
    if ('code' in file) {
      this.#counters.refused++;
      this.#sendError(TFTP_PORT, client, file.code, file.text);
    } else this.#begin(request, client, file, packet.options, nowMs);
  }

  #open({ kind, name, mode }: TftpRequest): TftpFile | Refusal {
    if (kind === 'write') return { code: TFTP_ERROR.accessViolation, text: 'files are read only' };
    if (mode !== 'octet') return { code: TFTP_ERROR.illegalOperation, text: 'the mode must be octet' };
    if (this.#transfers.size === TRANSFERS_MAX) return { code: TFTP_ERROR.other, text: 'too many transfers' };
    const file = this.#options.open(name);
    if (file === 'not-found') return { code: TFTP_ERROR.notFound, text: 'file not found' };
    return file === 'refused' ? { code: TFTP_ERROR.accessViolation, text: 'file not allowed' } : file;
  }

  /**
   * An impatient client repeats its request before the answer can be there, and keeps to the first port that answers:
   * it gets the first packet again. After its first ack a request is a new one.
   */
  #repeated(request: string, client: UdpAddress, nowMs: number): boolean {
    for (const transfer of this.#transfers.values()) {
      if (transfer.request !== request || !same(transfer.client, client)) continue;
      this.#counters.retransmissions++;
      this.#transmit(transfer, nowMs);
      return true;
    }
    return false;
  }

  #begin(request: string, client: UdpAddress, file: TftpFile, asked: ReadonlyMap<string, string>, nowMs: number): void {
    const taken = takeOptions(asked, file.bytes);
    const transfer: Transfer = {
      request,
      port: this.#freePort(),
      client,
      file,
      blockBytes: Number(taken.get('blksize') ?? BLOCK_BYTES),
      timeoutMs: taken.has('timeout') ? Number(taken.get('timeout')) * 1000 : TIMEOUT_MS,
      block: 0,
      packet: encodeTftp({ kind: 'options', options: taken }),
      last: false,
      sentMs: nowMs,
      tries: 0,
    };
    this.#transfers.set(transfer.port, transfer);
    if (taken.size > 0) this.#transmit(transfer, nowMs);
    else this.#nextBlock(transfer, nowMs);
  }

  #proceed(transfer: Transfer, packet: TftpPacket, nowMs: number): void {
    if (packet.kind === 'error') this.#abort(transfer);
    else if (packet.kind !== 'ack') this.#counters.ignored++;
    else if (packet.block === (transfer.block & 0xffff)) this.#acknowledged(transfer, nowMs);
  }

  #acknowledged(transfer: Transfer, nowMs: number): void {
    transfer.request = null;
    if (!transfer.last) this.#nextBlock(transfer, nowMs);
    else {
      this.#counters.completed++;
      this.#end(transfer);
    }
  }

  #nextBlock(transfer: Transfer, nowMs: number): void {
    const { file, blockBytes } = transfer;
    const offset = transfer.block * blockBytes;
    const bytes = Math.min(blockBytes, file.bytes - offset);
    const data = bytes === 0 ? new Uint8Array() : file.read(offset, bytes);
    if (data?.length !== bytes) {
      this.#sendError(transfer.port, transfer.client, TFTP_ERROR.other, 'the file cannot be read');
      this.#abort(transfer);
      return;
    }
    transfer.block++;
    transfer.packet = encodeTftp({ kind: 'data', block: transfer.block & 0xffff, data });
    transfer.last = bytes < blockBytes;
    transfer.tries = 0;
    this.#counters.bytes += bytes;
    this.#transmit(transfer, nowMs);
  }

  #transmit(transfer: Transfer, nowMs: number): void {
    transfer.sentMs = nowMs;
    this.#options.send(transfer.port, transfer.client, transfer.packet);
  }

  /** RFC 1350, section 4: tell it, and go on with the transfer. */
  #stranger(port: number, client: UdpAddress): void {
    this.#counters.ignored++;
    this.#sendError(port, client, TFTP_ERROR.unknownTransfer, 'unknown transfer');
  }

  #sendError(port: number, client: UdpAddress, code: number, text: string): void {
    this.#options.send(port, client, encodeTftp({ kind: 'error', code, text }));
  }

  #abort(transfer: Transfer): void {
    this.#counters.aborted++;
    this.#end(transfer);
  }

  #end(transfer: Transfer): void {
    this.#transfers.delete(transfer.port);
    transfer.file.close();
  }

  #freePort(): number {
    for (;;) {
      const port = this.#nextPort;
      this.#nextPort = port === PORT_LAST ? PORT_FIRST : port + 1;
      if (!this.#transfers.has(port)) return port;
    }
  }
}

function same(a: UdpAddress, b: UdpAddress): boolean {
  return a.ip === b.ip && a.port === b.port;
}

/** Of the options asked for, those that are known and make sense, with the values that count from now on. */
function takeOptions(asked: ReadonlyMap<string, string>, fileBytes: number): Map<string, string> {
  const taken = new Map<string, string>();
  for (const [name, text] of asked) {
    const value = /^\d{1,10}$/.test(text) ? Number(text) : -1;
    if (name === 'blksize' && value >= BLOCK_BYTES_MIN && value <= BLOCK_BYTES_MAX) {
      taken.set(name, String(Math.min(value, UDP_PAYLOAD_BYTES_MAX - DATA_HEADER_BYTES)));
    }
    if (name === 'tsize' && value >= 0) taken.set(name, String(fileBytes));
    if (name === 'timeout' && value >= 1 && value <= TIMEOUT_SECONDS_MAX) taken.set(name, String(value));
  }
  return taken;
}
