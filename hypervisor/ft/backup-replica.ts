/**
 * A replica that follows a log: it runs its guest to each entry's icount and lets the entry happen there.
 * Its own outputs are compared with the primary's output entries and dropped.
 *
 *   frame -> receive() -> entries -> step(): Machine.run(at of the next entry that acts) -> compare outputs, Machine.apply
 *
 * Outputs and marks need no stop of the guest: outputs are compared when the next entry that acts on it is reached, or the
 * newest that is held.
 * Invariants: it never executes past the newest entry it holds; an interrupt that the guest could take
 * without an entry for it, a vector, an output or a digest that differs is a DivergenceError at once.
 * Source: Scales et al. 2010, sections 2.1 and 2.2.
 */
import type { Output } from '../../devices/environment.js';
import { giveBack } from '../../emulator/byte-pool.js';
import { assert, DecodeError, DivergenceError } from '../../emulator/errors.js';
import type { Entry, OutputChannel, StopReason } from '../log/entry.js';
import { fastCrc32 } from '../log/fast-crc32.js';
import { decodeFrame, type DecodedFrame } from '../log/frame.js';
import type { Machine } from '../machine/machine.js';
import { BackupDisks, type BackupDisksOptions } from './backup-disks.js';
import { BACKUP_HELD_BYTES_MAX, FlowControl } from './flow-control.js';
import { diskRequestCrc } from './output-crc.js';
import { Settings } from './settings.js';

/**
 * starved: every entry held is done; running: more to do; reading: the next entry waits for a disk of ours;
 * ended: the log's stop entry was reached.
 */
export type BackupStepResult = 'starved' | 'running' | 'reading' | 'ended';

export interface BackupOptions {
  readonly machine: Machine;
  /** Sequence number that the first frame must begin with. */
  readonly firstSeq: number;
  /** As they are at `firstSeq`. */
  readonly settings?: Settings;
  /** Console bytes from before `firstSeq` that may not have left yet, and the position of the first in the stream. */
  readonly console: { readonly offset: number; readonly bytes: Uint8Array };
  /** What it does with disks itself; undefined: nothing. */
  readonly disks?: BackupDisksOptions | undefined;
  /** Called for each frame received (accounting). */
  readonly onFrame?: (frame: DecodedFrame) => void;
  /** Called at a control entry of op checkpoint. */
  readonly onSnapshot?: (name: string) => void;
}

interface Produced {
  readonly channel: OutputChannel;
  readonly at: number;
  readonly bytes: number;
  readonly crc: number;
}

interface Received {
  readonly entry: Entry;
  readonly seq: number;
}

/** Entries whose acknowledgement something outside waits for: an output, or who asked for what is controlled. */
const AWAITED: ReadonlySet<Entry['kind']> = new Set(['output', 'control']);
/** Entries that do not act on the machine. */
const PASSIVE: ReadonlySet<Entry['kind']> = new Set(['output', 'mark']);
/** Console bytes kept for a take-over at most; the primary reports what left well before that. */
const CONSOLE_KEPT_MAX = 16 * 1024 * 1024;

export class BackupReplica {
  readonly machine: Machine;
  readonly settings: Settings;
  readonly disks: BackupDisks;
  readonly #options: BackupOptions;
  #queue: Received[] = [];
  #head = 0;
  /** Frames of which entries are in the queue, with the newest entry of each. */
  readonly #frames: { readonly seq: number; readonly bytes: Uint8Array }[] = [];
  /** No entry of the queue from the head up to here acts on the machine. */
  #actingIndex = 0;
  #nextSeq: number;
  readonly #flow: FlowControl;
  /** icount of the newest entry received. */
  #newestAt: number;
  #executedSeq: number;
  #produced: Produced[] = [];
  /** Console bytes the guest wrote that no console entry has covered yet. */
  #uncovered: number[] = [];
  /** Console bytes covered by entries but not known to have left, from #keptOffset on. */
  #kept: number[] = [];
  #keptOffset: number;
  #comparedIcount: number | null = null;
  #comparedDigest: string | null = null;
  #end: { readonly reason: StopReason; readonly exitCode: number } | null = null;

  constructor(options: BackupOptions) {
    this.machine = options.machine;
    this.#options = options;
    this.settings = options.settings ?? new Settings();
    this.#nextSeq = options.firstSeq;
    this.#newestAt = options.machine.icount;
    this.#executedSeq = options.firstSeq - 1;
    this.#flow = new FlowControl(BACKUP_HELD_BYTES_MAX, this.#executedSeq);
    this.#keptOffset = options.console.offset;
    this.#kept = [...options.console.bytes];
    this.disks = new BackupDisks(options.machine, options.disks ?? null);
    this.machine.setSink((output, at) => {
      this.#output(output, at);
    });
  }

  /** Newest sequence number received. */
  get receivedSeq(): number {
    return this.#nextSeq - 1;
  }
  /** Newest sequence number executed. */
  get executedSeq(): number {
    return this.#executedSeq;
  }
  get end(): { readonly reason: StopReason; readonly exitCode: number } | null {
    return this.#end;
  }
  /** The last icount at which both replicas' digests were equal, or null. */
  get comparedIcount(): number | null {
    return this.#comparedIcount;
  }
  get comparedDigest(): string | null {
    return this.#comparedDigest;
  }

  /**
   * Take over a whole frame or nothing. Borrowed memory (byte-pool.ts) is given back when all of it is executed.
   * @returns whether something outside waits for its acknowledgement
   * @throws DecodeError when it is damaged, out of sequence or too much to hold
   */
  receive(frame: Uint8Array): boolean {
    const decoded = decodeFrame(frame, { seq: this.#nextSeq, at: this.#newestAt });
    this.#flow.sent(this.#nextSeq + decoded.entries.length - 1, frame.length);
    if (this.#flow.full(0)) throw new DecodeError('too-large', 0, `a log of ${this.#flow.bytes} bytes to be executed`);
    this.#options.onFrame?.(decoded);
    let awaited = false;
    for (const entry of decoded.entries) {
      this.#newestAt = entry.at;
      awaited ||= AWAITED.has(entry.kind);
      this.#queue.push({ entry, seq: this.#nextSeq++ });
    }
    this.#frames.push({ seq: this.#nextSeq - 1, bytes: frame });
    return awaited;
  }

  /** Execute up to `instructionsMax` instructions. @throws DivergenceError */
  step(instructionsMax: number): BackupStepResult {
    const limit = this.machine.icount + instructionsMax;
    for (;;) {
      if (this.#end !== null) return 'ended';
      const next = this.#queue[this.#head];
      if (next === undefined) return 'starved';
      if (!this.#reached(next, limit)) return 'running';
      if (next.entry.kind === 'disk' && !this.disks.ready(next.entry)) return 'reading';
      this.#dequeue();
      this.#perform(next);
      this.#executedSeq = next.seq;
      this.#flow.executed(next.seq);
      if (this.#frames[0]?.seq === next.seq) giveBack(this.#frames.shift()!.bytes);
    }
  }

  /** The primary says that console bytes before `offset` have left. */
  consoleReleased(offset: number): void {
    const gone = Math.min(offset - this.#keptOffset, this.#kept.length);
    if (gone <= 0) return;
    this.#kept.splice(0, gone);
    this.#keptOffset += gone;
  }

  /**
   * Console bytes that may not have left yet, and their offset: to be written again at a take-over (the collector
   * drops repeats). Bytes without an entry are included: at the drained end of the log they are output of the
   * live replica.
   */
  takeConsole(): { readonly offset: number; readonly bytes: Uint8Array } {
    const bytes = Uint8Array.from([...this.#kept, ...this.#uncovered]);
    const taken = { offset: this.#keptOffset, bytes };
    this.#keptOffset += bytes.length;
    this.#kept = [];
    this.#uncovered = [];
    return taken;
  }

  // --- executing ---

  /** True when the machine is at the entry's icount, or beyond it where that makes no difference; false when the budget is used up. */
  #reached(next: Received, limit: number): boolean {
    const { machine } = this;
    while (machine.icount < next.entry.at) {
      if (machine.icount >= limit) return false;
      this.#run(next, Math.min(this.#nextActing()?.entry.at ?? this.#newestAt, limit));
    }
    return true;
  }

  #run(next: Received, target: number): void {
    const exit = this.machine.run(target, false);
    const { icount } = this.machine;
    if (exit === 'irq-window') this.#checkWindow(next, icount);
    else if (icount !== target) {
      throw new DivergenceError(next.seq, icount, 'the guest', `running until icount ${target}`, exit);
    }
  }

  /** The first entry held that needs the guest to stand at its icount. */
  #nextActing(): Received | undefined {
    this.#actingIndex = Math.max(this.#actingIndex, this.#head);
    for (; this.#actingIndex < this.#queue.length; this.#actingIndex++) {
      const received = this.#queue[this.#actingIndex] as Received;
      if (!PASSIVE.has(received.entry.kind)) return received;
    }
    return undefined;
  }

  /** A window is open at this icount: one of the entries here must be the interrupt, unless more of the log is to come. */
  #checkWindow(next: Received, icount: number): void {
    for (let i = this.#head; i < this.#queue.length; i++) {
      const { entry } = this.#queue[i] as Received;
      if (entry.at > icount)
        throw new DivergenceError(next.seq, icount, 'interrupt', 'none here', 'the guest can take one');
      if (entry.at < icount) continue;
      if (entry.kind === 'interrupt' || (entry.kind === 'control' && entry.control.op === 'stop')) return;
    }
  }

  #perform({ entry, seq }: Received): void {
    switch (entry.kind) {
      case 'output':
        this.#compareOutput(entry, seq);
        return;
      case 'digest':
        this.#compareDigest(entry.digest, entry.at, seq);
        return;
      case 'control':
        if (entry.control.op === 'stop') {
          this.#end = entry.control;
          this.disks.ended();
        }
        if (entry.control.op === 'configure') this.settings.set(entry.control);
        if (entry.control.op === 'checkpoint') this.#options.onSnapshot?.(entry.control.name);
        return;
      case 'mark':
        return;
      default:
        try {
          if (entry.kind === 'disk') this.#applyDisk(entry);
          else this.machine.apply(entry);
        } catch (error) {
          if (!(error instanceof DivergenceError)) throw error;
          throw new DivergenceError(seq, entry.at, `${entry.kind} entry`, 'the same as on the primary', error.message);
        }
    }
  }

  #applyDisk(entry: Extract<Entry, { kind: 'disk' }>): void {
    const answered = this.disks.answered(entry);
    this.machine.apply(answered);
    // Read here; what the log brought is part of its frame.
    if (answered !== entry) giveBack(answered.data);
  }

  #compareOutput(entry: Extract<Entry, { kind: 'output' }>, seq: number): void {
    const produced = entry.channel === 'console' ? this.#coverConsole(entry.bytes) : this.#produced.shift();
    const same = produced?.channel === entry.channel && produced.bytes === entry.bytes && produced.crc === entry.crc;
    if (same && (entry.channel === 'console' || produced.at === entry.at)) return;
    const actual = produced === undefined ? 'none' : `${described(produced)} at ${produced.at}`;
    throw new DivergenceError(seq, entry.at, 'output', described(entry), actual);
  }

  #coverConsole(bytes: number): Produced | undefined {
    if (this.#uncovered.length < bytes) return undefined;
    const covered = this.#uncovered.splice(0, bytes);
    this.#kept.push(...covered);
    assert(this.#kept.length <= CONSOLE_KEPT_MAX, 'the primary never reports released console bytes');
    return { channel: 'console', at: this.machine.icount, bytes, crc: fastCrc32(Uint8Array.from(covered)) };
  }

  #compareDigest(digest: string, at: number, seq: number): void {
    const own = this.machine.digest();
    if (own !== digest) throw new DivergenceError(seq, at, 'state digest', digest, own);
    this.#comparedIcount = at;
    this.#comparedDigest = digest;
  }

  #dequeue(): void {
    this.#head++;
    if (this.#head < 4096) return;
    this.#queue = this.#queue.slice(this.#head);
    this.#actingIndex = Math.max(0, this.#actingIndex - this.#head);
    this.#head = 0;
  }

  #output(output: Output, at: number): void {
    switch (output.kind) {
      case 'console':
        this.#uncovered.push(output.byte);
        return;
      case 'packet':
        this.#produced.push({ channel: 'packet', at, bytes: output.data.length, crc: fastCrc32(output.data) });
        giveBack(output.data);
        return;
      case 'disk':
        if (!this.disks.emitted(output.request)) return;
        this.#produced.push({ channel: 'disk', at, bytes: output.request.bytes, crc: diskRequestCrc(output.request) });
    }
  }
}

function described({ channel, bytes, crc }: Pick<Produced, 'channel' | 'bytes' | 'crc'>): string {
  return `${channel} of ${bytes} bytes, crc ${crc.toString(16)}`;
}
