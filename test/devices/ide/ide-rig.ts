/** An IDE controller on buses, a guest driver that sees ports only, and a backend that the test plays. */
import type { DiskRequest } from '../../../devices/environment.js';
import { IdeController, type IdeDriveConfig } from '../../../devices/ide/ide-controller.js';
import { PortBus } from '../../../devices/port-bus.js';
import { FakeEnvironment, FakeRam } from '../virtio/fake-world.js';

export const SECTORS = 400_000;
export const SECTOR = 512;
export const BM_PORT = 0xc000;
export const PRD_AT = 0x1_0000;
export const DATA_AT = 0x20_0000;

export const BSY = 0x80;
export const READY = 0x50;
export const DRQ = 0x08;
export const ERR = 0x01;
export const ABRT = 0x04;
export const IDNF = 0x10;
export const UNC = 0x40;

export const MASTER: IdeDriveConfig = { drive: 2, sectors: SECTORS, readonly: false, serial: 'SERIAL-2' };
export const SLAVE: IdeDriveConfig = { drive: 5, sectors: 2000, readonly: true, serial: 'SERIAL-5' };
export type Drives = readonly [
  IdeDriveConfig | null,
  IdeDriveConfig | null,
  IdeDriveConfig | null,
  IdeDriveConfig | null,
];
const DRIVES: Drives = [MASTER, SLAVE, null, { drive: 7, sectors: 63 * 16 * 4, readonly: false, serial: 'x' }];

/** The content of a sector: its number in every double word, so that no two sectors are alike. */
export function sectorData(sector: number, count = 1): Uint8Array {
  const data = new Uint8Array(count * SECTOR);
  const view = new DataView(data.buffer);
  for (let at = 0; at < data.length; at += 4) view.setUint32(at, (sector + (at >> 9)) * 131 + (at & 0x1ff), true);
  return data;
}

/** What a driver writes before a command. */
export interface Command {
  readonly code: number;
  readonly lba?: number;
  readonly count?: number;
  readonly features?: number;
  /** 48-bit command. */
  readonly extended?: boolean;
  readonly device?: 0 | 1;
  /** Instead of `lba`: cylinder, head, sector. */
  readonly chs?: readonly [number, number, number];
}

export class IdeRig {
  readonly ram = new FakeRam();
  readonly environment = new FakeEnvironment();
  readonly bus = new PortBus();
  readonly ide: IdeController;
  readonly levels = [false, false];
  /** Rising edges of IRQ 14 and 15. */
  readonly edges = [0, 0];
  readonly calls: string[] = [];
  base = 0x1f0;

  constructor(drives: Drives = DRIVES) {
    const line = (channel: 0 | 1): { set: (level: boolean) => void } => ({
      set: (level) => {
        this.calls.push(`irq ${channel} ${level ? 'high' : 'low'}`);
        if (level && !this.levels[channel]) this.edges[channel]!++;
        this.levels[channel] = level;
      },
    });
    const { ram: dma, environment } = this;
    this.ide = new IdeController({ environment, dma, irqs: [line(0), line(1)], drives });
    for (const { name, base, count, registers, widthMax } of this.ide.ports) {
      this.bus.insert(name, base, count, registers, widthMax);
    }
    this.bus.setMovable({
      read: (port, size) => this.#busMaster(port)?.read(port - BM_PORT, size) ?? null,
      write: (port, size, value) => {
        this.#busMaster(port)?.write(port - BM_PORT, size, value);
        return this.#busMaster(port) !== null;
      },
    });
    this.assign();
  }

  /** What firmware does: place the bus master's registers, enable ports and bus mastering. */
  assign(): void {
    this.ide.pci.configWrite(0x20, 4, BM_PORT);
    this.ide.pci.configWrite(0x04, 2, 0x0005);
  }

  /** Drive the secondary channel. */
  secondary(): this {
    this.base = 0x170;
    return this;
  }
  in(register: number, size = 1): number {
    return this.bus.read(this.base + register, size);
  }
  out(register: number, value: number, size = 1): void {
    this.bus.write(this.base + register, size, value);
  }
  control(value: number): void {
    this.bus.write(this.base + 0x206, 1, value);
  }
  get altStatus(): number {
    return this.bus.read(this.base + 0x206, 1);
  }
  /** The status register; acknowledges the interrupt. */
  get status(): number {
    return this.in(7);
  }
  get error(): number {
    return this.in(1);
  }
  get irq(): boolean {
    return this.levels[this.#channel]!;
  }
  get edgeCount(): number {
    return this.edges[this.#channel]!;
  }

  send({ code, lba = 0, count = 0, features = 0, extended = false, device = 0, chs }: Command): void {
    this.out(6, 0xa0 | (chs === undefined ? 0x40 : 0) | (device << 4));
    if (extended) {
      this.out(2, count >> 8);
      const high = Math.floor(lba / 2 ** 24);
      for (let i = 0; i < 3; i++) this.out(3 + i, (high >> (8 * i)) & 0xff);
    }
    this.out(1, features);
    this.out(2, count & 0xff);
    if (chs === undefined) {
      for (let i = 0; i < 3; i++) this.out(3 + i, Math.floor(lba / 2 ** (8 * i)) & 0xff);
      if (!extended) this.out(6, 0xe0 | (device << 4) | Math.floor(lba / 2 ** 24));
    } else {
      this.out(3, chs[2]);
      this.out(4, chs[0] & 0xff);
      this.out(5, chs[0] >> 8);
      this.out(6, 0xa0 | (device << 4) | chs[1]);
    }
    this.out(7, code);
  }
  /** The LBA that the registers hold. */
  address(extended = false): number {
    const low = this.in(3) + this.in(4) * 0x100 + this.in(5) * 0x10000;
    if (!extended) return low + (this.in(6) & 15) * 2 ** 24;
    this.control(0x80);
    const high = this.in(3) + this.in(4) * 0x100 + this.in(5) * 0x10000;
    this.control(0);
    return low + high * 2 ** 24;
  }
  readWords(bytes: number, size = 2): Uint8Array {
    const data = new Uint8Array(bytes);
    for (let at = 0; at < bytes; at += size) {
      const value = this.in(0, size);
      for (let i = 0; i < size; i++) data[at + i] = value >>> (8 * i);
    }
    return data;
  }
  writeWords(data: Uint8Array, size = 2): void {
    for (let at = 0; at < data.length; at += size) {
      let value = 0;
      for (let i = 0; i < size; i++) value += data[at + i]! * 2 ** (8 * i);
      this.out(0, value, size);
    }
  }
  /** The answer to IDENTIFY as words. */
  identify(device: 0 | 1 = 0): Uint16Array {
    this.send({ code: 0xec, device });
    return new Uint16Array(this.readWords(SECTOR).buffer);
  }

  requests(): DiskRequest[] {
    return this.environment.takeDiskRequests();
  }
  /** The one request that was emitted since the last look. */
  request(): DiskRequest {
    const requests = this.requests();
    if (requests.length !== 1) throw new Error(`${requests.length} disk requests instead of one`);
    return requests[0]!;
  }
  complete(request: DiskRequest, status: 'ok' | 'error' = 'ok'): void {
    const read = request.op === 'read' && status === 'ok';
    const data = read ? sectorData(request.sector, request.bytes / SECTOR) : new Uint8Array(0);
    this.ide.complete({ drive: request.drive, tag: request.tag, status, data });
  }
  /** Take the one request, which must be a write, and complete it. */
  completeWrite(): DiskRequest {
    const request = this.request();
    if (request.op !== 'write') throw new Error(`a ${request.op} instead of a write`);
    this.complete(request);
    return request;
  }

  // --- the bus master ---

  bmIn(offset: number, size = 1): number {
    return this.bus.read(BM_PORT + 8 * this.#channel + offset, size);
  }
  bmOut(offset: number, value: number, size = 1): void {
    this.bus.write(BM_PORT + 8 * this.#channel + offset, size, value);
  }
  /** Lay a table of regions; the last one ends it. */
  table(regions: readonly (readonly [address: number, bytes: number])[], at = PRD_AT): void {
    regions.forEach(([address, bytes], i) => {
      this.ram.writeU32(at + 8 * i, address);
      this.ram.writeU32(at + 8 * i + 4, ((bytes & 0xffff) | (i === regions.length - 1 ? 0x80000000 : 0)) >>> 0);
    });
    this.bmOut(4, at, 4);
  }
  /** What a driver does around a DMA command: table, direction, clear status, command, start. */
  startDma(command: Command, toMemory: boolean): void {
    this.bmOut(0, toMemory ? 8 : 0);
    this.bmOut(2, this.bmIn(2) | 6);
    this.send(command);
    this.bmOut(0, toMemory ? 9 : 1);
  }

  get #channel(): 0 | 1 {
    return this.base === 0x1f0 ? 0 : 1;
  }
  #busMaster(
    port: number,
  ): { read: (o: number, s: number) => number; write: (o: number, s: number, v: number) => void } | null {
    const index = this.ide.pci.findBar('io', port);
    return index < 0 ? null : this.ide.pci.bars[index]!.registers;
  }
}
