/**
 * The recording side of a live replica: log entries in, frames out; outputs held until their entry is acknowledged.
 *
 *   append(entry) ............ FrameWriter -> flush() -> LiveHost.frame
 *   output(output, at) -> output entry -> OutputGate.hold -> (acknowledged) -> LiveHost
 *
 * Invariants: console bytes are covered by a console entry before any other entry; all entries of one instruction
 * are in one frame, because frames are cut only between runs.
 */
import { giveBack } from '../../emulator/byte-pool.js';
import type { DiskRequest } from '../../devices/environment.js';
import type { DriveReplication } from '../backend/drive-replication.js';
import type { Entry, OutputChannel } from '../log/entry.js';
import { fastCrc32 } from '../log/fast-crc32.js';
import type { FrameWriter } from '../log/frame.js';
import { diskRequestCrc } from './output-crc.js';
import type { OutputGate } from './output-gate.js';

const NO_DATA = new Uint8Array(0);
/**
 * Entries that nobody outside waits for, how long (in ns) they may wait for others to share their frame, and how large that may
 * get. What came from outside is lost with this replica meanwhile.
 */
const QUIET_NS: Readonly<Partial<Record<Entry['kind'], number>>> = {
  ...{ clock: 10_000_000, interrupt: 10_000_000, mark: 10_000_000 },
  ...{ disk: 5_000_000, packet: 5_000_000 },
};
const QUIET_BYTES_MAX = 64 << 10;

/** What a live replica makes happen outside. All calls return at once. */
export interface LiveHost {
  /** How a backup has each drive. */
  readonly drives: readonly DriveReplication[];
  submitDisk(request: DiskRequest): void;
  /** An Ethernet frame, whose memory is used again once this returns. */
  sendPacket(nic: number, data: Uint8Array): void;
  /** Console bytes; `offset` is the position of the first in the guest's whole console stream. */
  console(offset: number, bytes: Uint8Array): void;
  /** A frame of log entries for the backup and the recording. `lastSeq` is its newest entry. */
  frame(bytes: Uint8Array, lastSeq: number): void;
}

export class Recorder {
  readonly gate: OutputGate;
  readonly #host: LiveHost;
  readonly #writer: FrameWriter;
  #logging = false;
  #console: number[] = [];
  #consoleOffset: number;
  /** Console bytes in the gate, in order. */
  readonly #heldConsole: Uint8Array[] = [];
  #nowNs = 0;
  #lastFrameNs = 0;
  #lastEntryIcount = -1;
  #lastSeq: number;
  /** How long after the last frame the entries since may wait, in ns. */
  #patienceNs = Infinity;

  constructor(host: LiveHost, writer: FrameWriter, gate: OutputGate, consoleOffset: number) {
    this.#host = host;
    this.#writer = writer;
    this.gate = gate;
    this.#consoleOffset = consoleOffset;
    this.#lastSeq = writer.nextSeq - 1;
  }

  get logging(): boolean {
    return this.#logging;
  }
  /** Sequence number of the newest entry. */
  get lastSeq(): number {
    return this.#lastSeq;
  }
  /** Position of the next console byte in the guest's console stream. */
  get consoleOffset(): number {
    return this.#consoleOffset + this.#console.length;
  }
  /** icount of the newest entry, -1 when there is none. */
  get lastEntryIcount(): number {
    return this.#lastEntryIcount;
  }
  /** Host time of the newest frame. */
  get lastFrameNs(): number {
    return this.#lastFrameNs;
  }

  /** Record from now on (a backup or a recording listens), or stop recording. */
  setLogging(on: boolean): void {
    this.#logging = on;
  }

  /** The host's time, for how long outputs are held. */
  tick(nowNs: number): void {
    this.#nowNs = nowNs;
  }

  /** Write an entry down. Returns its sequence number. */
  append(entry: Entry): number {
    if (entry.kind !== 'output' || entry.channel !== 'console') this.#flushConsole(entry.at);
    if (!this.#logging) return this.#lastSeq;
    if (!this.#writer.hasRoom(entry)) this.#sendFrame();
    this.#patienceNs = Math.min(this.#patienceNs, QUIET_NS[entry.kind] ?? 0);
    this.#lastEntryIcount = entry.at;
    this.#lastSeq = this.#writer.append(entry);
    return this.#lastSeq;
  }

  /**
   * As flush(), unless what was recorded can wait: nothing outside depends on it, and there was a frame just now. Returns
   * the host time by which it must be called again; null: nothing waits.
   */
  flushSoon(icount: number): number | null {
    const waits = this.#nowNs - this.#lastFrameNs < this.#patienceNs && this.#writer.pendingBytes < QUIET_BYTES_MAX;
    if (!waits || this.#console.length > 0) this.flush(icount);
    return this.#logging && this.#writer.pendingEntries > 0 ? this.#lastFrameNs + this.#patienceNs : null;
  }

  /** Cut a frame of what was recorded since the last one and hand it over. Only between runs. */
  flush(icount: number): void {
    this.#flushConsole(icount);
    this.#sendFrame();
  }

  /**
   * End what was recorded so far with a mark here. A log that begins at the returned sequence number continues from
   * `icount`, as a state transfer made now needs it. Only between runs.
   */
  cut(icount: number): number {
    this.flush(icount);
    this.#lastEntryIcount = icount;
    this.#lastSeq = this.#writer.append({ kind: 'mark', at: icount });
    const frame = this.#writer.flush();
    if (this.#logging && frame !== null) this.#host.frame(frame, this.#lastSeq);
    return this.#writer.nextSeq;
  }

  /** Console bytes that the gate holds: what follows those that were handed to the host. */
  heldConsole(): Uint8Array {
    return Buffer.concat(this.#heldConsole);
  }

  consoleByte(byte: number): void {
    this.#console.push(byte);
  }

  packet(nic: number, data: Uint8Array, at: number): void {
    this.#hold('packet', at, data.length, fastCrc32(data), () => {
      this.#host.sendPacket(nic, data);
      giveBack(data);
    });
  }

  diskRequest(request: DiskRequest, at: number): void {
    const drive = this.#host.drives[request.drive];
    if (request.op !== 'write' || drive?.shared === false) {
      this.#host.submitDisk(request);
      return;
    }
    this.#hold('disk', at, request.bytes, diskRequestCrc(request), () => {
      this.gate.fence.write(request, () => {
        this.#host.submitDisk(request);
      });
    });
  }

  /** A disk has answered what `request` finds. What a backup reads itself is left out of the log. */
  diskCompletion(entry: Extract<Entry, { kind: 'disk' }>, request: () => DiskRequest | undefined): void {
    const drive = this.#host.drives[entry.drive];
    const leftOut = drive?.backupReads === true && entry.data.length > 0;
    const seq = this.append(leftOut ? { ...entry, data: NO_DATA } : entry);
    // A copy of its own is written by the backup itself, in order.
    if (!leftOut || !drive.shared || this.gate.isOpen) return;
    const answered = request();
    if (answered !== undefined) this.gate.fence.read(seq, answered);
  }

  #flushConsole(at: number): void {
    if (this.#console.length === 0) return;
    const bytes = Uint8Array.from(this.#console);
    const offset = this.#consoleOffset;
    this.#console = [];
    this.#consoleOffset += bytes.length;
    this.#heldConsole.push(bytes);
    this.#hold('console', at, bytes.length, fastCrc32(bytes), () => {
      this.#heldConsole.shift();
      this.#host.console(offset, bytes);
    });
  }

  #hold(channel: OutputChannel, at: number, bytes: number, crc: number, release: () => void): void {
    const seq = this.append({ kind: 'output', at, channel, bytes, crc });
    this.gate.hold(seq, this.#nowNs / 1e6, release, bytes);
  }

  #sendFrame(): void {
    const frame = this.#logging ? this.#writer.flush() : null;
    if (frame === null) return;
    this.#lastFrameNs = this.#nowNs;
    this.#patienceNs = Infinity;
    this.#host.frame(frame, this.#lastSeq);
  }
}
