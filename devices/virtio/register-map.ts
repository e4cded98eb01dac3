/**
 * A block of little-endian registers of 1, 2 or 4 bytes, reachable with any width at any offset.
 *
 * The specification wants natural widths (4.1.3.1); a guest may do otherwise. A narrower write changes only its own
 * bytes of the register, a wider access touches every register under it, and gaps read all ones.
 */
import { assert } from '../../emulator/errors.js';
import type { RegisterBlock } from '../device.js';

export interface Register {
  readonly offset: number;
  readonly bytes: 1 | 2 | 4;
  read(): number;
  /** Absent: read-only. */
  write?(value: number): void;
}

export class RegisterMap implements RegisterBlock {
  /** The register that owns each byte. */
  readonly #owners: (Register | undefined)[] = [];

  constructor(registers: readonly Register[]) {
    for (const register of registers) {
      for (let at = register.offset; at < register.offset + register.bytes; at++) {
        assert(this.#owners[at] === undefined, `two registers at offset ${at}`);
        this.#owners[at] = register;
      }
    }
  }

  read(offset: number, size: number): number {
    const first = this.#owners[offset];
    if (first !== undefined && first.offset === offset && first.bytes === size) return first.read() >>> 0;
    let value = 0;
    let owner: Register | undefined;
    let ownerValue = 0;
    for (let i = 0; i < size; i++) {
      const next = this.#owners[offset + i];
      // Each register is read once, because reading may change it.
      if (next !== undefined && next !== owner) ownerValue = next.read();
      owner = next;
      const byte = owner === undefined ? 0xff : (ownerValue >>> ((offset + i - owner.offset) * 8)) & 0xff;
      value |= byte << (i * 8);
    }
    return value >>> 0;
  }

  write(offset: number, size: number, value: number): void {
    const first = this.#owners[offset];
    if (first !== undefined && first.offset === offset && first.bytes === size) {
      first.write?.(value >>> 0);
      return;
    }
    let i = 0;
    while (i < size) {
      const owner = this.#owners[offset + i];
      if (owner?.write === undefined) {
        i++;
        continue;
      }
      let merged = owner.read();
      for (; i < size && this.#owners[offset + i] === owner; i++) {
        const shift = (offset + i - owner.offset) * 8;
        merged = (merged & ~(0xff << shift)) | (((value >>> (i * 8)) & 0xff) << shift);
      }
      owner.write(merged >>> 0);
    }
  }
}

/** Registers, one a byte, for a table of constants at `offset`. */
export function byteRegisters(
  offset: number,
  table: Uint8Array,
  write?: (index: number, value: number) => void,
): Register[] {
  return Array.from(table, (_, index) => ({
    offset: offset + index,
    bytes: 1 as const,
    read: () => table[index] ?? 0xff,
    ...(write === undefined ? {} : { write: (value: number) => write(index, value) }),
  }));
}
