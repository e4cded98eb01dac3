/**
 * The debug consoles of emulators: a port that takes characters and nothing else.
 *
 *   0x402  where SeaBIOS writes its messages      0xe9  Bochs' port      (reads: 0xe9, by which both are detected)
 *
 * These bytes are not the guest's console and leave no output entry in the log: they are device state, equal on both
 * replicas, of which the newest 64 KiB are kept for people to read.
 *
 * Invariant: ring[i % 64 Ki] holds byte i of all those written, for the newest 64 Ki of them.
 * Source: QEMU manual, device isa-debugcon (iobase, readback); Bochs user manual, port_e9_hack.
 */
import type { DeviceModel, RegisterBlock } from './device.js';
import { SavedFields } from './saved-fields.js';
import type { StateRecord } from './state.js';

/** Each of these ports is one byte wide. */
export const DEBUG_CONSOLE_PORTS: readonly number[] = [0x402, 0xe9];
/** How many of the newest bytes are kept. */
export const DEBUG_CONSOLE_BYTES_MAX = 64 * 1024;

const READBACK = 0xe9;

export class DebugConsole implements DeviceModel, RegisterBlock {
  readonly #ring = new Uint8Array(DEBUG_CONSOLE_BYTES_MAX);
  #written = 0;

  /** Bytes written since power-on. */
  get written(): number {
    return this.#written;
  }

  /** The newest bytes, oldest first, as characters of the same code. */
  text(): string {
    return Array.from(this.#newest(), (byte) => String.fromCharCode(byte)).join('');
  }

  read(_offset: number, _size: number): number {
    return READBACK;
  }

  write(_offset: number, _size: number, value: number): void {
    this.#ring[this.#written % DEBUG_CONSOLE_BYTES_MAX] = value & 0xff;
    this.#written++;
  }

  reset(): void {
    this.#ring.fill(0);
    this.#written = 0;
  }

  save(): StateRecord {
    return { written: this.#written, newest: this.#newest() };
  }

  restore(state: StateRecord): void {
    const fields = new SavedFields(state, 'debug-console');
    const written = fields.integer('written', 0, Number.MAX_SAFE_INTEGER);
    const newest = fields.bytes('newest', Math.min(written, DEBUG_CONSOLE_BYTES_MAX));
    fields.finish();
    this.#ring.fill(0);
    this.#written = written;
    const split = this.#split();
    this.#ring.set(newest.subarray(0, newest.length - split), split);
    this.#ring.set(newest.subarray(newest.length - split), 0);
  }

  /** Where in a full ring the oldest byte is; 0 while the ring is not full. */
  #split(): number {
    return this.#written < DEBUG_CONSOLE_BYTES_MAX ? 0 : this.#written % DEBUG_CONSOLE_BYTES_MAX;
  }

  /** A private copy in the order of writing. */
  #newest(): Uint8Array {
    if (this.#written < DEBUG_CONSOLE_BYTES_MAX) return this.#ring.slice(0, this.#written);
    const newest = new Uint8Array(DEBUG_CONSOLE_BYTES_MAX);
    const split = this.#split();
    newest.set(this.#ring.subarray(split));
    newest.set(this.#ring.subarray(0, split), DEBUG_CONSOLE_BYTES_MAX - split);
    return newest;
  }
}
