/**
 * What every device model offers and is given.
 *
 *   guest IN/OUT/MMIO -> bus -> RegisterBlock.read/write(offset, size)      registers
 *   device -> IrqLine.set(level) -> interrupt controller                    interrupts
 *   device -> Environment.emit(output) ... -> device.complete/receive(...)  the world
 *
 * A device sees offsets, never addresses, and never asks the host for anything.
 */
import type { StateRecord } from './state.js';

/** A block of registers on a port or memory bus. Sizes are 1, 2 or 4 bytes; values are unsigned. */
export interface RegisterBlock {
  /** Read `size` bytes at `offset`. Registers that do not exist read all ones (of that size). */
  read(offset: number, size: number): number;
  write(offset: number, size: number, value: number): void;
}

/** One interrupt line. Setting the level it already has is harmless. */
export interface IrqLine {
  set(level: boolean): void;
}

/** A device whose state is saved, restored and compared. */
export interface DeviceModel {
  /** Power-on state. Moves no line of another device. */
  reset(): void;
  save(): StateRecord;
  /**
   * Take over state that save() of the same version produced. Moves no IRQ line and calls no other device.
   * @throws DecodeError when the record is not such a state.
   */
  restore(state: StateRecord): void;
}

/** A device with timers. The machine stops the vcpu exactly at the deadline and calls advance(). */
export interface TimedDevice {
  /** Guest time in ns of the next event, or null when none is armed. Pure: no side effects. */
  nextDeadlineNs(): number | null;
  /** Perform every event due at or before `nowNs`. */
  advance(nowNs: number): void;
}
