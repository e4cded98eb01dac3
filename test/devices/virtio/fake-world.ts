/** The world around a device under test: RAM with a hole in it, an interrupt line, an Environment that records. */
import type { IrqLine } from '../../../devices/device.js';
import type { Dma } from '../../../devices/dma.js';
import type { DiskRequest, Environment, Output } from '../../../devices/environment.js';

export const RAM_BYTES = 0x40_0000;
/** No RAM here, as between 640 KiB and 1 MiB of a PC. */
export const HOLE_START = 0xa_0000;
export const HOLE_END = 0x10_0000;

export class FakeRam implements Dma {
  readonly bytes = RAM_BYTES;
  readonly memory = new Uint8Array(RAM_BYTES);
  readonly #view = new DataView(this.memory.buffer);
  /** Accesses so far, to bound the work of one doorbell. */
  accesses = 0;

  /** Whole contents equal; quicker than a matcher on megabytes. */
  sameAs(other: Uint8Array): boolean {
    return Buffer.compare(this.memory, other) === 0;
  }
  #isRam(address: number, bytes: number): boolean {
    this.accesses++;
    if (!Number.isSafeInteger(address) || address < 0 || address + bytes > RAM_BYTES) return false;
    return address + bytes <= HOLE_START || address >= HOLE_END;
  }
  read(address: number, bytes: number): Uint8Array | null {
    return this.#isRam(address, bytes) ? this.memory.slice(address, address + bytes) : null;
  }
  readInto(address: number, into: Uint8Array): boolean {
    if (!this.#isRam(address, into.length)) return false;
    into.set(this.memory.subarray(address, address + into.length));
    return true;
  }
  write(address: number, data: Uint8Array): boolean {
    if (!this.#isRam(address, data.length)) return false;
    this.memory.set(data, address);
    return true;
  }
  readU16(address: number): number | null {
    return this.#isRam(address, 2) ? this.#view.getUint16(address, true) : null;
  }
  readU32(address: number): number | null {
    return this.#isRam(address, 4) ? this.#view.getUint32(address, true) : null;
  }
  readU64(address: number): number | null {
    if (!this.#isRam(address, 8)) return null;
    const value = Number(this.#view.getBigUint64(address, true));
    return Number.isSafeInteger(value) ? value : null;
  }
  writeU16(address: number, value: number): boolean {
    if (!this.#isRam(address, 2)) return false;
    this.#view.setUint16(address, value, true);
    return true;
  }
  writeU32(address: number, value: number): boolean {
    if (!this.#isRam(address, 4)) return false;
    this.#view.setUint32(address, value, true);
    return true;
  }
}

export class FakeIrq implements IrqLine {
  level = false;
  /** Calls of set(), so that a test sees that nobody touched the line. */
  moves = 0;
  set(level: boolean): void {
    this.level = level;
    this.moves++;
  }
}

export class FakeEnvironment implements Environment {
  readonly bootUnixSeconds = 0;
  readonly outputs: Output[] = [];
  nowNs(): number {
    return 0;
  }
  emit(output: Output): void {
    this.outputs.push(output);
  }
  deadlineChanged(): void {}
  interruptRequest(): void {}
  nonMaskableInterrupt(): void {}
  stop(): void {}
  setA20(): void {}

  /** Disk requests emitted since the last call. */
  takeDiskRequests(): DiskRequest[] {
    return this.#take().flatMap((output) => (output.kind === 'disk' ? [output.request] : []));
  }
  /** Frames emitted since the last call. */
  takePackets(): Uint8Array[] {
    return this.#take().flatMap((output) => (output.kind === 'packet' ? [output.data] : []));
  }
  #take(): Output[] {
    return this.outputs.splice(0);
  }
}
