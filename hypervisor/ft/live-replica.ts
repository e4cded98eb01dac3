/**
 * A replica that is live: it takes inputs from the world, runs the guest in slices and records every
 * non-deterministic event.
 *
 *   IN   input() -> inbox -> step(): Recorder.append(at = icount) -> Machine.apply
 *   OUT  guest -> Machine -> Recorder: output entry -> OutputGate -> LiveHost
 *
 * The same class serves a primary (frames go to a backup), a recording (frames go to a file) and a machine
 * alone (no log). Sans-io: host time is passed in, in ns.
 */
import type { DiskCompletion, Output } from '../../devices/environment.js';
import { giveBack } from '../../emulator/byte-pool.js';
import { assert } from '../../emulator/errors.js';
import type { Control, Entry, StopReason } from '../log/entry.js';
import type { FrameWriter } from '../log/frame.js';
import type { Machine, MachineExit } from '../machine/machine.js';
import type { ClockPolicy } from './clock-policy.js';
import { DiskQueue } from './disk-queue.js';
import type { Input } from './input.js';
import type { OutputGate } from './output-gate.js';
import { Recorder, type LiveHost } from './recorder.js';
import { Settings } from './settings.js';
import { SliceSize } from './slice-size.js';

/** running: step again soon; idle: nothing to do before `untilNs` (host time) or an input; stopped: the run is over. */
export type LiveStep =
  | { readonly kind: 'running' }
  | { readonly kind: 'idle'; readonly untilNs: number | null }
  | { readonly kind: 'stopped' };

export interface LiveOptions {
  readonly machine: Machine;
  readonly clock: ClockPolicy;
  readonly gate: OutputGate;
  readonly host: LiveHost;
  readonly writer: FrameWriter;
  /** Stop with reason `until` at this icount. */
  readonly until: number;
  /** Host time between digests, in ns; Infinity: only at the end. */
  readonly digestNs: number;
  /** Called once, between two instructions, when icount reaches `icount`. */
  readonly breakAt?: { readonly icount: number; readonly reached: () => void };
  /** Called once, between two instructions, before the entries that end the run are written. */
  readonly beforeEnd?: () => void;
  /** Called when a control entry of op checkpoint is reached. */
  readonly onSnapshot: (name: string) => void;
  /** Position of the next console byte in the guest's console stream. */
  readonly consoleOffset: number;
  /** As the log had them when this replica went live. */
  readonly settings?: Settings;
}

export interface RunEnd {
  readonly reason: StopReason;
  readonly exitCode: number;
  readonly digest: string;
}

/** A backup hears at least this often how far it may run. */
const MARK_NS = 10_000_000;
/** Interrupts taken before a slice ends in any case (a guest may storm without retiring instructions). */
const INTERRUPTS_PER_SLICE_MAX = 10_000;
const RUNNING: LiveStep = { kind: 'running' };
const STOPPED: LiveStep = { kind: 'stopped' };
const WAIT_FOR_INPUT: LiveStep = { kind: 'idle', untilNs: null };

export class LiveReplica {
  readonly machine: Machine;
  readonly recorder: Recorder;
  readonly #options: LiveOptions;
  readonly settings: Settings;
  readonly #disks: DiskQueue;
  readonly slice = new SliceSize();
  #inbox: Input[] = [];
  #nowNs = 0;
  #started = false;
  #lastDigestNs = -Infinity;
  #breakIcount: number;
  #lastOutputAt = 0;
  #end: RunEnd | null = null;

  constructor(options: LiveOptions) {
    this.#options = options;
    this.machine = options.machine;
    this.#breakIcount = options.breakAt?.icount ?? Infinity;
    this.settings = options.settings ?? new Settings();
    this.recorder = new Recorder(options.host, options.writer, options.gate, options.consoleOffset);
    this.#disks = new DiskQueue(options.machine.config.clock);
    this.machine.setSink((output, at) => {
      this.#output(output, at);
    });
  }

  /** How the run ended, or null. */
  get end(): RunEnd | null {
    return this.#end;
  }
  get gate(): OutputGate {
    return this.recorder.gate;
  }

  /** A backup or a recording listens from here on; the first things it gets are settings and a digest. */
  startLogging(): void {
    this.recorder.setLogging(true);
    const at = this.machine.icount;
    for (const control of this.settings.controls()) this.recorder.append({ kind: 'control', at, control });
    this.#lastDigestNs = -Infinity;
  }

  /** Give the guest an input; it lands at the next step's icount. */
  input(input: Input): void {
    this.#inbox.push(input);
  }

  /** Go live with requests that another replica had pending: submit them again. They are idempotent. */
  reissueDiskRequests(): number {
    const pending = this.machine.pendingDiskRequests();
    for (const { request, rangNs } of pending) {
      this.#disks.submitted(request, rangNs);
      this.#options.host.submitDisk(request);
    }
    return pending.length;
  }

  /** Run one slice at host time `nowNs`. */
  step(nowNs: number): LiveStep {
    if (this.#end !== null) return STOPPED;
    this.#tick(nowNs);
    this.#applyInbox();
    const step = this.#advance();
    this.#periodic();
    const flushNs = step.kind === 'stopped' ? null : this.recorder.flushSoon(this.machine.icount);
    if (step.kind !== 'idle' || flushNs === null) return step;
    return { kind: 'idle', untilNs: Math.min(step.untilNs ?? Infinity, flushNs) };
  }

  /** End the run at the present icount, as an input of the monitors would. */
  stop(reason: StopReason, exitCode: number): void {
    if (this.#end !== null) return;
    this.#options.beforeEnd?.();
    const at = this.machine.icount;
    const digest = this.machine.digest();
    this.recorder.append({ kind: 'digest', at, digest });
    this.recorder.append({ kind: 'control', at, control: { op: 'stop', reason, exitCode } });
    this.#end = { reason, exitCode, digest };
    this.recorder.flush(at);
  }

  // --- one step ---

  #tick(nowNs: number): void {
    this.#nowNs = nowNs;
    this.recorder.tick(nowNs);
    this.slice.begin(nowNs, this.machine.icount);
    if (this.#started) return;
    this.#started = true;
    this.#options.clock.start(nowNs, this.machine.nowNs());
  }

  #applyInbox(): void {
    if (this.#inbox.length > 0 && !this.settings.paused) this.#catchUpIdle();
    const inputs = this.#inbox;
    this.#inbox = [];
    for (const input of inputs) {
      if (this.#end !== null) return;
      if (!this.settings.paused || input.kind === 'control') this.#applyInput(input);
      // A machine that stands still takes no packets; all else waits for it.
      else if (input.kind !== 'packet') this.#inbox.push(input);
    }
    if (this.settings.paused) return;
    // Under the icount clock, those whose fixed guest time has come.
    for (const completion of this.#disks.due(this.machine.nowNs())) this.#applyDisk(completion);
  }

  #advance(): LiveStep {
    if (this.#end !== null) return STOPPED;
    if (this.settings.paused) return WAIT_FOR_INPUT;
    // The order of events at this icount must not depend on when the host finished.
    if (this.#disks.hostIsLate(this.machine.nowNs())) return WAIT_FOR_INPUT;
    return this.#afterSlice(this.#runSlice());
  }

  #applyInput(input: Input): void {
    const at = this.machine.icount;
    switch (input.kind) {
      case 'packet':
        this.#appendAndApply({ kind: 'packet', at, nic: input.nic, data: input.data });
        return;
      case 'disk':
        for (const completion of this.#disks.completed(input.completion)) this.#applyDisk(completion);
        return;
      case 'serial':
        this.#appendAndApply({ kind: 'serial', at, data: input.data });
        return;
      case 'control':
        this.#applyControl(input.control);
    }
  }

  #applyControl(control: Control): void {
    if (control.op === 'stop') {
      this.stop(control.reason, control.exitCode);
      return;
    }
    this.recorder.append({ kind: 'control', at: this.machine.icount, control });
    if (control.op === 'checkpoint') this.#options.onSnapshot(control.name);
    if (control.op === 'configure') this.#configure(control);
  }

  #configure(control: Extract<Control, { op: 'configure' }>): void {
    const { paused } = this.settings;
    this.settings.set(control);
    // Guest time goes on where it stood.
    if (paused && !this.settings.paused) this.#options.clock.start(this.#nowNs, this.machine.nowNs());
  }

  #applyDisk({ drive, tag, status, data }: DiskCompletion): void {
    const entry = { kind: 'disk', at: this.machine.icount, drive, tag, status, data } as const;
    this.recorder.diskCompletion(entry, () => this.machine.pendingDiskRequest(entry));
    this.machine.apply(entry);
    giveBack(data);
  }

  /** The guest slept until now: let guest time reach the host's before an input lands. */
  #catchUpIdle(): void {
    if (this.#options.clock.mode !== 'host' || !this.machine.vcpu.halted) return;
    const now = this.machine.nowNs();
    const wanted = Math.min(this.#options.clock.wanted(this.#nowNs), this.machine.nextDeadlineNs ?? Infinity);
    if (wanted > now) this.#appendAndApply(this.#clockEntry(wanted - now, null));
  }

  /** An output ends the slice unless more follow soon: they share a frame, which costs as much as many entries. */
  #runSlice(): MachineExit {
    const end = Math.min(this.machine.icount + this.slice.instructions, this.#options.until, this.#breakIcount);
    const gathered = (): number => Math.min(end, this.#lastOutputAt + this.slice.gathering);
    let limit = end;
    let pauses = true;
    for (let taken = 0; ;) {
      const exit = this.machine.run(Math.min(limit, this.#diskLimit()), pauses);
      if (exit === 'output' || (exit === 'limit' && !pauses && this.machine.icount < gathered())) {
        limit = gathered();
        // Under the icount clock a disk request may move the limit.
        pauses = this.#options.clock.mode === 'icount';
      } else if (exit === 'irq-window' && taken++ < INTERRUPTS_PER_SLICE_MAX) {
        const vector = this.machine.pendingVector;
        assert(vector !== null, 'an interrupt is pending without a vector');
        this.#appendAndApply({ kind: 'interrupt', at: this.machine.icount, vector });
      } else return exit;
    }
  }

  #diskLimit(): number {
    const dueNs = this.#disks.nextDueNs();
    return dueNs === null ? Infinity : this.machine.clock.icountAt(dueNs);
  }

  #afterSlice(exit: MachineExit): LiveStep {
    if (this.machine.icount >= this.#breakIcount) {
      this.#breakIcount = Infinity;
      this.#options.breakAt?.reached();
    }
    const request = this.machine.stopRequest;
    if (request !== null) {
      this.stop(request.reason, request.code);
      return STOPPED;
    }
    if (exit === 'halted') return this.#halted();
    if (this.machine.icount >= this.#options.until) {
      this.stop('until', 0);
      return STOPPED;
    }
    const { clock } = this.#options;
    const rate = clock.busy(this.#nowNs, this.machine.icount, this.machine.nowNs(), this.machine.clock.rate);
    if (rate !== null) this.#appendAndApply(this.#clockEntry(0, rate));
    return RUNNING;
  }

  #halted(): LiveStep {
    if (this.machine.dead) {
      this.stop('halted', 0);
      return STOPPED;
    }
    this.#options.clock.interrupted();
    if (this.#inbox.length > 0) return RUNNING;
    return this.#options.clock.mode === 'icount' ? this.#sleepByIcount() : this.#sleepByHost();
  }

  /** No host time: idle time is added at once, up to the next deadline or disk completion. */
  #sleepByIcount(): LiveStep {
    const deadlineNs = this.machine.nextDeadlineNs;
    const diskNs = this.#disks.nextDueNs();
    if (diskNs !== null && (deadlineNs === null || diskNs < deadlineNs)) {
      const now = this.machine.nowNs();
      if (diskNs > now) this.#appendAndApply(this.#clockEntry(diskNs - now, null));
      return RUNNING;
    }
    if (deadlineNs === null) return WAIT_FOR_INPUT;
    this.#appendAndApply(this.#clockEntry('deadline', null));
    return RUNNING;
  }

  #sleepByHost(): LiveStep {
    const deadlineNs = this.machine.nextDeadlineNs;
    if (deadlineNs === null) return WAIT_FOR_INPUT;
    const dueNs = this.#options.clock.hostTimeOf(deadlineNs);
    if (dueNs > this.#nowNs) return { kind: 'idle', untilNs: dueNs };
    this.#options.clock.woken(this.#nowNs, deadlineNs);
    this.#appendAndApply(this.#clockEntry('deadline', null));
    return RUNNING;
  }

  #periodic(): void {
    if (this.#end !== null) return;
    const { recorder } = this;
    const at = this.machine.icount;
    if (this.#nowNs - this.#lastDigestNs >= (this.settings.digestNs ?? this.#options.digestNs)) {
      this.#lastDigestNs = this.#nowNs;
      if (recorder.logging) recorder.append({ kind: 'digest', at, digest: this.machine.digest() });
    }
    const silentNs = this.#nowNs - recorder.lastFrameNs;
    if (recorder.logging && at > recorder.lastEntryIcount && silentNs >= MARK_NS) recorder.append({ kind: 'mark', at });
  }

  // --- outputs ---

  #output(output: Output, at: number): void {
    if (output.kind !== 'console') this.#lastOutputAt = at;
    switch (output.kind) {
      case 'console':
        this.recorder.consoleByte(output.byte);
        return;
      case 'packet':
        this.recorder.packet(output.nic, output.data, at);
        return;
      case 'disk':
        this.#disks.submitted(output.request, this.machine.nowNs());
        this.recorder.diskRequest(output.request, at);
    }
  }

  #clockEntry(skipNs: number | 'deadline', rate: number | null): Entry {
    return { kind: 'clock', at: this.machine.icount, skipNs, rate };
  }

  #appendAndApply(entry: Entry): void {
    this.recorder.append(entry);
    this.machine.apply(entry);
  }
}
