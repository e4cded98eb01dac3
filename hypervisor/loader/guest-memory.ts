/**
 * Guest physical memory as loaders see it: where RAM is, what has been placed, and what is still free.
 *
 *   0x00000000  RAM       real-mode vectors and BIOS data area first
 *   0x0009fc00  reserved  extended BIOS data area
 *   0x000a0000  (hole)    video memory and ROMs
 *   0x000f0000  reserved  system ROM
 *   0x00100000  RAM       up to the machine's memory size
 *
 * Invariants: nothing is written outside the two RAM regions (but see firmware-area.ts); RAM is all zeros before the
 * loader runs, so only bytes that were placed earlier ever need clearing.
 * Source: ACPI specification 6.5, section 15.1 (INT 15h, E820h) for the types.
 */
import { assert, ConfigError } from '../../emulator/errors.js';

/** Receives the loader's writes, before the guest's first instruction. False, and nothing written: not RAM. */
export interface LoaderRam {
  write(address: number, bytes: Uint8Array): boolean;
}

export const EBDA_BASE = 0x9fc00;
export const LOW_END = 0xa0000;
export const HIGH_BASE = 0x100000;
const ROM_BASE = 0xf0000;

/** One line of the memory map; `type` 1 is usable RAM, 2 is reserved. */
export interface MemoryRegion {
  readonly base: number;
  readonly bytes: number;
  readonly type: 1 | 2;
}

/** The memory map that firmware and boot loaders report to the guest, by ascending address. */
export function memoryMap(memoryBytes: number): readonly MemoryRegion[] {
  return [
    { base: 0, bytes: EBDA_BASE, type: 1 },
    { base: EBDA_BASE, bytes: LOW_END - EBDA_BASE, type: 2 },
    { base: ROM_BASE, bytes: HIGH_BASE - ROM_BASE, type: 2 },
    { base: HIGH_BASE, bytes: memoryBytes - HIGH_BASE, type: 1 },
  ];
}

/** A user's mistake in an image, by its name. */
export function imageError(name: string, allowed: string): ConfigError {
  return new ConfigError('IMAGE', name, allowed);
}

/** An address or size as people write it. */
export function hex(value: number): string {
  return `0x${value.toString(16)}`;
}

/** Round up to a multiple of `alignment`. */
export function alignUp(value: number, alignment: number): number {
  return Math.ceil(value / alignment) * alignment;
}

interface Claim {
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
}

/** Places the parts of one image and remembers where they lie. */
export class GuestMemory {
  readonly memoryBytes: number;
  readonly #ram: LoaderRam;
  readonly #name: string;
  /** The image's own parts; findGap() keeps clear of them. */
  readonly #claims: Claim[] = [];
  /** Bytes the image may replace. */
  readonly #firmware: Claim[] = [];

  /** `name` is the image's, for error messages. */
  constructor(ram: LoaderRam, memoryBytes: number, name: string) {
    this.#ram = ram;
    this.memoryBytes = memoryBytes;
    this.#name = name;
  }

  /**
   * Reserve `bytes` bytes at `address`, put `data` at their start and zeros behind it.
   * @throws ConfigError naming `what` when they do not lie wholly in one region of RAM
   */
  place(what: string, address: number, data: Uint8Array, bytes: number = data.length): void {
    assert(data.length <= bytes, `${what}: more data than room`);
    this.check(what, address, bytes);
    this.#clear(address + data.length, address + bytes);
    if (data.length > 0) this.#write(address, data);
    this.claim(address, bytes);
  }

  /** Keep findGap() from handing out a range. */
  claim(address: number, bytes: number): void {
    this.#claims.push({ start: address, end: address + bytes });
  }

  /** @throws ConfigError unless the range lies wholly in one region of RAM */
  check(what: string, address: number, bytes: number): void {
    if (inRegion(address, bytes, 0, EBDA_BASE) || inRegion(address, bytes, HIGH_BASE, this.memoryBytes)) return;
    const high = `${hex(HIGH_BASE)} to ${hex(this.memoryBytes)}`;
    throw imageError(
      this.#name,
      `${what} at ${hex(address)} to ${hex(address + bytes)} must lie in RAM (0x0 to ${hex(EBDA_BASE)} or ${high}); ` +
        'give more with --memory if it is too large',
    );
  }

  /** The lowest free range of `bytes` bytes inside [from, to) at a multiple of `alignment`, or null. */
  findGap(bytes: number, alignment: number, from: number, to: number): number | null {
    let address = alignUp(from, alignment);
    while (address + bytes <= to) {
      const [start, end] = [address, address + bytes];
      const inTheWay = this.#claims.find((claim) => claim.start < end && start < claim.end);
      if (inTheWay === undefined) return address;
      address = alignUp(inTheWay.end, alignment);
    }
    return null;
  }

  /** End of the highest thing placed above 1 MiB; 1 MiB when there is none. */
  highEnd(): number {
    return this.#claims.reduce((highest, claim) => Math.max(highest, claim.end), HIGH_BASE);
  }

  /** Write firmware data where no image may lie, or where an image written later may replace it. */
  placeFirmware(address: number, data: Uint8Array): void {
    const end = address + data.length;
    assert(end <= LOW_END || (address >= ROM_BASE && end <= HIGH_BASE), 'firmware data lies where firmware lies');
    this.#write(address, data);
    this.#firmware.push({ start: address, end });
  }
  #write(address: number, data: Uint8Array): void {
    assert(this.#ram.write(address, data), `${data.length} bytes at ${hex(address)} are RAM`);
  }

  /** Zero what earlier writes left inside [start, end). */
  #clear(start: number, end: number): void {
    for (const written of [...this.#firmware, ...this.#claims]) {
      const [from, to] = [Math.max(start, written.start), Math.min(end, written.end)];
      if (from < to) this.#write(from, new Uint8Array(to - from));
    }
  }
}

function inRegion(address: number, bytes: number, base: number, end: number): boolean {
  return address >= base && address + bytes <= end;
}
