/**
 * One guest: a vcpu, its memory and devices, and guest time. A pure function of its initial state and the
 * ordered list of (icount, event) given to apply(); everything it sends out goes to the sink.
 *
 *   run(limit)  executes up to an exact icount, performing device deadlines on the way
 *   apply()     lets one event of the world happen, between two instructions
 *
 * Invariants: whenever run() or apply() returns, no device deadline at or before the present guest time is
 * undelivered, so the order at one icount is always: deadlines first, then entries in seq order. A machine
 * does not know whether it belongs to a primary, a backup or neither.
 */
import { assert, DivergenceError, InvariantError } from '../../emulator/errors.js';
import { hashBytes, Vcpu, type Registers } from '../../emulator/vcpu.js';
import type { DiskRequest, Environment, Output } from '../../devices/environment.js';
import type { StateRecord, StateValue } from '../../devices/state.js';
import { PcBoard } from '../../devices/pc-board.js';
import type { Entry, StopReason } from '../log/entry.js';
import { encodeState } from '../state-codec.js';
import { BlobStore } from './blob-store.js';
import { DiskDoorbells, type PendingDiskRequest } from './disk-doorbells.js';
import { GuestClock } from './guest-clock.js';
import { macBytes, type MachineConfig } from './machine-config.js';
import type { RunCutter } from './run-cutter.js';

/** Receives what the guest sends out. `at`: the icount from which the output has happened. */
export type OutputSink = (output: Output, at: number) => void;

/**
 * limit       icount == limit
 * irq-window  an interrupt is pending and the CPU can take it now
 * halted      the guest waits in HLT and no interrupt is pending
 * output      an output that should leave at once (packet, disk request) was emitted, and run() was to stop there
 * stopped     the guest ended the run: see `stopRequest`
 */
export type MachineExit = 'limit' | 'irq-window' | 'halted' | 'output' | 'stopped';

export interface StopRequest {
  readonly reason: StopReason;
  readonly code: number;
}

/** A machine's whole state but its RAM, as plain data. */
export interface MachineState {
  readonly cpu: Uint8Array;
  readonly devices: StateRecord;
  readonly clock: { readonly baseIcount: number; readonly baseNs: number; readonly rate: number };
  /** Disk requests under way, each with its drive, tag and the guest time of its doorbell, in their order. */
  readonly doorbells: readonly StateValue[];
}

const EFLAGS_IF = 0x200;

export class Machine implements Environment {
  readonly config: MachineConfig;
  /** What the configuration names by hash. */
  readonly blobs: BlobStore;
  readonly vcpu: Vcpu;
  readonly board: PcBoard;
  readonly clock: GuestClock;
  readonly bootUnixSeconds: number;
  readonly #doorbells = new DiskDoorbells();
  #sink: OutputSink;
  /** False while the board is being built: its chips reset themselves. */
  #powered = false;
  #running = false;
  #pausesAtOutput = true;
  #outputPending = false;
  #irqPending = false;
  #stop: StopRequest | null = null;
  #deadlineNs: number | null = null;
  #deadlineIcount = Infinity;
  #cutter: RunCutter | null = null;

  /** @throws ConfigError when `blobs` lacks something that the configuration names */
  constructor(config: MachineConfig, rate: number, sink: OutputSink, blobs = new BlobStore()) {
    this.config = config;
    this.blobs = blobs;
    this.bootUnixSeconds = config.bootUnixSeconds;
    this.clock = new GuestClock(rate);
    this.#sink = sink;
    this.vcpu = new Vcpu({
      ramBytes: config.memoryBytes,
      ...(config.firmware === null ? {} : { rom: blobs.get('firmware', config.firmware) }),
      bus: {
        portIn: (port, size) => this.board.ports.read(port, size),
        portOut: (port, size, value) => {
          this.board.ports.write(port, size, value);
        },
        memoryRead: (address, size) => this.board.memory.read(address, size),
        memoryWrite: (address, size, value) => {
          this.board.memory.write(address, size, value);
        },
      },
    });
    this.board = new PcBoard({
      environment: this,
      dma: this.vcpu.ram,
      ramBytes: config.memoryBytes,
      drives: config.drives,
      nics: config.nics.map(({ kind, mac }) => ({ kind, mac: macBytes(mac) })),
      files: config.files.map((file) => ({ name: file.name, data: blobs.get(file.name, file) })),
    });
    this.#powered = true;
    this.#clockChanged();
  }

  /** Instructions retired. */
  get icount(): number {
    return this.vcpu.icount;
  }
  /** Why the guest ended the run, or null. */
  get stopRequest(): StopRequest | null {
    return this.#stop;
  }
  /** In HLT with interrupts disabled: nothing will ever wake this guest. */
  get dead(): boolean {
    // An open window says that they are enabled, without the cost of all registers.
    if (!this.vcpu.halted || this.vcpu.irqWindow) return false;
    return (this.vcpu.getRegisters().eflags & EFLAGS_IF) === 0;
  }
  /** Guest time of the next device deadline, or null. */
  get nextDeadlineNs(): number | null {
    return this.#deadlineNs;
  }
  /** The vector the CPU would get if it took the pending interrupt now. */
  get pendingVector(): number | null {
    return this.board.interrupts.pendingVector();
  }

  /** Replace the receiver of outputs (a backup goes live). */
  setSink(sink: OutputSink): void {
    this.#sink = sink;
  }

  /** For tests: let `cutter` say where runs are cut. */
  setCutter(cutter: RunCutter): void {
    this.#cutter = cutter;
  }

  /**
   * Execute until icount reaches `limit` or something needs the monitor. Deterministic.
   * @param pausesAtOutput false: outputs go to the sink and the guest goes on; an exit for each would be all of a burst's cost
   */
  run(limit: number, pausesAtOutput = true): MachineExit {
    this.#pausesAtOutput = pausesAtOutput;
    this.#fireDeadlines();
    for (;;) {
      if (this.#stop !== null) return 'stopped';
      if (this.#outputPending) {
        this.#outputPending = false;
        if (pausesAtOutput) return 'output';
      }
      if (this.#irqPending && this.vcpu.irqWindow) return 'irq-window';
      if (this.vcpu.halted) return 'halted';
      if (this.vcpu.icount >= limit) return 'limit';
      this.#runVcpu(Math.min(limit, this.#deadlineIcount, this.#cutter?.limit(this.vcpu.icount) ?? Infinity));
      this.#cutter?.between(this.vcpu);
      this.#fireDeadlines();
    }
  }

  /** Let one event happen at the present icount. Kinds that do not touch the machine are refused. */
  apply(entry: Entry): void {
    assert(entry.at === this.icount, () => `${entry.kind} entry for icount ${entry.at} applied at ${this.icount}`);
    switch (entry.kind) {
      case 'clock':
        this.#adjustClock(entry.skipNs, entry.rate);
        break;
      case 'interrupt':
        this.#takeInterrupt(entry.vector);
        break;
      case 'packet':
        this.board.nic(entry.nic).receive(entry.data);
        break;
      case 'disk':
        this.#doorbells.answered(entry);
        this.board.drive(entry.drive).complete(entry);
        break;
      case 'serial':
        this.board.uart.receive(entry.data);
        break;
      default:
        throw new InvariantError(`a ${entry.kind} entry does not act on a machine`);
    }
    this.#fireDeadlines();
  }

  /** Hash of the whole state (CPU, RAM, devices, time) as 32 hex digits. Does not disturb the guest. */
  digest(): string {
    const doorbells = this.#savedDoorbells();
    const devices = encodeState({
      devices: this.board.save(),
      clock: this.clock.save(),
      icount: this.icount,
      ...(doorbells.length === 0 ? {} : { doorbells }),
    });
    const parts = Buffer.concat([this.vcpu.saveState(), this.vcpu.ramDigest(), devices]);
    return Buffer.from(hashBytes(parts)).toString('hex');
  }

  save(): MachineState {
    const { baseIcount, baseNs, rate } = this.clock;
    const clock = { baseIcount, baseNs, rate };
    return { cpu: this.vcpu.saveState(), devices: this.board.save(), clock, doorbells: this.#savedDoorbells() };
  }

  /** Take over a state; RAM must have been filled before. @throws DecodeError */
  restore(state: MachineState): void {
    this.vcpu.restoreState(state.cpu);
    this.clock.restore(state.clock.baseIcount, state.clock.baseNs, state.clock.rate);
    this.#doorbells.restore(state.doorbells);
    this.board.restore(state.devices);
    this.#stop = null;
    this.#outputPending = false;
    this.#irqPending = this.board.interrupts.output;
    this.vcpu.setIrqPending(this.#irqPending);
    this.vcpu.setA20(this.board.a20);
    this.#clockChanged();
  }

  /** The requests that no disk has answered yet, in the order of their doorbells. */
  pendingDiskRequests(): PendingDiskRequest[] {
    return this.#doorbells.order(this.board.pendingRequests(), this.nowNs());
  }

  /** The request that a completion answers. */
  pendingDiskRequest({ drive, tag }: Pick<DiskRequest, 'drive' | 'tag'>): DiskRequest | undefined {
    return this.board.drive(drive).pendingRequest(drive, tag);
  }

  registers(): Registers {
    return this.vcpu.getRegisters();
  }

  dispose(): void {
    this.vcpu.dispose();
  }

  // --- Environment: what the devices see ---

  nowNs(): number {
    return this.clock.nsAt(this.vcpu.icount);
  }

  emit(output: Output): void {
    // Inside a run the instruction that causes the output retires after its device callback.
    const at = this.#running ? this.vcpu.icount + 1 : this.vcpu.icount;
    if (output.kind !== 'console' && (this.#pausesAtOutput || !this.#running)) {
      this.#outputPending = true;
      if (this.#running) this.vcpu.requestExit();
    }
    if (output.kind === 'disk') this.#doorbells.rang(output.request, this.nowNs());
    this.#sink(output, at);
  }

  deadlineChanged(): void {
    if (!this.#powered) return;
    this.#deadlineNs = this.board.nextDeadlineNs();
    this.#deadlineIcount = this.#deadlineNs === null ? Infinity : this.clock.icountAt(this.#deadlineNs);
    if (this.#running && this.#deadlineIcount !== Infinity) this.vcpu.lowerTarget(this.#deadlineIcount);
  }

  interruptRequest(level: boolean): void {
    this.#irqPending = level;
    this.vcpu.setIrqPending(level);
  }

  nonMaskableInterrupt(): void {
    this.vcpu.raiseNmi();
  }

  stop(reason: 'debug-exit' | 'shutdown' | 'reset', code: number): void {
    this.#stop ??= { reason, code };
    if (this.#running) this.vcpu.requestExit();
  }

  setA20(on: boolean): void {
    this.vcpu.setA20(on);
  }

  // --- inside ---

  /** Those of requests that a reset dropped are left out: no completion will come for them after a restore. */
  #savedDoorbells(): StateRecord[] {
    return this.pendingDiskRequests().map(({ request: { drive, tag }, rangNs }) => ({ drive, tag, ns: rangNs }));
  }

  #runVcpu(target: number): void {
    this.#running = true;
    try {
      const exit = this.vcpu.run(target);
      if (exit === 'triple-fault') this.#stop ??= { reason: 'triple-fault', code: 0 };
    } finally {
      this.#running = false;
    }
  }

  #fireDeadlines(): void {
    while (this.#deadlineNs !== null && this.#deadlineIcount <= this.vcpu.icount) {
      this.board.advance(this.nowNs());
      this.deadlineChanged();
    }
  }

  #adjustClock(skipNs: number | 'deadline', rate: number | null): void {
    const now = this.nowNs();
    const skip = skipNs === 'deadline' ? Math.max(0, (this.#deadlineNs ?? now) - now) : skipNs;
    this.clock.adjust(this.icount, skip, rate);
    this.#clockChanged();
  }

  #clockChanged(): void {
    this.vcpu.setClock(this.clock.baseIcount, this.clock.baseNs, this.clock.rate);
    this.deadlineChanged();
  }

  #takeInterrupt(vector: number): void {
    if (!this.#irqPending || !this.vcpu.irqWindow) {
      throw new DivergenceError(
        -1,
        this.icount,
        'interrupt delivery point',
        `vector ${vector}`,
        'no interrupt can be taken',
      );
    }
    const offered = this.board.interrupts.acknowledge();
    if (offered !== vector) {
      throw new DivergenceError(-1, this.icount, 'interrupt vector', String(vector), String(offered));
    }
    if (!this.vcpu.inject(vector)) this.#stop ??= { reason: 'triple-fault', code: 0 };
  }
}
