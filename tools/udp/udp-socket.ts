/**
 * A UDP socket for IPv4 whose datagrams come and go many at a time, and loads its addon, the only file that does (an edge).
 * `make native` builds it from tools/udp/native/udp.c.
 *
 *   the system's queue -> recvmmsg -> slots, each with what came together -> onDatagram, one datagram after the other
 *   post -> slots of the batch -> [full, or flush()] -> sendmmsg
 *
 * Invariants: a payload is valid during its onDatagram only; nothing waits in here for a system that does not take it: a
 * datagram that is refused is lost, as in any network, and counted; after close() nothing is called and nothing is sent.
 */
import { constants } from 'node:os';
import { getSystemErrorMap } from 'node:util';
import { ReplicaError, assert } from '../../emulator/errors.js';
import { loadAddon } from '../../emulator/load-addon.js';
import { describeSocketError } from '../../hypervisor/channel/socket-error.js';
import { formatIpv4, type Ipv4Address } from '../../hypervisor/network/ipv4.js';

type Handle = { readonly brand: unique symbol };

interface UdpAddon {
  /** A number is a negative errno, here and below. */
  open(ip: number, port: number, receiveBufferBytes: number, onReadable: () => void): Handle | number;
  port(handle: Handle): number;
  receive(handle: Handle, buffer: Uint8Array, table: Uint32Array): number;
  send(handle: Handle, buffer: Uint8Array, table: Uint32Array, first: number, end: number): number;
  close(handle: Handle): void;
}

/** As in udp.c: a slot holds any datagram that fits an Ethernet frame. */
const SLOT_BYTES = 2048;
const SLOTS_MAX = 64;
/** Numbers of a slot in a table: bytes, address, port. */
const ROW = 3;
/** The same for what is received; there a row has the bytes of each of the slot's datagrams, too. */
const ARRIVAL_BYTES = 65_536;
const ARRIVALS_MAX = 16;
const ARRIVAL_ROW = 4;
/** Reads that follow each other, while each fills that many slots, before others have their turn. */
const READS_MAX = 4;
/** Compared as a number: an error takes longer to make than a datagram to come. */
const NOTHING_THERE = -constants.errno.EAGAIN;

export interface UdpSocketOptions {
  readonly ip: Ipv4Address;
  /** 0: any free one. */
  readonly port: number;
  /** Of the system's queue; 0: the system's own choice. */
  readonly receiveBufferBytes: number;
  /** Datagrams that leave or come together at most, 1 to 64. */
  readonly batch: number;
  /** The option that gave the address, for error messages. */
  readonly option?: string;
}

/** `payload` is cut after 2048 bytes. */
export type DatagramHandler = (payload: Uint8Array, ip: Ipv4Address, port: number) => void;

export class UdpSocket {
  readonly port: number;
  /** Datagrams that the system did not take, and reads that it refused. */
  errors = 0;
  /** Why it refused the newest of them. */
  lastError: string | null = null;
  readonly #addon: UdpAddon;
  readonly #handle: Handle;
  readonly #onDatagram: DatagramHandler;
  readonly #batch: number;
  readonly #buffer: Uint8Array;
  readonly #table: Uint32Array;
  /** No more of the shared slots than there are in a batch: the system's work begins with all that it is given. */
  readonly #received: Uint8Array;
  #waiting = 0;
  #closed = false;

  /** @throws ReplicaError saying why the address cannot be had */
  constructor({ ip, port, receiveBufferBytes, batch, option }: UdpSocketOptions, onDatagram: DatagramHandler) {
    assert(batch >= 1 && batch <= SLOTS_MAX, `a batch has 1 to ${SLOTS_MAX} datagrams`);
    this.#addon = addon ??= loadAddon('udp') as UdpAddon;
    const opened = this.#addon.open(ip, port, receiveBufferBytes, () => {
      this.#receive();
    });
    if (typeof opened === 'number') {
      const reason = describeSocketError(systemError(opened));
      const where = `${formatIpv4(ip)}:${port}${option === undefined ? '' : ` (${option})`}`;
      throw new ReplicaError(`cannot listen on udp ${where}: ${reason}`);
    }
    this.#handle = opened;
    this.port = this.#addon.port(opened);
    this.#onDatagram = onDatagram;
    this.#batch = batch;
    this.#buffer = new Uint8Array(batch * SLOT_BYTES);
    this.#table = new Uint32Array(batch * ROW);
    this.#received = received.subarray(0, Math.min(batch, ARRIVALS_MAX) * ARRIVAL_BYTES);
  }

  /** Copy a payload of at most 2048 bytes into the batch. It leaves when the batch is full, or with flush(). */
  post(payload: Uint8Array, ip: Ipv4Address, port: number): void {
    assert(payload.length <= SLOT_BYTES, `a datagram has at most ${SLOT_BYTES} bytes`);
    const row = this.#waiting * ROW;
    this.#buffer.set(payload, this.#waiting * SLOT_BYTES);
    this.#table[row] = payload.length;
    this.#table[row + 1] = ip;
    this.#table[row + 2] = port;
    if (++this.#waiting === this.#batch) this.flush();
  }

  /** Hand everything posted to the system. */
  flush(): void {
    const end = this.#waiting;
    this.#waiting = 0;
    for (let first = 0; first < end && !this.#closed;) {
      const sent = this.#addon.send(this.#handle, this.#buffer, this.#table, first, end);
      if (sent < 0) this.#refused(sent);
      // The one that the system refused is lost; those behind it may fare better.
      first += sent > 0 ? sent : 1;
    }
  }

  close(): void {
    this.#closed = true;
    this.#addon.close(this.#handle);
  }

  #receive(): void {
    for (
      let [reads, count] = [0, ARRIVALS_MAX];
      reads < READS_MAX && count === ARRIVALS_MAX && !this.#closed;
      reads++
    ) {
      count = this.#addon.receive(this.#handle, this.#received, receivedTable);
      if (count >= 0) this.#handOut(count);
      else if (count !== NOTHING_THERE) this.#refused(count);
    }
  }

  /** The datagrams of the first `count` slots. */
  #handOut(count: number): void {
    for (let slot = 0; slot < count; slot++) {
      const row = slot * ARRIVAL_ROW;
      const [ip, port, each] = [receivedTable[row + 1]!, receivedTable[row + 2]!, receivedTable[row + 3]!];
      let at = slot * ARRIVAL_BYTES;
      const end = at + receivedTable[row]!;
      // One at least: a datagram may be empty.
      do {
        if (this.#closed) return;
        this.#onDatagram(received.subarray(at, Math.min(end, at + Math.min(each, SLOT_BYTES))), ip, port);
        at += each;
      } while (at < end);
    }
  }

  #refused(errno: number): void {
    this.errors++;
    this.lastError = systemError(errno).message;
  }
}

/** Shared by all sockets, since what is received is handed on at once. */
const received = new Uint8Array(ARRIVALS_MAX * ARRIVAL_BYTES);
const receivedTable = new Uint32Array(ARRIVALS_MAX * ARRIVAL_ROW);
let addon: UdpAddon | null = null;

function systemError(errno: number): NodeJS.ErrnoException {
  const [code, text] = getSystemErrorMap().get(errno) ?? [`error ${-errno}`, ''];
  return Object.assign(new Error(`${code}: ${text}`), { code });
}
