/**
 * One x86 processor with exact instruction counting: the native core with types.
 *
 *   run(target) -> guest executes -> bus callbacks (ports, memory-mapped devices)
 *              <- why it stopped; icount is exact
 *
 * Invariants: what the guest can observe depends on its state and on the icounts at which these methods
 * are called, never on how a run was cut into slices, on digests, saves or dirty page collection. State at
 * an icount is that before the next instruction is fetched. A guest's mistake never throws.
 *
 * Inside a bus callback icount, irqWindow, halted, setIrqPending, lowerTarget, requestExit, setA20,
 * setClock, getRegisters and ram are legal; requests take effect exactly after the current instruction.
 */
import { cpuidTable } from './cpuid.js';
import { assert, DecodeError, InvariantError } from './errors.js';
import { GuestRam } from './guest-ram.js';
import { nativeCore, type CoreHandle } from './native-addon.js';
import { registersFromWords, wordsFromRegisters, type Registers } from './registers.js';

export type { Registers, SegmentRegister } from './registers.js';

/**
 * - `target`: icount has reached the target given to run() or lowerTarget()
 * - `irq-window`: an interrupt is pending and can be injected now
 * - `halted`: HLT retired and no interrupt was injected since
 * - `requested`: a callback called requestExit()
 */
export type VcpuExit = 'target' | 'irq-window' | 'halted' | 'requested' | 'triple-fault';

/** In the order of `enum core_exit`. */
const EXITS: readonly VcpuExit[] = ['target', 'irq-window', 'halted', 'requested', 'triple-fault'];

const ROM_BYTES_MAX = 1024 * 1024;

/** Everything that is not RAM. Sizes are 1, 2 or 4 bytes; values are unsigned; absent devices read all ones. */
export interface VcpuBus {
  portIn(port: number, size: number): number;
  portOut(port: number, size: number, value: number): void;
  /**
   * An 8-byte access arrives as two of 4 bytes, the low one first. Instructions are fetched from RAM and
   * ROM only.
   */
  memoryRead(address: number, size: number): number;
  memoryWrite(address: number, size: number, value: number): void;
}

export interface VcpuOptions {
  /** A multiple of 4096, 4 MiB to 3 GiB. */
  readonly ramBytes: number;
  readonly bus: VcpuBus;
  /**
   * Mapped to end at 4 GiB, where the reset vector is: read and executed there, writes are lost. A multiple of
   * 4096 bytes, at most 1 MiB. Part of the RAM digest, not of the saved state: it never changes.
   */
  readonly rom?: Uint8Array;
  /** Slow reference mode for tests: count with a hook on every instruction. */
  readonly countByInstruction?: boolean;
  /** Size of the buffer for translated code; the engine's default is 1 GiB of address space. */
  readonly translationBytes?: number;
}

/** Name, version and hash of the linked CPU engine: replicas must agree on it. */
export const ENGINE_VERSION: string = nativeCore.engineVersion;

/** 128-bit digest of any bytes (not cryptographic). */
export function hashBytes(bytes: Uint8Array): Uint8Array {
  return nativeCore.hashBytes(bytes);
}

function assertSafe(value: number, what: string): void {
  assert(Number.isSafeInteger(value) && value >= 0, () => `${what} ${value} is not a safe unsigned integer`);
}

export class Vcpu {
  readonly ram: GuestRam;
  readonly #core: CoreHandle;
  #running = false;
  /** Instructions retired, or -1: to be asked for. It stands still between runs, and is asked for several times an event. */
  #icount = -1;

  constructor(options: VcpuOptions) {
    const { bus, rom = new Uint8Array() } = options;
    assert(rom.length % 4096 === 0 && rom.length <= ROM_BYTES_MAX, `a ROM of ${rom.length} bytes`);
    this.#core = nativeCore.create(
      options.ramBytes,
      cpuidTable(),
      options.translationBytes ?? 0,
      options.countByInstruction ?? false,
      (port, size) => bus.portIn(port, size),
      (port, size, value) => bus.portOut(port, size, value),
      (address, size) => bus.memoryRead(address, size),
      (address, size, value) => bus.memoryWrite(address, size, value),
      rom,
    );
    this.ram = new GuestRam(nativeCore, this.#core);
  }

  /**
   * Execute until `target` instructions have retired since power-on, or less. Infinity is allowed.
   * @throws InvariantError when the engine fails; whatever a bus callback threw.
   */
  run(target: number): VcpuExit {
    const bounded = Math.min(target, Number.MAX_SAFE_INTEGER);
    assertSafe(bounded, 'run: target');
    this.#icount = -1;
    this.#running = true;
    try {
      const exit = EXITS[nativeCore.run(this.#core, bounded)];
      if (exit === undefined) throw new InvariantError('run: unknown exit of the native core');
      return exit;
    } finally {
      this.#running = false;
    }
  }

  /** Retired instructions; inside a callback the current one is not counted. */
  get icount(): number {
    if (this.#running) return nativeCore.icount(this.#core);
    if (this.#icount < 0) this.#icount = nativeCore.icount(this.#core);
    return this.#icount;
  }

  /** Whether an interrupt could be injected now: IF set, no STI or MOV SS shadow. */
  get irqWindow(): boolean {
    return nativeCore.irqWindow(this.#core);
  }

  get halted(): boolean {
    return nativeCore.halted(this.#core);
  }

  /** Level of the interrupt request line; while it is up run() ends at the first window. */
  setIrqPending(pending: boolean): void {
    nativeCore.setIrqPending(this.#core, pending);
  }

  /** A non-maskable interrupt, taken after the current instruction or at the end of the handler of an earlier one. */
  raiseNmi(): void {
    nativeCore.raiseNmi(this.#core);
  }

  /** Move the current run's target down; never before the end of the current instruction. */
  lowerTarget(icount: number): void {
    assertSafe(icount, 'lowerTarget: icount');
    nativeCore.lowerTarget(this.#core, icount);
  }

  /** End the run (or the next one at its start) with `requested`. */
  requestExit(): void {
    nativeCore.requestExit(this.#core);
  }

  /** Deliver an external interrupt. False: that ended in a triple fault. */
  inject(vector: number): boolean {
    assert(Number.isInteger(vector) && vector >= 0 && vector <= 255, () => `inject: vector ${vector}`);
    this.#icount = -1;
    return nativeCore.inject(this.#core, vector);
  }

  /** RDTSC shows `baseNs + floor((icount - baseIcount) * rate / 1024)`; rate is ns per 1024 instructions. */
  setClock(baseIcount: number, baseNs: number, rate: number): void {
    assertSafe(baseIcount, 'setClock: baseIcount');
    assertSafe(baseNs, 'setClock: baseNs');
    assertSafe(rate, 'setClock: rate');
    nativeCore.setClock(this.#core, baseIcount, baseNs, rate);
  }

  setA20(on: boolean): void {
    nativeCore.setA20(this.#core, on);
  }

  /** Power-on state of the processor: F000:FFF0, real mode, A20 on. RAM, icount and clock stay. */
  reset(): void {
    this.#icount = -1;
    nativeCore.reset(this.#core);
  }

  getRegisters(): Registers {
    return registersFromWords(nativeCore.getRegisters(this.#core));
  }

  /** Replace all registers. Empties the guest's TLB, as loading CR3 does. */
  setRegisters(registers: Registers): void {
    nativeCore.setRegisters(this.#core, wordsFromRegisters(registers));
  }

  /** The processor's state without RAM: equal bytes for equal guest state, in any process. */
  saveState(): Uint8Array {
    return nativeCore.saveState(this.#core);
  }

  /**
   * Take over what saveState() returned on a vcpu with as much RAM. RAM must already hold what it held
   * then, or be filled before the next run. The interrupt line comes out low.
   * @throws DecodeError and changes nothing when the bytes are not such a state.
   */
  restoreState(bytes: Uint8Array): void {
    this.#icount = -1;
    const wrong = nativeCore.restoreState(this.#core, bytes);
    if (wrong) throw new DecodeError(wrong[0], wrong[1], 'vcpu state');
  }

  /** 128-bit digest of all RAM; only pages written since the last one are read. */
  ramDigest(): Uint8Array {
    return nativeCore.ramDigest(this.#core);
  }

  /** Numbers of the pages written since the vcpu was made, ascending. The others are zero. */
  writtenPages(): Uint32Array {
    return nativeCore.writtenPages(this.#core);
  }

  /** Numbers of the pages written since this consumer's last call, ascending. Consumers are 1 to 6. */
  collectDirty(consumer: number): Uint32Array {
    return nativeCore.collectDirty(this.#core, consumer);
  }

  /** For tests: forget all translated code. No guest can notice. */
  flushTranslations(): void {
    nativeCore.flushTranslations(this.#core);
  }

  /** For tests: empty the engine's TLB (not the guest's). No guest can notice. */
  flushTlb(): void {
    nativeCore.flushTlb(this.#core);
  }

  /** Counters of the core's work, for the curious; they differ between equal runs. */
  stats(): Record<string, number> {
    return nativeCore.stats(this.#core);
  }

  /** Free the engine. `ram.view` stays readable as long as it is referenced. */
  dispose(): void {
    nativeCore.dispose(this.#core);
  }
}
