/**
 * What an NE2000's chip sees in its 64 KiB address space: address PROM and packet memory.
 *
 *   0x0000..0x001f  PROM: each byte twice. 0 station address [6] | 6 zeros [8] | 14 "WW", the mark of a 16-bit card
 *   0x4000..0x7fff  16 KiB of RAM                    elsewhere: reads all ones, writes are lost
 *
 * Source: NS application note AN-729 (DP8390 in the NE2000), address map and PROM contents.
 */

export const NE2000_RAM_BYTES = 0x4000;

const PROM_BYTES = 32;
const MARK_AT = 28;
const MARK = 0x57;
const RAM_BASE = 0x4000;
const OPEN_BUS_BYTE = 0xff;

export class Ne2000Memory {
  readonly ram = new Uint8Array(NE2000_RAM_BYTES);
  readonly #prom = new Uint8Array(PROM_BYTES);

  /** @param mac 6 bytes */
  constructor(mac: Uint8Array) {
    mac.forEach((byte, index) => this.#prom.fill(byte, 2 * index, 2 * index + 2));
    this.#prom.fill(MARK, MARK_AT);
  }

  /** The byte at a 16-bit address. */
  read(address: number): number {
    return (address < PROM_BYTES ? this.#prom[address] : this.ram[address - RAM_BASE]) ?? OPEN_BUS_BYTE;
  }

  write(address: number, value: number): void {
    // Out of bounds: a typed array ignores it.
    this.ram[address - RAM_BASE] = value;
  }

  /** A private copy of `bytes` bytes; the address wraps at 64 Ki. */
  copy(address: number, bytes: number): Uint8Array {
    return Uint8Array.from({ length: bytes }, (_, index) => this.read((address + index) & 0xffff));
  }
}
