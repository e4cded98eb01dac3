/**
 * A small driver of an NE2000, for the tests of the card: the register sequences that drivers of real systems use.
 */
import type { PortBus } from '../../devices/port-bus.js';

const [CR, PSTART, PSTOP, BNRY, TPSR, TBCR0, TBCR1, ISR] = [0, 1, 2, 3, 4, 5, 6, 7];
const [RSAR0, RSAR1, RBCR0, RBCR1, RCR, TCR, DCR, IMR] = [8, 9, 10, 11, 12, 13, 14, 15];
const CURR = 7;
const DATA = 0x10;
const RESET = 0x1f;
const TRANSMIT_PAGE = 0x40;
export const RING_START = 0x46;
export const RING_STOP = 0x80;

export class Ne2000Driver {
  readonly #ports: PortBus;
  readonly #base: number;
  /** Bytes that one access to the data port moves. */
  readonly #width: 1 | 2 | 4;

  constructor(ports: PortBus, base: number, width: 1 | 2 | 4) {
    this.#ports = ports;
    this.#base = base;
    this.#width = width;
  }

  in(register: number): number {
    return this.#ports.read(this.#base + register, 1);
  }
  out(register: number, value: number): void {
    this.#ports.write(this.#base + register, 1, value);
  }

  /** Reset, and whether the card says so. */
  resetCard(): boolean {
    this.in(RESET);
    const done = (this.in(ISR) & 0x80) !== 0;
    this.out(ISR, 0xff);
    return done;
  }

  /** Start the card with the address from its PROM; `receive` is the receive configuration. */
  start(receive = 0x04): Uint8Array {
    this.resetCard();
    this.out(CR, 0x21);
    this.out(DCR, this.#width === 1 ? 0x48 : 0x49);
    this.out(RBCR0, 0);
    this.out(RBCR1, 0);
    this.out(RCR, 0x20);
    this.out(TCR, 0x02);
    const mac = this.readMemory(0, 32).filter((_byte, index) => index < 12 && index % 2 === 0);
    this.out(PSTART, RING_START);
    this.out(PSTOP, RING_STOP);
    this.out(BNRY, RING_STOP - 1);
    this.out(ISR, 0xff);
    this.out(IMR, 0x3f);
    this.out(CR, 0x61);
    mac.forEach((byte, index) => this.out(1 + index, byte));
    for (let i = 8; i < 16; i++) this.out(i, 0);
    this.out(CURR, RING_START);
    this.out(CR, 0x22);
    this.out(TCR, 0);
    this.out(RCR, receive);
    return mac;
  }

  readMemory(address: number, bytes: number): Uint8Array {
    this.#remote(address, bytes, 0x0a);
    const data = new Uint8Array(bytes + 3);
    const view = new DataView(data.buffer);
    for (let at = 0; at < bytes; at += this.#width) {
      const value = this.#ports.read(this.#base + DATA, this.#width);
      for (let i = 0; i < this.#width; i++) view.setUint8(at + i, (value >>> (8 * i)) & 0xff);
    }
    return data.slice(0, bytes);
  }

  writeMemory(address: number, data: Uint8Array): void {
    this.#remote(address, data.length, 0x12);
    for (let at = 0; at < data.length; at += this.#width) {
      let value = 0;
      for (let i = this.#width - 1; i >= 0; i--) value = ((value << 8) | (data[at + i] ?? 0)) >>> 0;
      this.#ports.write(this.#base + DATA, this.#width, value);
    }
  }

  send(frame: Uint8Array): void {
    this.writeMemory(TRANSMIT_PAGE << 8, frame);
    this.out(TPSR, TRANSMIT_PAGE);
    this.out(TBCR0, frame.length & 0xff);
    this.out(TBCR1, frame.length >> 8);
    this.out(CR, 0x26);
  }

  /** Take every frame out of the ring. */
  receiveAll(): Uint8Array[] {
    const frames: Uint8Array[] = [];
    for (;;) {
      this.out(CR, 0x62);
      const current = this.in(CURR);
      this.out(CR, 0x22);
      const page = this.in(BNRY) + 1 >= RING_STOP ? RING_START : this.in(BNRY) + 1;
      if (page === current) return frames;
      const header = this.readMemory(page << 8, 4);
      const bytes = header[2]! | (header[3]! << 8);
      // The count has the check sequence in it.
      frames.push(this.readMemory((page << 8) + 4, bytes - 4));
      const next = header[1]!;
      this.out(BNRY, next - 1 < RING_START ? RING_STOP - 1 : next - 1);
    }
  }

  #remote(address: number, bytes: number, command: number): void {
    const rounded = Math.ceil(bytes / this.#width) * this.#width;
    this.out(RBCR0, rounded & 0xff);
    this.out(RBCR1, rounded >> 8);
    this.out(RSAR0, address & 0xff);
    this.out(RSAR1, address >> 8);
    this.out(CR, command);
  }
}
