/**
 * One ATA drive: its registers, commands, interrupt and resets. Moving sectors is the SectorMover's.
 *
 *   command ──► sectors to move? ──► SectorMover ──► ended()
 *           └─► settings, registers ──► done at once
 *
 * A command that comes during a data phase ends that phase; while the drive is busy the channel lets none through.
 *
 * Source: ATA/ATAPI-6 (T13 1410D), sections 7.15 (status), 8 (commands), 9.2 (resets), 9.10 (diagnostic).
 */
import type { DiskCompletion, DiskRequest, Environment } from '../environment.js';
import type { SavedFields } from '../saved-fields.js';
import type { StateRecord } from '../state.js';
import { driveCommand } from './ata-commands.js';
import {
  ERROR_ABRT,
  ERROR_IDNF,
  STATUS_BSY,
  STATUS_DRDY,
  STATUS_DSC,
  STATUS_ERR,
  TRANSFER_COMMANDS,
  type TransferCommand,
} from './ata-registers.js';
import type { BusMaster } from './bus-master.js';
import type { DataPort } from './data-port.js';
import { DriveSettings, type DriveSettingsState } from './drive-settings.js';
import { identifyDevice } from './identify.js';
import { SectorMover } from './sector-mover.js';
import { checkSectorMover, type SectorMoverState, type Transfer } from './sector-mover-state.js';
import { TaskFile, type TaskFileState } from './task-file.js';

/** A drive as the machine's configuration has it. */
export interface IdeDriveConfig {
  /** Index of the drive, as in DiskRequest. */
  readonly drive: number;
  /** Size in sectors of 512 bytes. */
  readonly sectors: number;
  readonly readonly: boolean;
  /** At most 20 ASCII characters. */
  readonly serial: string;
}

export interface AtaDriveOptions extends IdeDriveConfig {
  readonly environment: Pick<Environment, 'emit'>;
  readonly busMaster: BusMaster;
  /** Device 1 of its channel. */
  readonly slave: boolean;
  /** The drive's interrupt output changed. */
  readonly interruptChanged: () => void;
}

export interface AtaDriveState {
  readonly taskFile: TaskFileState;
  readonly settings: DriveSettingsState;
  readonly mover: SectorMoverState;
  readonly failed: boolean;
  readonly interrupt: boolean;
}

export class AtaDrive {
  readonly taskFile = new TaskFile();
  readonly port: DataPort;
  readonly #options: AtaDriveOptions;
  readonly #settings: DriveSettings;
  readonly #mover: SectorMover;
  /** The last command failed. */
  #failed = false;
  #interrupt = false;

  constructor(options: AtaDriveOptions) {
    this.#options = options;
    this.#settings = new DriveSettings(options.sectors);
    this.#mover = new SectorMover({
      environment: options.environment,
      busMaster: options.busMaster,
      drive: options.drive,
      writeCache: () => this.#settings.writeCache,
      blockReady: () => {
        this.#setInterrupt(true);
      },
      ended: (error, transfer, quiet) => {
        this.#ended(error, transfer, quiet);
      },
      resetEnded: () => {
        this.#resetEnded();
      },
    });
    this.port = this.#mover.port;
  }

  /** Index of the drive, as in DiskRequest. */
  get index(): number {
    return this.#options.drive;
  }
  get busy(): boolean {
    return this.#mover.busy;
  }
  /** INTRQ, before nIEN and device selection. */
  get interruptPending(): boolean {
    return this.#interrupt;
  }
  /** The status register; reading it by the other name does not acknowledge(). */
  get status(): number {
    const moving = this.#mover.status;
    // Nothing else is valid while the drive is busy (7.15.6).
    return moving === STATUS_BSY ? moving : moving | STATUS_DRDY | STATUS_DSC | (this.#failed ? STATUS_ERR : 0);
  }

  /** The host read the status register. */
  acknowledge(): void {
    this.#setInterrupt(false);
  }

  /** Execute a command. Call only while not busy. */
  command(code: number): void {
    this.#setInterrupt(false);
    this.#mover.abandon();
    this.#failed = false;
    this.taskFile.error = 0;
    const transfer = TRANSFER_COMMANDS.get(code);
    // Only a reset wakes a sleeping drive (8.46).
    if (this.#settings.power === 'sleep') this.#ended(ERROR_ABRT, null, false);
    else if (transfer !== undefined) this.#beginTransfer(transfer);
    else this.#execute(code);
  }

  /** EXECUTE DEVICE DIAGNOSTIC, which reaches both drives; device 0 reports. Call only while not busy. */
  diagnose(): void {
    this.#setInterrupt(false);
    this.#mover.abandon();
    this.#resetEnded();
    if (!this.#options.slave) this.#setInterrupt(true);
  }

  /** SRST went up: forget everything that is going on, and stay busy. */
  holdReset(): void {
    this.#setInterrupt(false);
    this.#mover.holdReset();
  }

  /** SRST went down. */
  releaseReset(): void {
    this.#mover.releaseReset();
  }

  /** The bus master may have become ready. */
  serveDma(): void {
    this.#mover.serveDma();
  }

  /** Requests emitted and not completed; a replica that goes live issues them again. */
  pendingRequests(): DiskRequest[] {
    return this.#mover.pendingRequests();
  }

  /**
   * Apply the answer to a pending request.
   * @throws InvariantError when no such request is in flight or a read's data has another length.
   */
  complete(completion: DiskCompletion): void {
    this.#mover.complete(completion);
  }

  reset(): void {
    this.#mover.reset();
    this.#settings.reset();
    this.taskFile.putSignature();
    this.#failed = false;
    this.#interrupt = false;
  }

  save(): StateRecord {
    return {
      taskFile: this.taskFile.save(),
      settings: this.#settings.save(),
      mover: this.#mover.save(),
      failed: this.#failed,
      interrupt: this.#interrupt,
    };
  }

  /**
   * Check saved state without taking it.
   * @param held whether the channel's device control register holds its drives in reset
   * @throws DecodeError
   */
  check(fields: SavedFields, held: boolean): AtaDriveState {
    const { drive, sectors } = this.#options;
    const state = {
      taskFile: TaskFile.check(fields.record('taskFile')),
      settings: DriveSettings.check(fields.record('settings')),
      mover: checkSectorMover(fields.record('mover'), drive, sectors, held),
      failed: fields.boolean('failed'),
      interrupt: fields.boolean('interrupt'),
    };
    fields.finish();
    return state;
  }

  take(state: AtaDriveState): void {
    this.taskFile.take(state.taskFile);
    this.#settings.take(state.settings);
    this.#mover.take(state.mover);
    this.#failed = state.failed;
    this.#interrupt = state.interrupt;
  }

  #setInterrupt(pending: boolean): void {
    if (this.#interrupt === pending) return;
    this.#interrupt = pending;
    this.#options.interruptChanged();
  }

  #beginTransfer({ kind, extended, multiple }: TransferCommand): void {
    const write = kind === 'pio-out' || kind === 'dma-out';
    const blockSectors = multiple ? this.#settings.multiple : 1;
    if (blockSectors === 0 || (write && this.#options.readonly)) {
      this.#ended(ERROR_ABRT, null, false);
      return;
    }
    const range = this.taskFile.range(extended, this.#settings.geometry);
    if (range === null || range.sector + range.count > this.#options.sectors) {
      this.#ended(ERROR_IDNF, null, false);
      return;
    }
    this.#settings.power = 'active';
    this.#mover.begin({ kind, extended, blockSectors, sector: range.sector, left: range.count });
  }

  #execute(code: number): void {
    switch (driveCommand(code, this.taskFile, this.#settings)) {
      case 'done':
        this.#ended(0, null, false);
        break;
      case 'flush':
        this.#mover.flush();
        break;
      case 'identify':
        this.#mover.offer(identifyDevice(this.#options, this.#settings));
        break;
      case 'seek': {
        const range = this.taskFile.range(false, this.#settings.geometry);
        const exists = range !== null && range.sector < this.#options.sectors;
        this.#ended(exists ? 0 : ERROR_IDNF, null, false);
        break;
      }
      case 'abort':
        this.#ended(ERROR_ABRT, null, false);
        break;
    }
  }

  /** The registers name the last sector that was moved, or the first that could not be. */
  #ended(error: number, transfer: Transfer | null, quiet: boolean): void {
    if (transfer !== null) {
      const { sector, left, extended } = transfer;
      const range = error === 0 ? { sector: sector - 1, count: 0 } : { sector, count: left };
      this.taskFile.putRange(range, extended, this.#settings.geometry);
    }
    this.taskFile.error = error;
    this.#failed = error !== 0;
    if (!quiet) this.#setInterrupt(true);
  }

  #resetEnded(): void {
    this.#failed = false;
    this.#settings.power = 'active';
    this.taskFile.putSignature();
  }
}
