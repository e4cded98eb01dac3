/** A virtio drive with its driver, for tests that play the backend. */
import type { DiskRequest } from '../../../devices/environment.js';
import { VirtioBlk, type VirtioBlkOptions } from '../../../devices/virtio/virtio-blk.js';
import { FakeEnvironment, FakeIrq, FakeRam } from './fake-world.js';
import { LegacyDriver, ModernDriver, type Buffer, type Driver, type DriverRing } from './guest-driver.js';

export const F_FLUSH = 9;
export const RING_AT = 0x1_0000;
export const HEADERS_AT = 0x2_0000;
export const STATUS_AT = 0x2_8000;
export const DATA_AT = 0x20_0000;
export const CAPACITY = 65536;
export const IN = 0;
export const OUT = 1;
export const FLUSH = 4;
export const GET_ID = 8;
export const UNTOUCHED = 0xee;

/** A drive, its driver, and one slot (header, data, status byte) per request. */
export class DiskRig {
  readonly ram = new FakeRam();
  readonly irq = new FakeIrq();
  readonly environment = new FakeEnvironment();
  readonly options: VirtioBlkOptions;
  disk: VirtioBlk;
  driver: Driver;
  ring: DriverRing;
  #slots = 0;

  constructor(
    kind: 'legacy' | 'modern',
    features: readonly number[] = [F_FLUSH],
    extra: Partial<VirtioBlkOptions> = {},
  ) {
    const { ram: dma, irq, environment } = this;
    this.options = { environment, dma, irq, drive: 3, capacitySectors: CAPACITY, ...extra };
    this.disk = new VirtioBlk(this.options);
    this.driver = kind === 'legacy' ? new LegacyDriver(this.disk.pci, dma) : new ModernDriver(this.disk.pci, dma);
    [this.ring] = this.driver.start(features, [RING_AT]) as [DriverRing];
  }

  /** Make a request available; returns its slot. */
  queue(type: number, sector: number, bytes: number, fill = 0, indirect = false): number {
    const slot = this.#slots++;
    const header = HEADERS_AT + 16 * slot;
    this.ram.writeU32(header, type);
    this.ram.writeU32(header + 8, sector >>> 0);
    this.ram.writeU32(header + 12, Math.floor(sector / 2 ** 32));
    this.ram.memory[STATUS_AT + slot] = UNTOUCHED;
    if (type === OUT) this.ram.memory.fill(fill, this.dataAt(slot), this.dataAt(slot) + bytes);
    const buffers: Buffer[] = [{ address: header, bytes: 16, write: false }];
    if (bytes > 0) buffers.push({ address: this.dataAt(slot), bytes, write: type !== OUT });
    buffers.push({ address: STATUS_AT + slot, bytes: 1, write: true });
    if (indirect) this.ring.addIndirect(0x3_0000 + 64 * slot, buffers);
    else this.ring.add(buffers);
    return slot;
  }
  /** queue() and ring the doorbell. */
  ask(type: number, sector: number, bytes: number, fill = 0): number {
    const slot = this.queue(type, sector, bytes, fill);
    this.driver.notify(0);
    return slot;
  }
  dataAt(slot: number): number {
    return DATA_AT + slot * 8192;
  }
  status(slot: number): number {
    return this.ram.memory[STATUS_AT + slot]!;
  }
  requests(): DiskRequest[] {
    return this.environment.takeDiskRequests();
  }
  complete(request: DiskRequest, status: 'ok' | 'error' = 'ok', fill = 0): void {
    const data = new Uint8Array(request.op === 'read' && status === 'ok' ? request.bytes : 0).fill(fill);
    this.disk.complete({ drive: request.drive, tag: request.tag, status, data });
  }
}
