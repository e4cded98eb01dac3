/**
 * Edge: state transfer as replication. Every so often the pages written since the last checkpoint and the state of CPU
 * and devices go to a backup that does not execute; outputs wait until the checkpoint behind them is acknowledged.
 *
 *   between two runs: step() -> due? -> cut the log, copy pages and state -> PrimaryLink.sendCheckpoint()
 *
 * Invariants: the copy is made while the guest stands still, the sending is not waited for; one checkpoint at most is
 * unacknowledged, but for the last of a run.
 * Source: Cully et al. 2008 (Remus), section 3; MIT 6.824, lecture 4 (state transfer).
 */
import { encodeMessage } from '../../hypervisor/channel/messages.js';
import type { Recorder } from '../../hypervisor/ft/recorder.js';
import type { Settings } from '../../hypervisor/ft/settings.js';
import type { Machine } from '../../hypervisor/machine/machine.js';
import type { ConsoleTail } from './console-tail.js';
import { hostMs } from './host-time.js';
import type { PrimaryLink } from './primary-link.js';
import type { OpenDrive } from './open-disks.js';
import { Samples, type Checkpoints } from './result.js';
import { DIRTY_CONSUMER, pageMessages, stateFrame } from './state-frames.js';

export interface CheckpointerOptions {
  readonly machine: Machine;
  readonly recorder: Recorder;
  readonly settings: Settings;
  readonly console: ConsoleTail;
  readonly drives: readonly OpenDrive[];
  readonly link: PrimaryLink;
  readonly intervalMs: number;
}

export class Checkpointer {
  readonly #options: CheckpointerOptions;
  readonly #pauseMs = new Samples();
  #count = 0;
  #bytes = 0;
  #pages = 0;
  #dueMs: number;
  /** Where the newest checkpoint was made. */
  #icount: number;
  #seq: number;

  /** The backup holds the machine's present state. */
  constructor(options: CheckpointerOptions) {
    this.#options = options;
    this.#dueMs = hostMs() + options.intervalMs;
    this.#icount = options.machine.icount;
    this.#seq = options.recorder.lastSeq;
  }

  get totals(): Checkpoints {
    return {
      count: this.#count,
      bytes: this.#bytes,
      pages: this.#pages,
      pauseMsP50: this.#pauseMs.percentile(0.5) ?? 0,
      pauseMsP99: this.#pauseMs.percentile(0.99) ?? 0,
    };
  }

  /** Make a checkpoint if one is due. Returns the ms until the next one, null while nothing calls for one. */
  step(nowMs: number): number | null {
    const { machine, recorder, link } = this.#options;
    if (link.ackedSeq < this.#seq) return null;
    if (machine.icount === this.#icount && recorder.lastSeq === this.#seq) return null;
    if (nowMs < this.#dueMs) return this.#dueMs - nowMs;
    this.take();
    return null;
  }

  /** Make a checkpoint of the machine as it is. Only between runs. */
  take(): void {
    const { machine, recorder, settings, console, drives, link, intervalMs } = this.#options;
    const startMs = hostMs();
    const firstSeq = recorder.cut(machine.icount);
    const frames: Uint8Array[] = [];
    let pages = 0;
    for (const { message } of pageMessages(machine.vcpu.ram.view, machine.vcpu.collectDirty(DIRTY_CONSUMER))) {
      frames.push(encodeMessage(message));
      pages += message.pages.length;
    }
    const { offset, bytes } = console.unreleased();
    const unflushed = drives.map(({ served }) => served?.unflushedTags ?? []);
    const told = { consoleOffset: offset, console: Buffer.concat([bytes, recorder.heldConsole()]) };
    frames.push(stateFrame(machine, { firstSeq, ...told, settings, unflushed }, pages));
    this.#count++;
    this.#pages += pages;
    for (const frame of frames) this.#bytes += frame.length;
    this.#icount = machine.icount;
    this.#seq = firstSeq - 1;
    this.#dueMs = startMs + intervalMs;
    this.#pauseMs.add(hostMs() - startMs);
    link.sendCheckpoint(frames, this.#seq);
  }
}
