/**
 * 8254 interval timer: three counters at 1,193,182 Hz.
 *
 *   channel 0 -> IRQ 0      channel 1 -> refresh (nobody looks at it)      channel 2 -> speaker, port 0x61
 *
 *   0x40..0x42  counters   0x43  control word (bits 7..6 channel, 3 = read-back; 5..4 access, 0 = latch; 3..1 mode; 0 BCD)
 *
 * Time is a function of Environment.nowNs(). Each count of channel 0 that runs out is a deadline, at which IRQ 0 gets
 * one rising edge. A control word never makes an edge, so a guest that only changes the mode gets no tick.
 *
 * Invariants: `nextRise` is the first rise of channel 0 that was not delivered; the deadline follows from it alone.
 * Source: Intel 8254 data sheet (231164), "Control Word Format", "Read-Back Command".
 */
import type { DeviceModel, IrqLine, RegisterBlock, TimedDevice } from './device.js';
import type { Environment } from './environment.js';
import { Pit8254Channel } from './pit8254-channel.js';
import type { StateRecord } from './state.js';
import { nsOfTick, ticksAt } from './tick-clock.js';
import { SavedFields } from './saved-fields.js';

export const PIT_PORT = 0x40;
export const PIT_PORT_COUNT = 4;
export const PIT_HZ = 1193182;

const CONTROL_WORD = 3;
const READ_BACK = 3;
/** Read-back command bits; both are active low. */
const READ_BACK_NO_COUNT = 0x20;
const READ_BACK_NO_STATUS = 0x10;
const CHANNELS = 3;
const NO_RISE = -1;

export interface Pit8254Options {
  readonly environment: Pick<Environment, 'nowNs' | 'deadlineChanged'>;
  /** IRQ 0. */
  readonly irq: IrqLine;
}

export class Pit8254 implements DeviceModel, TimedDevice, RegisterBlock {
  readonly #environment: Pick<Environment, 'nowNs' | 'deadlineChanged'>;
  readonly #irq: IrqLine;
  /** Only the third channel's gate can be moved; the others are tied high. */
  readonly #channels = [new Pit8254Channel(true), new Pit8254Channel(true), new Pit8254Channel(false)] as const;
  /** Tick, or NO_RISE. */
  #nextRise = NO_RISE;

  constructor(options: Pit8254Options) {
    this.#environment = options.environment;
    this.#irq = options.irq;
  }

  /** Gate of channel 2 (port 0x61 bit 0). */
  setSpeakerGate(level: boolean): void {
    this.#channels[2].setGate(level, this.#now());
  }

  /** OUT of channel 2 (port 0x61 bit 5). */
  speakerOutput(): boolean {
    return this.#channels[2].output(this.#now());
  }

  read(offset: number, size: number): number {
    const channel = this.#channels[offset];
    // The control register cannot be read.
    return channel === undefined ? 2 ** (8 * size) - 1 : channel.read(this.#now());
  }

  write(offset: number, _size: number, value: number): void {
    const byte = value & 0xff;
    if (offset === CONTROL_WORD) this.#control(byte);
    else this.#channels[offset]?.write(byte, this.#now());
    if (offset === 0 || (offset === CONTROL_WORD && byte >> 6 === 0)) this.#arm();
  }

  nextDeadlineNs(): number | null {
    return this.#nextRise === NO_RISE ? null : nsOfTick(this.#nextRise, PIT_HZ);
  }

  advance(nowNs: number): void {
    const now = ticksAt(nowNs, PIT_HZ);
    while (this.#nextRise !== NO_RISE && this.#nextRise <= now) {
      const rise = this.#nextRise;
      this.#nextRise = this.#channels[0].nextRise(rise) ?? NO_RISE;
      this.#irq.set(false);
      this.#irq.set(true);
    }
  }

  reset(): void {
    for (const channel of this.#channels) channel.reset();
    this.#nextRise = NO_RISE;
  }

  save(): StateRecord {
    return { channels: this.#channels.map((channel) => channel.save()), nextRise: this.#nextRise };
  }

  restore(state: StateRecord): void {
    const fields = new SavedFields(state, 'pit');
    const saved = fields.list('channels', CHANNELS);
    const nextRise = fields.integer('nextRise', NO_RISE, Number.MAX_SAFE_INTEGER);
    fields.finish();
    if (saved.length !== CHANNELS) throw fields.wrong('channels', `not ${CHANNELS} channels`);
    const registers = this.#channels.map((channel, index) => channel.decode(saved[index]!));
    this.#channels.forEach((channel, index) => channel.apply(registers[index]!));
    this.#nextRise = nextRise;
  }

  #now(): number {
    return ticksAt(this.#environment.nowNs(), PIT_HZ);
  }

  #control(value: number): void {
    const now = this.#now();
    if (value >> 6 === READ_BACK) {
      this.#channels.forEach((channel, index) => {
        if ((value & (2 << index)) === 0) return;
        if ((value & READ_BACK_NO_COUNT) === 0) channel.latchCount(now);
        if ((value & READ_BACK_NO_STATUS) === 0) channel.latchStatus(now);
      });
      return;
    }
    const channel = this.#channels[value >> 6]!;
    const access = (value >> 4) & 3;
    if (access === 0) channel.latchCount(now);
    else channel.configure((value >> 1) & 7, access, (value & 1) !== 0);
  }

  /** Channel 0 was written: find its next rise, and lower the line where OUT is low by now. */
  #arm(): void {
    const now = this.#now();
    const channel = this.#channels[0];
    if (!channel.output(now)) this.#irq.set(false);
    const nextRise = channel.nextRise(now) ?? NO_RISE;
    if (nextRise === this.#nextRise) return;
    this.#nextRise = nextRise;
    this.#environment.deadlineChanged();
  }
}
