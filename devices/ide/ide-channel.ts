/**
 * One IDE channel: two places for drives on one cable, with the bus master that serves them.
 *
 *   command block ──writes──► registers of both drives ──command──► the selected drive
 *                 ◄──reads─── the selected drive
 *   the selected drive's interrupt ── nIEN ──► IRQ line, and on its rising edge the bus master's interrupt bit
 *
 * An absent drive's status reads 0: the host's pull-down holds BSY, and device 0 answers so for an absent device 1.
 * While the selected drive is busy, its registers take no writes, so a second drive is never busy beside it.
 *
 * Invariants: the IRQ level is a function of the registers, set only by #sync(); take() leaves the line alone.
 * Source: ATA/ATAPI-6 (T13 1410D), sections 5.2.1 (DD7), 7 (registers), 9.16 (single drives); 82371SB, section 2.7.
 */
import type { IrqLine, RegisterBlock } from '../device.js';
import type { Dma } from '../dma.js';
import type { Environment } from '../environment.js';
import type { SavedFields } from '../saved-fields.js';
import type { StateRecord } from '../state.js';
import { AtaDrive, type AtaDriveState, type IdeDriveConfig } from './ata-drive.js';
import {
  CMD_EXECUTE_DIAGNOSTIC,
  COMMAND_BLOCK_BYTES,
  CONTROL_HOB,
  CONTROL_NIEN,
  CONTROL_SRST,
  CONTROL_WRITABLE,
  DEVICE_DEV,
  REG_DATA,
  REG_DEVICE,
  REG_STATUS_COMMAND,
  STATUS_BSY,
} from './ata-registers.js';
import { BusMaster, type BusMasterState } from './bus-master.js';

export const CONTROL_BLOCK_BYTES = 1;

export interface IdeChannelOptions {
  readonly environment: Pick<Environment, 'emit'>;
  readonly dma: Dma;
  readonly irq: IrqLine;
  /** Device 0 and device 1; null: absent. */
  readonly drives: readonly [IdeDriveConfig | null, IdeDriveConfig | null];
  /** Whether the PCI function may use the bus. */
  readonly busMasterEnabled: () => boolean;
}

export interface IdeChannelState {
  readonly control: number;
  readonly device: 0 | 1;
  readonly busMaster: BusMasterState;
  readonly drives: readonly (AtaDriveState | null)[];
}

export class IdeChannel {
  readonly commandBlock: RegisterBlock = {
    read: (offset, size) => (offset === REG_DATA ? this.#readData(size) : this.#readBytes(offset, size)),
    write: (offset, size, value) => {
      if (offset === REG_DATA) this.#selected?.port.write(size, value);
      else for (let i = 0; i < size; i++) this.#writeRegister(offset + i, (value >>> (8 * i)) & 0xff);
    },
  };
  readonly controlBlock: RegisterBlock = {
    read: (offset, size) => (offset === 0 && size === 1 ? this.#status : 2 ** (8 * size) - 1),
    write: (offset, _size, value) => {
      if (offset === 0) this.#writeControl(value & CONTROL_WRITABLE);
    },
  };
  readonly drives: readonly [AtaDrive | null, AtaDrive | null];
  readonly #irq: IrqLine;
  readonly #busMaster: BusMaster;
  #control = 0;
  #device: 0 | 1 = 0;
  /** drives[#device]. */
  #selected: AtaDrive | null;
  #level = false;

  constructor({ environment, dma, irq, drives, busMasterEnabled }: IdeChannelOptions) {
    this.#irq = irq;
    this.#busMaster = new BusMaster({ dma, enabled: busMasterEnabled });
    const create = (config: IdeDriveConfig | null, slave: boolean): AtaDrive | null =>
      config === null
        ? null
        : new AtaDrive({
            ...config,
            environment,
            busMaster: this.#busMaster,
            slave,
            interruptChanged: () => {
              this.#sync();
            },
          });
    this.drives = [create(drives[0], false), create(drives[1], true)];
    this.#selected = this.drives[0];
  }

  readBusMaster(offset: number): number {
    return this.#busMaster.readByte(offset);
  }

  writeBusMaster(offset: number, value: number): void {
    this.#busMaster.writeByte(offset, value);
    this.#selected?.serveDma();
  }

  reset(): void {
    for (const drive of this.drives) drive?.reset();
    this.#busMaster.reset();
    this.#control = 0;
    this.#select(0);
    this.#level = false;
  }

  save(): StateRecord {
    return {
      control: this.#control,
      device: this.#device,
      busMaster: this.#busMaster.save(),
      drives: this.drives.flatMap((drive) => (drive === null ? [] : [drive.save()])),
    };
  }

  /** Check saved state without taking it. @throws DecodeError */
  check(fields: SavedFields): IdeChannelState {
    const control = fields.integer('control', 0, CONTROL_WRITABLE);
    const device = fields.integer('device', 0, 1) === 0 ? 0 : 1;
    const busMaster = BusMaster.check(fields.record('busMaster'));
    const present = fields.list('drives', this.drives.length);
    fields.finish();
    if ((control & ~CONTROL_WRITABLE) !== 0) throw fields.wrong('control', 'has reserved bits set');
    let next = 0;
    const drives = this.drives.map((drive) => {
      const saved = drive === null ? undefined : present[next++];
      if (drive !== null && saved === undefined) throw fields.wrong('drives', 'fewer than there are here');
      return drive === null ? null : drive.check(saved!, (control & CONTROL_SRST) !== 0);
    });
    if (next !== present.length) throw fields.wrong('drives', 'more than there are here');
    return { control, device, busMaster, drives };
  }

  take(state: IdeChannelState): void {
    this.#control = state.control;
    this.#busMaster.take(state.busMaster);
    this.drives.forEach((drive, i) => drive?.take(state.drives[i]!));
    this.#select(state.device);
    this.#level = this.#intrq();
  }

  /** A drive that is busy while another place is selected is one that a reset reached: device 0 waits for device 1 (9.2). */
  get #status(): number {
    const [first, second] = this.drives;
    if (first?.busy === true || second?.busy === true) return STATUS_BSY;
    return this.#selected?.status ?? 0;
  }

  #readData(size: number): number {
    return this.#selected === null ? 2 ** (8 * size) - 1 : this.#selected.port.read(size);
  }

  #readBytes(offset: number, size: number): number {
    let value = 0;
    for (let i = 0; i < size; i++) value |= this.#readRegister(offset + i) << (8 * i);
    return value >>> 0;
  }

  #readRegister(offset: number): number {
    if (offset >= COMMAND_BLOCK_BYTES) return 0xff;
    const selected = this.#selected;
    if (offset === REG_STATUS_COMMAND) {
      const status = this.#status;
      selected?.acknowledge();
      return status;
    }
    if (offset === REG_DEVICE) {
      // Device 0 answers for an absent device 1, so a host sees which one it selected.
      const answering = selected ?? this.drives[0];
      return answering === null
        ? 0
        : answering.taskFile.read(REG_DEVICE, false) | (this.#device === 1 ? DEVICE_DEV : 0);
    }
    return selected?.taskFile.read(offset, (this.#control & CONTROL_HOB) !== 0) ?? 0;
  }

  #writeRegister(offset: number, value: number): void {
    if (offset >= COMMAND_BLOCK_BYTES || (this.#status & STATUS_BSY) !== 0) return;
    this.#control &= ~CONTROL_HOB;
    if (offset === REG_STATUS_COMMAND) {
      this.#command(value);
      return;
    }
    for (const drive of this.drives) drive?.taskFile.write(offset, value);
    if (offset === REG_DEVICE) {
      this.#select((value & DEVICE_DEV) === 0 ? 0 : 1);
      this.#sync();
    }
  }

  #command(code: number): void {
    if (code !== CMD_EXECUTE_DIAGNOSTIC) {
      this.#selected?.command(code);
      return;
    }
    this.#select(0);
    for (const drive of this.drives) drive?.diagnose();
    this.#sync();
  }

  #writeControl(value: number): void {
    const changed = value ^ this.#control;
    this.#control = value;
    if ((changed & CONTROL_SRST) !== 0) {
      const held = (value & CONTROL_SRST) !== 0;
      if (held) this.#select(0);
      for (const drive of this.drives) {
        if (held) drive?.holdReset();
        else drive?.releaseReset();
      }
    }
    this.#sync();
  }

  #select(device: 0 | 1): void {
    this.#device = device;
    this.#selected = this.drives[device];
  }

  /** INTRQ as it reaches the host. */
  #intrq(): boolean {
    return this.#selected?.interruptPending === true && (this.#control & CONTROL_NIEN) === 0;
  }

  #sync(): void {
    const level = this.#intrq();
    if (level === this.#level) return;
    this.#level = level;
    if (level) this.#busMaster.interrupt();
    this.#irq.set(level);
  }
}
